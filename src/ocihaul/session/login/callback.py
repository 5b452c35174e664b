"""The small web server that the browser comes back to after a login.

It listens on 127.0.0.1 only. The login service puts its answer into the URL's fragment, which
browsers send to no server: so the page here reads it, removes it from the browser's history, and
posts it. A post must come from that page: right Host, right Origin, and the secret that only the
page was given. Other clients are limited in connections at once, and each connection in bytes and
seconds.
"""

import errno
import io
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Self
from urllib.parse import parse_qsl

from ocihaul.errors import OcihaulError, TooManyThreadsError, TransferCancelled
from ocihaul.threads import StopSign, start_as_many


def page(*, nonce: str, secret: str) -> bytes:
    """Return the page; `nonce` allows its script and style, `secret` authorizes its post."""
    text = files(__package__).joinpath("login.html").read_text(encoding="utf-8")
    return text.replace("@NONCE@", nonce).replace("@SECRET@", secret).encode()


#: Bytes of an answer of the login page.
_LONGEST_BODY = 64 * 1024
_LENGTH = re.compile(r"[0-9]{1,9}")
#: Bytes of a request in all, and seconds from its connection to its last byte.
_LONGEST_REQUEST = _LONGEST_BODY + 32 * 1024
_REQUEST_TIMEOUT = 10.0
#: Connections at once; a browser opens six.
_MOST_CONNECTIONS = 32
#: Fields of an answer; the login page sends about six.
_MOST_FIELDS = 50
_SECRET_HEADER = "x-ocihaul-secret"  # noqa: S105  a header's name
#: How often `wait` checks for a stop, seconds.
_STOP_POLL_INTERVAL = 0.2


@dataclass(frozen=True, slots=True)
class CallbackReply:
    """The reply to an answer: the text for the browser, and whether it ends the login."""

    text: str
    good: bool
    final: bool


#: Judges the fields of an answer; never called twice at once, nor again after a final reply.
Judge = Callable[[Mapping[str, str]], CallbackReply]


class Callback:
    """Waits for the browser; listening begins with the object. Close it, or use it as a context."""

    def __init__(self, port: int, judge: Judge) -> None:
        """Raises OcihaulError when the port is taken, TooManyThreadsError when no thread can start.

        Port 0 takes any that is free.
        """
        self._judge = judge
        self._lock = threading.Lock()  # guards _reply; one answer is judged at a time
        self._reply: CallbackReply | None = None
        self._done = threading.Event()
        self.secret = secrets.token_urlsafe(32)
        try:
            self._server = _Server(port, self)
        except OSError as error:
            raise _cannot_listen(port, error) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="ocihaul-login", daemon=True
        )
        try:
            start_as_many([self._thread])
        except TooManyThreadsError:
            self._server.server_close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5.0)

    @property
    def hosts(self) -> frozenset[str]:
        """The values of Host in requests that are for this server."""
        return frozenset({f"localhost:{self.port}", f"127.0.0.1:{self.port}"})

    def wait(self, timeout: float, stop: StopSign) -> bool:
        """Wait until the browser has the final reply; returns False after `timeout` seconds.

        Raises TransferCancelled when `stop` is set.
        """
        end = time.monotonic() + timeout
        while not self._done.wait(max(0.0, min(_STOP_POLL_INTERVAL, end - time.monotonic()))):
            if stop.is_set():
                raise TransferCancelled("the login was stopped")
            if time.monotonic() >= end:
                return False
        return True

    def receive(self, fields: Mapping[str, str]) -> CallbackReply:
        """Judge an answer; the first final reply stands for all later ones."""
        with self._lock:
            if self._reply is None or not self._reply.final:
                self._reply = self._judge(fields)
            return self._reply

    def delivered(self, reply: CallbackReply) -> None:
        """Note that the browser has a reply; a final one ends the wait."""
        if reply.final:
            self._done.set()


def fields_of(body: bytes) -> dict[str, str] | None:
    """Return the posted fields, the last of a repeated one; None where there are too many."""
    try:
        text = body.decode("utf-8", "replace")
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return None


class _Server(ThreadingHTTPServer):
    # Browsers open connections that they may never use: one thread each, which nothing waits for.
    daemon_threads = True
    # On Windows it lets another program share the port.
    allow_reuse_address = os.name == "posix"

    def __init__(self, port: int, callback: Callback) -> None:
        self.callback = callback
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, unless there are too many already."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a browser that went away; a traceback might quote the answer."""


class _Bounded(io.RawIOBase):
    """A connection that can be read for a limited number of bytes and seconds.

    Raises TimeoutError after its seconds, which ends the connection.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._left = _LONGEST_REQUEST
        self._end = time.monotonic() + _REQUEST_TIMEOUT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if not self._left:  # to receive 0 bytes means to receive what there is room for
            return 0
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer, min(len(buffer), self._left))
        self._left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_TIMEOUT

    def setup(self) -> None:
        """Limit what can be read."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Bounded(self.connection))

    def version_string(self) -> str:
        return "ocihaul"

    def log_message(self, *_: object) -> None:
        """Log nothing: paths may contain secrets."""

    def do_GET(self) -> None:
        """Send the page to the browser that the login service has sent here."""
        if not self._is_for_us():
            return
        if self.path.partition("?")[0] != "/":
            self._answer(404, "text/plain", b"There is nothing here.\n")
            return
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        content = page(nonce=nonce, secret=self.server.callback.secret)
        self._answer(200, "text/html; charset=utf-8", content, policy=policy)

    def do_POST(self) -> None:
        """Take the answer of the login service from our page."""
        callback = self.server.callback
        if not self._is_for_us():
            return
        secret = self.headers.get(_SECRET_HEADER, "")
        at_home = self.headers.get("origin") == f"http://{self.headers.get('host')}"
        known = secrets.compare_digest(secret.encode(), callback.secret.encode())
        if self.path != "/token" or not at_home or not known:
            self._answer(403, "text/plain", b"This did not come from our own page.\n")
            return
        length = self.headers.get("content-length", "")
        if not _LENGTH.fullmatch(length) or int(length) > _LONGEST_BODY:
            self._answer(413, "text/plain", b"That is no answer of a login page.\n")
            return
        body = self.rfile.read(int(length))
        fields = fields_of(body) if len(body) == int(length) else None
        if fields is None:
            self._answer(400, "text/plain", b"That is no answer of a login page.\n")
            return
        reply = callback.receive(fields)
        document = {"good": reply.good, "text": reply.text}
        try:
            self._answer(200, "application/json", json.dumps(document).encode())
            self.wfile.flush()
        finally:  # also when the browser has gone: the reply stands
            callback.delivered(reply)

    def _is_for_us(self) -> bool:
        """Return whether Host names this server: another name comes from DNS rebinding."""
        named = self.headers.get_all("host") or []
        if len(named) == 1 and named[0] in self.server.callback.hosts:
            return True
        self._answer(403, "text/plain", b"The Host header names another server.\n")
        return False

    def _answer(self, status: int, kind: str, content: bytes, *, policy: str | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy or "default-src 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _cannot_listen(port: int, error: OSError) -> OcihaulError:
    if error.errno == errno.EADDRINUSE:
        return OcihaulError(
            f"port {port} of 127.0.0.1 is taken, and the login page leads the browser to no other",
            hint="Another login may be waiting there: finish or stop it (to find it: "
            f"lsof -i :{port}, or ss -ltnp 'sport = :{port}') and try again; or use an API key, "
            "with `no_browser`.",
        )
    return OcihaulError(
        f"port {port} of 127.0.0.1 cannot be listened on: {error.strerror}",
        hint="Use an API key, with `no_browser`; or log in on another machine.",
    )
