"""Heads that are written and read without h11: as h11 does it, or not at all."""

import h11
import pytest

from ocihaul.transport.message import Reply, Request, request_head, usual_head

HEADERS = {"host": "x", "authorization": 'Signature keyId="a/b",signature="c=="', "opc-meta-a": ""}


def by_h11(data: bytes, method: str = "PUT") -> tuple[int, dict[str, str], bytes]:
    protocol = h11.Connection(h11.CLIENT)
    protocol.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    protocol.send(h11.EndOfMessage())
    protocol.receive_data(data)
    event = protocol.next_event()
    assert isinstance(event, h11.Response)
    headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
    return event.status_code, headers, protocol.trailing_data[0]


def test_a_request_reads_as_it_was_meant() -> None:
    target = "/n/ns/b/b/o/a%2Fb?uploadId=1"
    protocol = h11.Connection(h11.SERVER)
    protocol.receive_data(request_head(Request("PUT", target, HEADERS)))
    event = protocol.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (b"PUT", target.encode())
    assert {name.decode(): value.decode() for name, value in event.headers} == HEADERS


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GET", "/", "x", "a\r\nb: c"),
        ("GET", "/", "x", "a\nb: c"),
        ("GET", "/", "x", "a\r\n\r\nGET / HTTP/1.1"),
        ("GET", "/", "x: y\r\nz", "a"),
        ("GET", "/", "x y", "a"),
        ("GET", "/", "", "a"),
        ("GET", "/", "x", "\0"),
        ("GET", "/", "x", "ü"),
        ("GET", "/a b", "x", "a"),
        ("GET", "/ HTTP/1.1\r\ny: z\r\n", "x", "a"),
        ("GET", "", "x", "a"),
        ("GET /\r\n", "/", "x", "a"),
        ("", "/", "x", "a"),
    ],
)
def test_what_would_be_another_request_is_refused_and_not_shown(
    method: str, target: str, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="not HTTP") as caught:
        request_head(Request(method, target, {"host": "x", name: value, "secret": "sesame"}))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: a\r\n\r\n",
        b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n",
        b"HTTP/1.1 404 Not here\r\ncontent-length:  3\t \r\nx:\r\ny: a:b\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx: \xe4\r\n\r\naHTTP/1.1 200",
        b"HTTP/1.1 204 No\r\nopc-request-id: 1\r\n\r\n",
    ],
)
def test_a_usual_answer_is_read_as_h11_reads_it(data: bytes) -> None:
    usual = usual_head("PUT", data)
    assert usual is not None
    head, behind = usual
    assert (head.status, dict(head.headers), behind) == by_h11(data)
    assert head.stays_open


ODD = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: until the end\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n\r\n",
]


@pytest.mark.parametrize("data", ODD)
def test_an_odd_answer_is_left_to_h11(data: bytes) -> None:
    assert usual_head("PUT", data) is None


@pytest.mark.parametrize(
    ("method", "data", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", 0),
        ("GET", b"HTTP/1.1 206 Some\r\ncontent-length: 7\r\n\r\n", 7),
        ("GET", b"HTTP/1.1 304 Same\r\ncontent-length: 7\r\n\r\n", 0),
    ],
)
def test_the_method_and_the_status_say_whether_there_is_a_body(
    method: str, data: bytes, length: int
) -> None:
    usual = usual_head(method, data)
    assert usual is not None
    assert usual[0].length == length
    assert by_h11(data, method)[2] == b""


@pytest.mark.parametrize("wish", ["close", "Close", "x, close"])
def test_a_connection_that_ends_is_known_to_end(wish: str) -> None:
    usual = usual_head(
        "GET", f"HTTP/1.1 200 OK\r\nconnection: {wish}\r\ncontent-length: 0\r\n\r\n".encode()
    )
    assert usual is not None
    assert not usual[0].stays_open


WHOLE = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
]


@pytest.mark.parametrize("data", WHOLE)
@pytest.mark.parametrize("step", [1, 2, 7, 30, 1000])
def test_an_answer_is_the_same_in_pieces_of_any_size(data: bytes, step: int) -> None:
    pieces = iter([data[at : at + step] for at in range(0, len(data), step)])
    reply = Reply("GET")
    while reply.head is None:
        reply.take(next(pieces))
    assert reply.head.status == 200
    assert b"".join(reply.body(lambda: next(pieces))) == b"hello"
    assert not reply.is_last


@pytest.mark.parametrize("data", WHOLE)
def test_bytes_that_nobody_asked_for_end_the_connection(data: bytes) -> None:
    reply = Reply("GET")
    reply.take(data + b"HTTP/1.1 200 OK\r\n")
    assert b"".join(reply.body(bytes)) == b"hello"
    assert reply.is_last


GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def is_final(reply: Reply) -> bool:
    return reply.head is not None


@pytest.mark.parametrize("interim", [GO_ON, b"HTTP/1.1 100\r\n\r\n", GO_ON * 3000])
def test_to_go_on_is_heard_and_the_answer_after_it_is_the_answer(interim: bytes) -> None:
    reply = Reply("PUT")
    assert reply.take(interim)
    assert not is_final(reply)
    assert reply.take(OK + b"ab")
    assert reply.head is not None
    assert (reply.head.status, reply.ahead(9)) == (200, b"ab")


def test_to_go_on_and_the_answer_may_come_in_one_piece_or_in_any_two() -> None:
    whole = GO_ON + OK + b"ab"
    for cut in range(1, len(whole)):
        reply = Reply("PUT")
        reply.take(whole[:cut])
        if not is_final(reply):
            assert reply.take(whole[cut:]), cut
        assert reply.head is not None, cut
        assert reply.head.status == 200, cut


def test_other_interim_answers_are_no_leave_to_go_on() -> None:
    reply = Reply("PUT")
    assert not reply.take(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    assert reply.take(GO_ON)
    assert reply.head is None
