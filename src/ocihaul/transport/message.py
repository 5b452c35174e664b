"""An HTTP/1.1 message: its parts as values, the bytes of a request, and an answer as it arrives.

An answer whose head has the usual shape is read by one expression (`usual_head`). h11 reads every
other one."""

import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ocihaul.transport.unusual import UnusualAnswer

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


# RFC 9110: a token, and what a field's value may have; bytes above 0x7f are of no known encoding.
_NAME = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_REQUEST = re.compile(rf"{_NAME} [!-~]+ HTTP/1\.1\r\n(?:{_NAME}: [ -~]*\r\n)+\r\n")
_STATUS = r"HTTP/1\.1 ([2-5][0-9][0-9])(?: [ -~\t]*)?\r\n"
_FIELDS = rf"((?:{_NAME}:[ -~\t\x80-\xff]*\r\n)+)\r\n"
_ANSWER = re.compile((_STATUS + _FIELDS).encode())
_CONTINUE = re.compile(rb"HTTP/1\.1 100(?: [ -~\t]*)?\r\n\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """Status and headers, names in lower case; of a repeated header the last.

    `length` is that of the body in bytes, None where something else than Content-Length frames it.
    `stays_open` says whether the connection may be used once more after the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    length: int | None
    stays_open: bool

    @classmethod
    def of(
        cls, method: str, status: int, headers: Mapping[str, str], *, version: bytes = b"1.1"
    ) -> "AnswerHead":
        """From headers that are known to be sound, in answer to a request with this method."""
        length: int | None = None
        if method == "HEAD" or status in {204, 304}:
            length = 0
        elif "transfer-encoding" not in headers and "content-length" in headers:
            length = int(headers["content-length"])
        stays_open = version == b"1.1"
        if "connection" in headers:
            options = {wish.strip().lower() for wish in headers["connection"].split(",")}
            stays_open = stays_open and "close" not in options
        return cls(status, headers, length, stays_open)


def request_head(request: Request) -> bytes:
    """The request without its body. Raises ValueError for what would not be one request."""
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    text = f"{request.method} {request.target} HTTP/1.1\r\n{''.join(lines)}\r\n"
    # A value with a line break in it would look like two headers: there must be no line more.
    if not _REQUEST.fullmatch(text) or text.count("\r\n") != len(lines) + 2:
        raise ValueError(f"a request whose head is not HTTP: {request.method}")
    return text.encode("ascii")


def usual_head(method: str, data: bytes) -> tuple[AnswerHead, bytes] | None:
    """The final answer that `data` begins with, and the bytes that follow its head.

    None unless it is there as a whole and as most are: HTTP/1.1, no line folded, nothing
    repeated, and a body of a known length or none.
    """
    found = _ANSWER.match(data)
    if found is None:
        return None
    headers = {}
    lines = found[2].decode("latin-1").split("\r\n")
    lines.pop()  # after the last break there is nothing
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if "transfer-encoding" in headers or len(headers) != len(lines):
        return None
    if not _LENGTH.fullmatch(headers.get("content-length", "0")):
        return None
    head = AnswerHead.of(method, int(found[1]), headers)
    return None if head.length is None else (head, data[found.end() :])


#: The largest head, and the largest trailer, bytes; metadata of an object has 4,000 at most.
MOST_HEAD = 64 * 1024


class Reply:
    """The answer to one request. `head` is None until the head of the final answer is there.

    `is_last`: no other answer can follow on the same connection.
    """

    def __init__(self, method: str) -> None:
        self.head: AnswerHead | None = None
        self.is_last = True  # until it has ended well
        self._method = method
        self._ahead = b""
        self._unusual: UnusualAnswer | None = None

    def take(self, data: bytes) -> bool:
        """Take in bytes of the head; True when they were `100 Continue` or the final answer.

        Empty bytes are the end of the connection. Raises WireError when it is no answer.
        """
        if not data:
            raise WireError("the server closed the connection without an answer")
        heard = False
        if self._unusual is None:
            while (go_on := _CONTINUE.match(data)) is not None:
                data, heard = data[go_on.end() :], True
            if heard and not data:
                return True
            usual = usual_head(self._method, data)
            if usual is not None:
                self.head, self._ahead = usual
                return True
            from ocihaul.transport.unusual import UnusualAnswer  # noqa: PLC0415  start-up time

            self._unusual = UnusualAnswer(self._method)
        heard = self._unusual.take(data) or heard
        if self._unusual.head is not None:
            self.head, self._ahead = self._unusual.head
        return heard

    def ahead(self, most: int) -> bytes:
        """What has come behind the head so far, at most so many bytes of it."""
        return self._ahead[:most]

    def body(self, receive: Callable[[], bytes]) -> Iterator[bytes]:
        """The body; `receive` waits for more bytes, none mean the end. Raises WireError."""
        if self.head is None or self.head.length is None:
            yield from self._framed(receive)
            return
        data, left = self._ahead, self.head.length
        while True:
            yield data[:left]
            left -= len(data)
            if left <= 0:
                break
            data = receive()
            if not data:
                raise WireError(f"the connection was closed, {left} bytes too early")
        self.finished(surplus=left < 0)

    def finished(self, *, surplus: bool | None = None) -> None:
        """The body has come, by whatever way; with a `surplus` that nobody asked for."""
        head = self.head
        if surplus is None:
            surplus = head is None or head.length is None or len(self._ahead) > head.length
        self.is_last = surplus or head is None or not head.stays_open

    def _framed(self, receive: Callable[[], bytes]) -> Iterator[bytes]:
        """A body whose end only its framing tells, or the end of the connection."""
        if self._unusual is None:
            raise AssertionError("an answer of the usual shape has a known length")
        yield from self._unusual.body(receive)
        self.finished(surplus=not self._unusual.goes_on)
