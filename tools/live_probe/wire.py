"""Single requests, sent as they are: no retries, and every answer is looked at."""

import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from ocihaul.clock import ServerClock
from ocihaul.documents import DocumentError, read_object
from ocihaul.endpoints import Origin
from ocihaul.http.client import exchange
from ocihaul.session.credential import AnonymousAuth, Credential, CredentialProvider
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request, request_head
from ocihaul.transport.pool import Pool

#: Bytes of bodies that a run may send and receive in all.
MOST_TRAFFIC = 190_000_000
#: How often a request that is throttled (429, 503) goes out, and the pause between, seconds.
_TRIES, _PAUSE = 5, 1.1


class UnclearError(Exception):
    """The answers say nothing about what was asked; the text has no personal value."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One head from the service, its body read."""

    status: int
    headers: Mapping[str, str]

    @property
    def is_interim(self) -> bool:
        """Whether it is 1xx: the final one is still to come."""
        return self.status < 200


class Talk:
    """One connection on which what is sent and what is heard can be told apart."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._heard = b""
        self.is_open = True

    def send(self, data: bytes) -> bool:
        """Return whether it could be handed over: False once the other side has closed."""
        self._sock.settimeout(60.0)
        try:
            self._sock.sendall(data)
        except OSError:
            self.is_open = False
        return self.is_open

    def hear(self, seconds: float) -> Heard | None:
        """Return the next head that comes within `seconds`; None when there is none."""
        until = time.monotonic() + seconds
        while b"\r\n\r\n" not in self._heard:
            if not self._receive(until):
                return None
        head, _, self._heard = self._heard.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[1].isdecimal():
            raise UnclearError("an answer that is not HTTP")
        pairs = (line.partition(":") for line in lines)
        heard = Heard(int(words[1]), {name.lower(): value.strip() for name, _, value in pairs})
        length = heard.headers.get("content-length", "0")
        missing = 0 if heard.is_interim or not length.isdecimal() else int(length)
        while len(self._heard) < missing:
            if not self._receive(until):
                return heard
        self._heard = self._heard[missing:]
        return heard

    def _receive(self, until: float) -> bool:
        left = until - time.monotonic()
        if not self.is_open or left <= 0:
            return False
        self._sock.settimeout(left)
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self.is_open = bool(data)
        self._heard += data
        return self.is_open

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


@dataclass(slots=True)
class Wire:
    """Sends to one origin. `traffic` counts the bytes of bodies, both ways."""

    dialer: Dialer
    pool: Pool
    origin: Origin
    credentials: CredentialProvider
    clock: ServerClock = field(default_factory=ServerClock)
    traffic: int = 0

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        document: object = None,
        signed: bool = True,
        credential: Credential | None = None,
        tries: int = _TRIES,
    ) -> Answer:
        """Send one request and return its answer, whatever it is.

        `path` is quoted already. It goes out again only where it was throttled (`tries` in all),
        and once with a newer credential where the session has one. Raises WireError.
        """
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        given = credential is not None or not signed
        for attempt in range(tries):
            used = credential or self._credential(signed=signed)
            request = self._request(
                method, target, used, headers=headers or {}, body=body, document=document
            )
            self._count(len(request.body) if isinstance(request.body, bytes) else 0)
            offset = self.clock.offset
            answer = exchange(self.pool, self.origin, request)
            self._count(len(answer.body))
            moved = self.clock.observe(answer.headers.get("date"), signed_with=offset)
            if answer.status == 401 and attempt == 0 and not given:
                stop = threading.Event()
                if moved or self.credentials.handle_unauthorized(used, "probe", stop):
                    continue
            if answer.status not in {429, 503} or attempt == tries - 1:
                return answer
            time.sleep(_PAUSE)
        return answer

    def talk(self) -> Talk:
        """Open a connection of its own."""
        return Talk(self.dialer.open(self.origin))

    def head(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, length: int = 0
    ) -> bytes:
        """The head of a signed request, for a `Talk`; the caller sends its `length` bytes."""
        self._count(length)
        sized = {**(headers or {}), **({"content-length": str(length)} if length else {})}
        request = self._request(method, path, self._credential(signed=True), headers=sized)
        return request_head(self.dialer.route(self.origin, request))

    def _credential(self, *, signed: bool) -> Credential:
        return self.credentials.credential() if signed else AnonymousAuth().credential()

    def _request(
        self,
        method: str,
        target: str,
        credential: Credential,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        document: object = None,
    ) -> Request:
        json_body = None if document is None else json.dumps(document).encode()
        whole = credential.sign(
            method=method,
            target=target,
            host=self.origin.host_header,
            date=self.clock.http_date(),
            json_body=json_body,
        )
        whole |= {"accept": "application/json", **headers}
        if body is not None:
            whole["content-length"] = str(len(body))
        return Request(method, target, whole, json_body if body is None else body)

    def _count(self, size: int) -> None:
        self.traffic += size
        if self.traffic > MOST_TRAFFIC:
            raise UnclearError("the limit of traffic is reached")


def code(answer: Answer) -> str | None:
    """The code of an error of the service."""
    try:
        found = read_object(answer.body).get("code")
    except DocumentError:
        return None
    return found if isinstance(found, str) else None


def need(answer: Answer, what: str, *statuses: int) -> Answer:
    """The answer, if its status is one of these (2xx without any). Raises UnclearError."""
    if answer.status in statuses or (not statuses and 200 <= answer.status < 300):
        return answer
    raise UnclearError(f"{what}: {answer.status} {code(answer) or ''}".rstrip())
