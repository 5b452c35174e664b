"""What is read from the network has an end: in bytes, in time, in the text that is shown."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from ocihaul.errors import ServiceError
from ocihaul.http.retry import service_error
from ocihaul.session.credential import Credential
from ocihaul.session.policy import Refused
from ocihaul.session.providers import read_answer
from ocihaul.transport.channel import Timeouts
from ocihaul.transport.connection import Connection
from ocihaul.transport.message import DOCUMENT_LIMIT, ERROR_LIMIT, Answer, Request, WireError
from tests.support import NOW, rsa_key
from tests.unit.transport.test_hostile_hops import serving
from tests.world import world

GET = Request("GET", "/n", {"host": "x"})
MOST = 64 * 2**20


class Talker:
    """Answers with a head and then with what `pieces` gives; counts what was taken."""

    def __init__(self, head: bytes, pieces: Callable[[], Iterator[bytes]]) -> None:
        self.head = head
        self.pieces = pieces
        self.sent = 0

    def __call__(self, sock: socket.socket, _: bytes) -> None:
        sock.sendall(self.head)
        for piece in self.pieces():
            sock.sendall(piece)
            self.sent += len(piece)
            if self.sent > MOST:  # so that a failure of this test has an end
                return


@contextmanager
def connected(talker: Talker, read: float = 60.0) -> Iterator[Connection]:
    with serving(talker) as port:
        sock = socket.create_connection(("127.0.0.1", port))
        connection = Connection(sock, timeouts=Timeouts(read=read), stop=threading.Event())
        yield connection
        connection.close()


def without_end(piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        while True:
            yield piece

    return pieces


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_finding_a16_of_an_error_64_kib_are_read_and_the_connection_closed(status: int) -> None:
    size = 27_000_000
    head = f"HTTP/1.1 {status} No\r\ncontent-length: {size}\r\n\r\n".encode()
    talker = Talker(head, without_end(bytes(65536)))
    with connected(talker) as connection:
        answer = connection.exchange(GET)
        assert answer.status == status
        assert len(answer.body) <= ERROR_LIMIT
        assert not connection.reusable
    assert talker.sent < size


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ],
)
def test_finding_a16_a_document_is_read_up_to_what_one_may_have(head: bytes) -> None:
    talker = Talker(head, without_end(bytes(65536)))
    with connected(talker) as connection, pytest.raises(WireError, match="longer than 1048576"):
        connection.exchange(GET)
    assert DOCUMENT_LIMIT < talker.sent < MOST


def test_a_page_of_a_list_may_be_larger() -> None:
    size = 3 * DOCUMENT_LIMIT
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode()
    talker = Talker(head, lambda: iter([bytes(size)]))
    with connected(talker) as connection:
        assert len(connection.exchange(replace(GET, answer_limit=2 * size)).body) == size


@pytest.mark.parametrize(
    "piece",
    [
        b"1;" + 1000 * b"x" + b"\r\n.\r\n",  # a byte in a chunk with an extension
        b"1" * 1000,  # the size of a chunk without end
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_finding_a04_chunks_that_are_little_but_framing_have_an_end(
    piece: bytes, status: int
) -> None:
    head = f"HTTP/1.1 {status} OK\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    talker = Talker(head, without_end(piece))
    with connected(talker) as connection:
        if status == 200:
            with pytest.raises(WireError):
                connection.exchange(GET)
        else:
            assert len(connection.exchange(GET).body) <= ERROR_LIMIT
            assert not connection.reusable
    assert talker.sent < MOST


def test_finding_a04_trailers_have_an_end() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    talker = Talker(head, without_end(b"x: y\r\n" * 1000))
    with connected(talker) as connection, pytest.raises(WireError, match="cut short"):
        connection.exchange(GET)
    assert talker.sent < MOST


@pytest.mark.parametrize("line", [b"x: y\r\n" * 1000, b"x" * 6000])
def test_finding_a16_a_head_has_an_end(line: bytes) -> None:
    talker = Talker(b"HTTP/1.1 200 OK\r\n", without_end(line))
    with connected(talker) as connection, pytest.raises(WireError) as caught:
        connection.exchange(GET)
    assert talker.sent < MOST
    assert len(str(caught.value)) < 1000


def test_finding_a16_rubbish_is_not_repeated_at_length() -> None:
    talker = Talker(b"", lambda: iter([b"SSH" + 20_000 * b"x" + b"\r\n\r\n"]))
    with connected(talker) as connection, pytest.raises(WireError, match="not HTTP") as caught:
        connection.exchange(GET)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("status", [200, 400])
def test_finding_a04_a_body_that_drips_is_no_progress(status: int) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(400):  # 20 seconds, so that a failure of this test has an end
            yield b"x"
            time.sleep(0.05)

    head = f"HTTP/1.1 {status} OK\r\ncontent-length: 4000\r\n\r\n".encode()
    talker = Talker(head, pieces)
    with connected(talker, read=0.4) as connection:
        if status == 200:
            with pytest.raises(WireError, match=r"more than 0\.4 s to finish"):
                connection.exchange(GET)
        else:
            assert connection.exchange(GET).status == 400
    assert 0 < talker.sent < 400


def test_finding_a16_a_message_is_cut() -> None:
    message = 50_000 * "m"
    body = json.dumps({"code": 9000 * "c", "message": message}).encode()
    error = service_error(Answer(400, {"opc-request-id": 9000 * "r"}, body, 0), "PutObject")
    assert message[:1000] in str(error)
    assert len(str(error)) < 4000


def test_finding_a16_a_refusal_of_the_auth_service_is_cut() -> None:
    body = json.dumps({"code": "X", "message": 50_000 * "m"}).encode()
    credential = Credential(rsa_key(), "k", 1)
    outcome = read_answer(Answer(400, {}, body, 0), credential, asked="auth", now=NOW)
    assert isinstance(outcome, Refused)
    assert len(outcome.reason) < 4000


def test_finding_a16_an_error_of_27_mb_is_told_in_a_line(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(1000)
        fault = w.oci.faults.add(Fault(operation="PutObject", status=400, message=27_000_000 * "m"))
        with pytest.raises(ServiceError) as caught:
            w.upload(source)
        assert fault.fired == 1
        assert caught.value.status == 400
        assert "more than 64 KiB" in caught.value.message
        assert len(str(caught.value)) < 1000
