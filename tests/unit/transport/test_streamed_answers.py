"""Bodies that go into a sink: whole, cut, too long, framed in all ways, and what comes after."""

import socket
import threading
from collections.abc import Mapping

import pytest

from ocihaul.endpoints import Origin
from ocihaul.http.client import exchange
from ocihaul.transport.channel import Timeouts
from ocihaul.transport.connection import Connection
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.flows import Limiter
from ocihaul.transport.message import Answer, Request, Stopped, WireError
from ocihaul.transport.pool import Pool
from tests.unit.transport.test_hostile_hops import serving

HEAD = b"HTTP/1.1 200 OK\r\n"


class Bucket:
    """A sink of a fixed size with a small space."""

    def __init__(self, size: int, space: int = 7) -> None:
        self.got = bytearray()
        self.size = size
        self.ended = False
        self.heads: list[Mapping[str, str]] = []
        self._space = memoryview(bytearray(space))

    def wanted(self) -> Mapping[str, str]:
        return {"range": f"bytes={len(self.got)}-"}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        assert status == 200
        self.heads.append(headers)

    def space(self) -> memoryview:
        return self._space[: self.size - len(self.got)]

    def filled(self, count: int) -> None:
        self.got += self._space[:count]

    def end(self) -> None:
        self.ended = True
        if len(self.got) < self.size:
            raise WireError("the sink is not full")


def talk(sink: Bucket, *pieces: bytes, close: bool = False) -> Answer:
    return talk_twice(sink, *pieces, close=close)[0]


def talk_twice(sink: Bucket, *pieces: bytes, close: bool = False) -> tuple[Answer, bool]:
    """The answer, in these pieces, and whether the connection can carry another request."""

    def answer(sock: socket.socket, _: bytes) -> None:
        for piece in pieces:
            sock.sendall(piece)
        if close:
            sock.shutdown(socket.SHUT_RDWR)

    with serving(answer) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        connection = Connection(sock, timeouts=Timeouts(read=0.5), stop=threading.Event())
        try:
            request = Request("GET", "/", {"host": "x"}, sink=sink)
            return connection.exchange(request), connection.reusable
        finally:
            connection.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + b"content-length: 10\r\n\r\n0123456789",),
        (HEAD + b"content-length: 10\r\n\r\n", b"0123", b"456789"),
        (HEAD + b"content-length: 10\r\n\r\n012", b"3456789"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\n0123\r\n", b"6\r\n456789\r\n0\r\n\r\n"),
    ],
)
def test_a_body_goes_into_the_sink_however_it_is_framed(pieces: tuple[bytes, ...]) -> None:
    sink = Bucket(10)
    answer, reusable = talk_twice(sink, *pieces)
    assert bytes(sink.got) == b"0123456789"
    assert (answer.body, answer.body_received) == (b"", 10)
    assert sink.ended
    assert reusable


@pytest.mark.parametrize("tail", ["connection: close", "connection: keep-alive, Close"])
def test_a_connection_that_is_to_be_closed_is_not_used_again(tail: str) -> None:
    head = HEAD + f"content-length: 3\r\n{tail}\r\n\r\n".encode()
    assert talk_twice(Bucket(3), head, b"abc")[1] is False


def test_an_older_server_closes_and_that_ends_the_body() -> None:
    sink = Bucket(3)
    answer, reusable = talk_twice(sink, b"HTTP/1.0 200 OK\r\n\r\nabc", close=True)
    assert (bytes(sink.got), answer.status, reusable) == (b"abc", 200, False)


def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    assert talk_twice(Bucket(3), HEAD + b"content-length: 3\r\n\r\nabcHTTP/1.1 200")[1] is False


def test_an_empty_body() -> None:
    sink = Bucket(0)
    assert talk_twice(sink, HEAD + b"content-length: 0\r\n\r\n")[1] is True
    assert sink.ended


@pytest.mark.parametrize(
    ("pieces", "close", "message"),
    [
        ((HEAD + b"content-length: 10\r\n\r\n0123",), True, "6 bytes too early"),
        ((HEAD + b"content-length: 10\r\n\r\n", b"0123"), True, "6 bytes too early"),
        ((HEAD + b"content-length: 10\r\n\r\n", b"0123"), False, "more than 0.5 s"),
        ((HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\n0123\r\n",), True, "cut short"),
        ((b"HTTP/1.0 200 OK\r\n\r\n0123",), True, "the sink is not full"),
    ],
)
def test_a_cut_body_says_how_far_it_came(
    pieces: tuple[bytes, ...], close: bool, message: str
) -> None:
    sink = Bucket(10)
    with pytest.raises(WireError, match=message) as caught:
        talk(sink, *pieces, close=close)
    assert caught.value.body_received == 4
    assert bytes(sink.got) == b"0123"


@pytest.mark.parametrize("framing", [b"content-length: 5", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("apart", [False, True])
def test_a_body_that_is_too_long_is_refused(framing: bytes, apart: bool) -> None:
    body = b"5\r\nabcde\r\n0\r\n\r\n" if b"chunked" in framing else b"abcde"
    head = HEAD + framing + b"\r\n\r\n"
    sink = Bucket(3)
    with pytest.raises(WireError, match="longer"):
        talk(sink, *((head, body) if apart else (head + body,)))
    assert bytes(sink.got) == b"abc"


@pytest.mark.parametrize("status", ["404 Not Found", "304 Not Modified", "503 Busy"])
def test_an_error_stays_in_the_answer(status: str) -> None:
    body = b"" if status.startswith("304") else b'{"code": "No"}'
    sink = Bucket(10)
    answer = talk(sink, f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    assert answer.body == body
    assert sink.heads == []


def test_a_stop_is_heard_in_mid_body() -> None:
    stop = threading.Event()

    class Stopping(Bucket):
        def filled(self, count: int) -> None:
            super().filled(count)
            stop.set()

    with serving(lambda sock, _: sock.sendall(HEAD + b"content-length: 99\r\n\r\nabc")) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        connection = Connection(sock, timeouts=Timeouts(), stop=stop)
        with pytest.raises(Stopped):
            connection.exchange(Request("GET", "/", {"host": "x"}, sink=Stopping(99)))
        connection.close()


def test_the_next_answer_on_the_same_connection_is_its_own() -> None:
    """The body goes past h11, which must not wait for it in the next cycle."""
    served = 0

    def answer(sock: socket.socket, _: bytes) -> None:
        nonlocal served
        served += 1
        sock.sendall(HEAD + b"content-length: 20\r\n\r\n")
        sock.sendall(str(served).encode() * 20)

    with serving(answer) as port, Pool(Dialer(proxy=None, environ={})) as pool:
        origin = Origin.parse(f"http://127.0.0.1:{port}")
        for number in (1, 2, 3):
            sink = Bucket(20)
            exchange(pool, origin, Request("GET", "/", {"host": "x"}, sink=sink))
            assert bytes(sink.got) == str(number).encode() * 20
        plain = exchange(pool, origin, Request("GET", "/", {"host": "x"}))
        assert plain.body == b"4" * 20


def test_a_bandwidth_limits_what_comes_in() -> None:
    asked: list[int] = []

    class Counting(Limiter):
        def delay(self, count: int) -> float:
            asked.append(count)
            return super().delay(count)

    size = 100_000
    with serving(
        lambda sock, _: sock.sendall(HEAD + b"content-length: %d\r\n\r\n" % size + bytes(size))
    ) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        limiter = Counting(lambda: 1e6)
        connection = Connection(sock, timeouts=Timeouts(), stop=threading.Event(), limiter=limiter)
        connection.exchange(Request("GET", "/", {"host": "x"}, sink=Bucket(size, space=size)))
        connection.close()
    assert max(asked) <= 50_000, "in portions, so that it flows evenly"
    assert sum(asked) > 0
