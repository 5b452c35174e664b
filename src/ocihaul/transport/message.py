"""What goes over a connection and what can go wrong there, as values."""

import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: What is read of the body of an error, bytes; the rest is left, and the connection closed.
ERROR_LIMIT = 64 * 1024
#: The largest document that an answer may bring, bytes; a page of a list may be larger.
DOCUMENT_LIMIT = 2**20

Block = bytes | bytearray | memoryview


class Body(Protocol):
    """A request body that can be sent again: each call of `blocks` starts over."""

    @property
    def length(self) -> int:
        """Bytes in all."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The bytes in order; a block is only valid until the next one is asked for."""
        ...

    def sent(self, count: int) -> None:
        """`count` more bytes were handed to the connection."""
        ...


class Sink(Protocol):
    """Takes the body of a 2xx answer as it arrives.

    It remembers what it has: after a break, the next answer brings what is missing.
    """

    def wanted(self) -> Mapping[str, str]:
        """The headers that ask for what is missing."""
        ...

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of a 2xx answer. Raises WireError when it does not bring what was wanted."""
        ...

    def space(self) -> memoryview:
        """Where the next bytes go; empty when there is nothing missing."""
        ...

    def filled(self, count: int) -> None:
        """The first `count` bytes of the space have arrived."""
        ...

    def end(self) -> None:
        """The answer is over. Raises WireError when something is still missing."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, headers complete. `target` is path and query as they go on the wire.

    With a `sink` the body of a 2xx answer goes there; that of any other stays in the answer.
    `answer_limit` is how many bytes of a 2xx answer are held in memory without a sink at most.
    `patient`: however slowly a body moves, it is not ended for that.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Body | None = field(default=None, repr=False)
    sink: Sink | None = field(default=None, repr=False)
    answer_limit: int = DOCUMENT_LIMIT
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer. `headers` has lower-case names. `body_sent` counts request body bytes,
    `body_received` those that went into a sink; `connection` is the number of the one it came over.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    body_sent: int
    body_received: int = 0
    #: The request had gone out before, and it is not known what became of that.
    resent: bool = False
    connection: int | None = None


class WireError(Exception):
    """The exchange ended without a whole answer.

    `body_sent` counts request body bytes, `body_received` those that a sink has got.
    """

    def __init__(self, message: str, *, body_sent: int = 0, stale: bool = False) -> None:
        super().__init__(message)
        self.body_sent = body_sent
        self.body_received = 0
        #: The number of the connection, None where none was made.
        self.connection: int | None = None
        #: The connection had been idle and was closed before a byte of an answer came.
        self.stale = stale


class Unreachable(WireError):
    """No connection was made: the name is not known, or nothing answers at its addresses."""


class Stalled(WireError):
    """The body moved far too slowly: a new connection is likely to bring it sooner."""


def excerpt(text: object, most: int = 2048) -> str:
    """The beginning of a text that is not ours: it may be of any length."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[:most]}… ({len(whole)} characters)"


class StopSign(Protocol):
    """Whether to stop; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """True once what is under way is to end."""
        ...


class Stopped(Exception):
    """The stop event was set while the exchange was under way."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the other side has acknowledged, all bytes since the connection was opened.

    `silent` is how long bytes have been under way without an acknowledgement of any, seconds; 0
    where none are under way.
    """

    count: int
    silent: float


if sys.platform == "linux":
    import fcntl
    import termios

    # struct tcp_info of linux/tcp.h: eight bytes, 24 times u32, and u64 from there on.
    _UNACKED = struct.Struct("24xI")
    _LAST_ACK_RECEIVED = struct.Struct("56xI")  # milliseconds ago
    _BYTES_ACKED = struct.Struct("120xQ")  # since Linux 4.1

    def unacknowledged(sock: socket.socket) -> int:
        """Bytes handed to the socket that the other side has not acknowledged (SIOCOUTQ)."""
        try:
            answer = fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:  # closed meanwhile, or no TCP
            return 0
        count: int = struct.unpack("i", answer)[0]
        return count

    def acknowledged(sock: socket.socket) -> Acknowledged | None:
        """What was acknowledged (TCP_INFO); None where the system does not tell."""
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        except OSError:  # closed meanwhile, or no TCP
            return None
        if len(info) < _BYTES_ACKED.size:
            return None
        waiting = _UNACKED.unpack_from(info)[0]
        silent = _LAST_ACK_RECEIVED.unpack_from(info)[0] / 1000 if waiting else 0.0
        return Acknowledged(_BYTES_ACKED.unpack_from(info)[0], silent)

else:

    def unacknowledged(sock: socket.socket) -> int:  # noqa: ARG001  the same everywhere
        """Not known here: what was handed over counts as gone."""
        return 0

    def acknowledged(sock: socket.socket) -> Acknowledged | None:  # noqa: ARG001
        """Not known here."""
        return None
