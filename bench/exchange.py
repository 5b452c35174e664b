"""HTTP/1.1 as far as the sink needs it: one request head, one body, one answer at a time.

It trusts its peers, which are the programs being measured, and spends as little as it can on them.
"""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

#: One read from a socket takes at most this many bytes.
_BUFFER = 2**20
_REASONS = {100: "Continue", 200: "OK", 204: "No Content", 206: "Partial Content"}


@dataclass(frozen=True)
class Head:
    """A request without its body; header names are in lower case."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return int(self.headers.get("content-length", "0"))


class Exchange:
    """One connection, seen from the sink."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = memoryview(bytearray(_BUFFER))
        self._early = b""

    def head(self) -> Head | None:
        """The next request; None when the client has hung up."""
        data = self._early
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = self.sock.recv(65536)
            if not more:
                return None
            data += more
        self._early = data[end + 4 :]
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        url = urlsplit(target)
        path = tuple(unquote(step) for step in url.path.strip("/").split("/"))
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return Head(method, path, dict(parse_qsl(url.query)), headers)

    def body(self, head: Head) -> Iterator[memoryview]:
        """The body, piece by piece; each piece is valid until the next one is asked for."""
        left = head.length
        if left and head.headers.get("expect", "").lower() == "100-continue" and not self._early:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if left and self._early:
            early, self._early = self._early[:left], self._early[left:]
            left -= len(early)
            yield memoryview(early)
        while left:
            count = self.sock.recv_into(self._buffer, min(left, _BUFFER))
            if not count:
                raise ConnectionResetError("the client hung up in mid-body")
            left -= count
            yield self._buffer[:count]

    def answer(self, status: int, headers: Mapping[str, object], body: bytes = b"") -> None:
        """Send an answer; `content-length` in `headers` stands for a body that follows, or that a
        HEAD leaves out.
        """
        fields = {"content-length": len(body), "opc-request-id": "sink"} | dict(headers)
        if status == 204:
            del fields["content-length"]
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'No')}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
