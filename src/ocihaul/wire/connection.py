"""One HTTP/1.1 connection that listens while it talks.

An upload's answer may come before its body has gone out (401, 403, 412, 503), and a server that
answers early often closes without reading on. A client that only looks for the answer after the
last byte loses it to a reset. So the socket is non-blocking, and every wait is for both
directions. h11 frames the messages; this module moves them.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from typing import cast

import h11

from ocihaul.wire.inflow import Inflow
from ocihaul.wire.limiter import Limiter, unlimited
from ocihaul.wire.message import Answer, Body, Request, Sink, Stopped, StopSign, WireError
from ocihaul.wire.readiness import READ, WRITE, ready

#: How often a wait looks at the stop event, seconds.
_SLICE = 0.25
#: How long to listen for an answer once sending has failed, seconds.
_LAST_WORDS = 2.0
#: The largest answer that is held in memory, bytes; Object Storage's documents stay far below.
_MAX_ANSWER = 64 * 2**20

_WANT_READ = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)
_WANT_WRITE = (BlockingIOError, InterruptedError, ssl.SSLWantWriteError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for progress of any kind, and for `100 Continue`."""

    read: float = 60.0
    for_continue: float = 2.0


class Connection:
    """A connected socket and the protocol state on it. Used by one thread at a time."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        patience: Patience,
        stop: StopSign,
        limiter: Limiter | None = None,
    ) -> None:
        sock.settimeout(0.0)
        self._limiter = limiter or Limiter(unlimited)
        self._sock = sock
        self._patience = patience
        self._stop = stop
        self._protocol = _new_protocol()
        self._response: h11.Response | None = None
        self._body_sent = 0
        self._body_received = 0
        self._used = False
        self.reusable = False
        self.idle_since = 0.0

    def close(self) -> None:
        """Close the socket; harmless when it is closed already."""
        self.reusable = False
        self._sock.close()

    def is_quiet(self) -> bool:
        """Nothing has arrived while idle: neither a close nor bytes that nobody asked for."""
        return not ready(self._sock, READ, 0.0)

    def exchange(self, request: Request) -> Answer:
        """Send one request and return its final answer.

        Raises WireError when there is no answer, Stopped when the stop event is set. Afterwards
        `reusable` says whether the connection can carry another request.
        """
        self._response = None
        self._body_sent = self._body_received = 0
        self.reusable = False
        body = b""
        try:
            self._send_request(request)
            response = self._receive_head()
            status, headers = response.status_code, _headers(response)
            if request.sink is not None and 200 <= status < 300:
                request.sink.begin(status, headers)
                self._receive_into(request.sink, response)
                request.sink.end()
            else:
                body = self._receive_body(status)
        except WireError as error:
            error.body_sent, error.body_received = self._body_sent, self._body_received
            error.stale = self._used and not self._has_answer() and not self._body_sent
            raise
        self._used = True
        protocol = self._protocol
        self.reusable = protocol.our_state is h11.DONE and protocol.their_state is h11.DONE
        if protocol.trailing_data[0]:
            self.reusable = False  # nobody asked for it: it must not answer the next request
        if self.reusable:
            protocol.start_next_cycle()
        elif protocol.our_state is h11.IDLE:
            self.reusable = True  # the body went past h11
        return Answer(status, headers, body, self._body_sent, self._body_received)

    def _has_answer(self) -> bool:
        return self._response is not None

    # Sending. Each step stops as soon as the final answer is there.

    def _send_request(self, request: Request) -> None:
        body = request.body
        head = self._protocol.send(
            h11.Request(
                method=request.method,
                target=request.target,
                headers=list(request.headers.items()),
            )
        )
        if isinstance(body, bytes):
            head += self._protocol.send(h11.Data(data=body))
        self._send(memoryview(head))
        if isinstance(body, bytes):
            self._body_sent = len(body)
        elif body is not None:
            if "expect" in request.headers:
                self._wait_for_go_ahead()
            if self._has_answer() or not self._send_body(body):
                return
        if not self._has_answer():
            self._protocol.send(h11.EndOfMessage())

    def _wait_for_go_ahead(self) -> None:
        """Wait for `100 Continue` or a final answer, but not for ever.

        A server that ignores Expect, or is late, is allowed to: then the body goes out unasked.
        """
        deadline = time.monotonic() + self._patience.for_continue
        while (remaining := deadline - time.monotonic()) > 0:
            if self._poll(READ, min(remaining, _SLICE)) and self._listen():
                return

    def _send_body(self, body: Body) -> bool:
        """True when all of it went out, False when a final answer came before that.

        An answer that comes after the last byte is no early one, however fast it is.
        """
        for block in body.blocks():
            for portion in self._limiter.portions(memoryview(block)):
                self._await_turn(len(portion))
                if self._has_answer():
                    return False
                # h11 counts the bytes against Content-Length and hands back the portion itself,
                # which may be any bytes-like object.
                self._protocol.send_with_data_passthrough(h11.Data(data=cast("bytes", portion)))
                before = self._body_sent
                complete = self._send(portion, is_body=True)
                body.sent(self._body_sent - before)
                if not complete:
                    return False
        return True

    def _await_turn(self, count: int) -> None:
        """Let the time pass that `count` bytes have to wait, and hear an answer meanwhile."""
        left = self._limiter.delay(count)
        until = time.monotonic() + left
        while not self._has_answer():
            if self._poll(READ, min(left, _SLICE)):
                self._listen()
            if (left := until - time.monotonic()) <= 0:
                return

    def _send(self, data: memoryview, *, is_body: bool = False) -> bool:
        while data and not self._has_answer():
            try:
                count = self._sock.send(data)
            except _WANT_WRITE:
                self._wait_to_send(READ | WRITE)
            except ssl.SSLWantReadError:
                self._wait_to_send(READ)
            except OSError as error:
                self._hear_last_words(error)
            else:
                data = data[count:]
                self._body_sent += count if is_body else 0
        return not data

    def _wait_to_send(self, events: int) -> None:
        if self._wait(events, "to take the next bytes") & READ:
            self._listen()

    def _hear_last_words(self, error: OSError) -> None:
        """Sending failed: what the server said before it hung up may still be in our buffer."""
        deadline = time.monotonic() + _LAST_WORDS
        try:
            while not self._has_answer() and (left := deadline - time.monotonic()) > 0:
                if self._poll(READ, min(left, _SLICE)):
                    self._listen()
        except WireError:
            pass  # it said nothing; the failure to send is the better explanation
        if not self._has_answer():
            raise WireError(f"the connection broke while sending: {error}") from error

    # Receiving

    def _listen(self) -> bool:
        """Take in what has arrived; True when it was `100 Continue` or the final answer.

        False when it was only TLS talking to itself, or part of a header.
        """
        data = self._receive()
        if data is None:
            return False
        try:
            self._protocol.receive_data(data)
            return self._next_message()
        except h11.RemoteProtocolError as error:
            if not data:
                raise WireError("the server closed the connection without an answer") from error
            raise WireError(f"the answer is not HTTP: {error}") from error

    def _next_message(self) -> bool:
        heard = False
        while self._response is None:
            event = self._protocol.next_event()
            if isinstance(event, h11.InformationalResponse):
                heard = heard or event.status_code == 100
            elif isinstance(event, h11.Response):
                self._response = event
                heard = True
            elif isinstance(event, h11.ConnectionClosed):
                raise WireError("the server closed the connection without an answer")
            else:
                break
        return heard

    def _receive(self) -> bytes | None:
        """What is there to read: None for nothing yet, empty for the end."""
        try:
            while True:
                try:
                    return self._sock.recv(65536)
                except ssl.SSLWantWriteError:
                    # TLS has something of its own to say first (a key update): no break.
                    self._wait(WRITE, "to take the next bytes")
        except _WANT_READ:
            return None
        except OSError as error:
            raise WireError(f"the connection broke: {error}") from error

    def _receive_head(self) -> h11.Response:
        deadline = time.monotonic() + self._patience.read
        while self._response is None:
            self._wait(READ, "to answer", deadline=deadline)
            self._listen()
            if not self._has_answer() and time.monotonic() > deadline:
                # Headers that drip and 1xx answers without end are no progress.
                raise WireError(f"the server took more than {self._patience.read:g} s to answer")
        return self._response

    def _receive_body(self, status: int) -> bytes:
        body = bytearray()
        try:
            while True:
                event = self._protocol.next_event()
                if event is h11.NEED_DATA:
                    self._wait(READ, "to finish its answer")
                    self._protocol.receive_data(self._receive_some())
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > _MAX_ANSWER:
                        raise WireError(f"the answer is longer than {_MAX_ANSWER} bytes")
                else:
                    return bytes(body)
        except (h11.RemoteProtocolError, WireError) as error:
            if status >= 400:
                return bytes(body)  # the status is what counts; its text may be lost to a reset
            raise WireError(f"the answer was cut short: {error}") from error

    def _receive_into(self, sink: Sink, response: h11.Response) -> None:
        """The body into the sink: by h11 where it frames it, past it where its length is known."""
        length = _known_length(response)
        inflow = Inflow(self._sock, sink, self._patience.read, self._stop, self._limiter)
        try:
            if length is None:
                self._pour(inflow)
                return
            ahead = self._protocol.trailing_data[0]
            inflow.put(ahead[:length])
            inflow.read(length - len(ahead[:length]))
        except (h11.RemoteProtocolError, WireError) as error:
            raise WireError(f"the answer was cut short: {error}") from error
        finally:
            self._body_received = inflow.count
        if len(ahead) <= length and _stays_open(response):
            self._protocol = _new_protocol()  # the old one still waits for the body

    def _pour(self, inflow: Inflow) -> None:
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._wait(READ, "to finish its answer")
                self._protocol.receive_data(self._receive_some())
            elif isinstance(event, h11.Data):
                inflow.put(event.data)
            else:
                return

    def _receive_some(self) -> bytes:
        while (data := self._receive()) is None:
            self._wait(READ, "to finish its answer")
        return data

    # Waiting

    def _wait(self, events: int, what_for: str, *, deadline: float | None = None) -> int:
        """Wait until one of `events`; WireError after `patience.read` seconds without any."""
        deadline = deadline or time.monotonic() + self._patience.read
        while not (found := self._poll(events, _SLICE)):
            if time.monotonic() > deadline:
                raise WireError(f"the server took more than {self._patience.read:g} s {what_for}")
        return found

    def _poll(self, events: int, timeout: float) -> int:
        if self._stop.is_set():
            raise Stopped
        return ready(self._sock, events, timeout)


def _new_protocol() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=256 * 1024)


def _headers(response: h11.Response) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in response.headers}


def _known_length(response: h11.Response) -> int | None:
    """The length of the body, where nothing but Content-Length frames it; bytes."""
    headers = _headers(response)
    if "transfer-encoding" in headers or "content-length" not in headers:
        return None
    return int(headers["content-length"])  # h11 has seen to it that it is a number


def _stays_open(response: h11.Response) -> bool:
    wishes = _headers(response).get("connection", "").lower().split(",")
    return response.http_version == b"1.1" and "close" not in {wish.strip() for wish in wishes}
