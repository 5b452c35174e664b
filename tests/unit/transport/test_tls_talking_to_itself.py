"""TLS wants to write while we read: nothing has broken."""

import socket
import ssl
import threading

from ocihaul.transport.channel import Timeouts
from ocihaul.transport.connection import Connection
from ocihaul.transport.message import Request


class Renegotiating:
    """A socket whose every other read has to write first."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.wanted = 0
        self._turn = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        self._turn = not self._turn
        if self._turn:
            self.wanted += 1
            raise ssl.SSLWantWriteError
        return self._sock.recv(size)


def test_a_read_that_wants_to_write_is_no_break() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sock = Renegotiating(ours)
        theirs.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        connection = Connection(
            sock,  # type: ignore[arg-type]  # a double
            timeouts=Timeouts(read=5.0),
            stop=threading.Event(),
        )
        answer = connection.exchange(Request("GET", "/n", {"host": "x"}))
    assert (answer.status, answer.body) == (200, b"ok")
    assert sock.wanted
