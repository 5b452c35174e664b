"""A call of the emulator: the request as a handler sees it, its operation, and both on the wire.

h11 parses and writes every head; a body of known length is read from the socket itself.
"""

import contextlib
import http
import json
import re
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11

from ocihaul.emulator.auth import Signatory
from ocihaul.emulator.objects import Intake
from ocihaul.emulator.responses import Answer, ApiError
from ocihaul.emulator.state import Service

_MAX_JSON = 8 * 2**20


@dataclass(slots=True)
class Call:
    """One request: its head, and `receive` to take its body in.

    A handler that raises before it calls `receive` answers from the headers alone.
    """

    method: str
    target: str
    headers: dict[str, str]
    content_length: int
    receive: Callable[[Callable[[memoryview], object]], None]
    path: str = field(init=False)
    query: dict[str, str] = field(init=False)
    parameters: dict[str, str] = field(default_factory=dict)
    signatory: Signatory | None = None
    #: The signature covers the hash of the body.
    body_signed: bool = False

    def __post_init__(self) -> None:
        self.path, _, query = self.target.partition("?")
        self.query = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            # All values count of a parameter that is repeated.
            self.query[name] = f"{self.query[name]},{value}" if name in self.query else value

    @property
    def namespace(self) -> str:
        """From the path."""
        return self.parameters.get("namespace", "")

    @property
    def bucket(self) -> str:
        """From the path."""
        return self.parameters.get("bucket", "")

    @property
    def name(self) -> str:
        """The object's name, from the path."""
        return self.parameters.get("object", "")

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A number from the query; 400 if it is none."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ApiError(400, "InvalidParameter", f"'{name}' is not a number")
        return int(text)

    def take_in(self, intake: Intake) -> None:
        """Receive the body into `intake`; on any failure it is dropped."""
        try:
            self.receive(intake.write)
            intake.close()
        except BaseException:
            intake.drop()
            raise

    def drain(self) -> None:
        """Receive a body that says nothing."""
        self._small_body()

    def form(self) -> dict[str, str]:
        """Receive the body as the fields of an HTML form."""
        return dict(parse_qsl(self._small_body().decode("utf-8", "replace")))

    def json(self) -> dict[str, Any]:
        """Receive the body as a JSON object; 400 if it is none."""
        try:
            value = json.loads(self._small_body())
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ApiError(400, "InvalidParameter", "The body is not a JSON object")
        return value

    def _small_body(self) -> bytes:
        if self.content_length > _MAX_JSON:
            raise ApiError(413, "RequestEntityTooLarge", "The request body is too large")
        data = bytearray()
        self.receive(data.extend)
        return bytes(data)


Handler = Callable[[Service, Call], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API. `path` is a pattern whose groups become the parameters."""

    name: str
    method: str
    path: re.Pattern[str]
    handler: Handler
    #: The body need not be covered by the signature (PutObject, UploadPart).
    bare_body: bool = False
    #: No signature is asked for.
    public: bool = False
    #: Only for requests in which this header is "true".
    header: str | None = None


def find(
    operations: tuple[Operation, ...], method: str, path: str, headers: Mapping[str, str]
) -> tuple[Operation | None, Mapping[str, str]]:
    """The operation that a request asks for, with what its path says."""
    for operation in operations:
        match = operation.path.fullmatch(path)
        if operation.header and headers.get(operation.header, "").lower() != "true":
            continue
        if match and operation.method == method:
            return operation, {
                name: unquote(value) for name, value in match.groupdict().items() if value
            }
    return None, {}


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
