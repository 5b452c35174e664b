"""One connection's bytes: heads through h11, bodies straight from the socket.

h11 parses and writes every head; a body of known length is read from the socket itself,
because the copies in between would cost more than the hashing. Nothing here knows of OCI.
"""

import contextlib
import http
import socket
import struct
from collections.abc import Mapping

import h11

_MAX_HEAD = 128 * 1024
_RESET = struct.pack("ii", 1, 0)


def _encode(value: str) -> bytes:
    """What came in a header goes back as it came; what came in JSON goes out as UTF-8."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


class Wire:
    """A connected socket (plain or TLS) that speaks HTTP/1.1, one request at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = b""
        self._http = h11.Connection(h11.SERVER, _MAX_HEAD)

    def read_request(self, timeout: float) -> h11.Request | None:
        """The next head; None when the client is done. h11.RemoteProtocolError: not HTTP."""
        self._sock.settimeout(timeout)
        self._http = h11.Connection(h11.SERVER, _MAX_HEAD)
        if self._ahead:
            self._http.receive_data(self._ahead)
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(self._sock.recv(65536))
            elif isinstance(event, h11.Request):
                self._ahead = self._http.trailing_data[0]
                return event
            else:
                return None

    def set_timeout(self, timeout: float) -> None:
        """For every single read and write from now on."""
        self._sock.settimeout(timeout)

    def read_into(self, view: memoryview) -> int:
        """Some bytes of the body, at most the size of `view`; 0 at the end of the stream."""
        if self._ahead:
            size = min(len(view), len(self._ahead))
            view[:size] = self._ahead[:size]
            self._ahead = self._ahead[size:]
            return size
        return self._sock.recv_into(view)

    def send_continue(self) -> None:
        """100 Continue."""
        self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def send_head(self, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
        """The head of the answer, and a small body in the same write."""
        response = h11.Response(
            status_code=status,
            headers=[(name.encode(), _encode(value)) for name, value in headers.items()],
            reason=http.HTTPStatus(status).phrase.encode(),
        )
        self._send(response, content)

    def _send(self, event: h11.InformationalResponse | h11.Response, content: bytes = b"") -> None:
        data = self._http.send(event)
        self._sock.sendall((data or b"") + content)

    def send_raw(self, data: bytes | memoryview) -> None:
        """Bytes as they are."""
        self._sock.sendall(data)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def linger(self, seconds: float, limit: int) -> int:
        """Say that we are done, then read on until the client is, too; returns bytes read.

        Without this, a close with unread bytes resets the connection, and the client may
        lose the answer.
        """
        read = 0
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
            self._sock.settimeout(seconds)
            buffer = memoryview(bytearray(65536))
            while read < limit and (size := self._sock.recv_into(buffer)):
                read += size
        return read
