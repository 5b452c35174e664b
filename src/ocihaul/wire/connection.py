"""One HTTP/1.1 connection that listens while it talks.

An upload's answer may come before its body has gone out (401, 403, 412, 503), and a server that
answers early often closes without reading on. A client that only looks for the answer after the
last byte loses it to a reset. So the socket is non-blocking, and every wait is for both
directions. `heads` and `reply` take the messages apart; this module moves them.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from ocihaul.wire.heads import AnswerHead, request_head
from ocihaul.wire.inflow import Inflow
from ocihaul.wire.limiter import Limiter, unlimited
from ocihaul.wire.message import Answer, Block, Body, Request, Sink, Stopped, StopSign, WireError
from ocihaul.wire.readiness import READ, WRITE, Watch
from ocihaul.wire.reply import Reply

#: How often a wait looks at the stop event, seconds.
_SLICE = 0.25
#: How long to listen for an answer once sending has failed, seconds.
_LAST_WORDS = 2.0
#: The largest answer that is held in memory, bytes; Object Storage's documents stay far below.
_MAX_ANSWER = 64 * 2**20
#: A body of bytes goes out with its head where both together are no larger than this.
_TOGETHER = 64 * 1024

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
        self.stop = stop
        self._watch = Watch(sock)
        self._reply = Reply("")
        self._head_left = 0  # bytes of the request's head that have not gone out
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
        return not self._watch.ready(READ, 0.0)

    def exchange(self, request: Request) -> Answer:
        """Send one request and return its final answer.

        Raises WireError when there is no answer, Stopped when the stop event is set. Afterwards
        `reusable` says whether the connection can carry another request.
        """
        self._reply = reply = Reply(request.method)
        self._body_sent = self._body_received = 0
        self.reusable = False
        body = b""
        try:
            all_sent = self._send_request(request)
            head = self._receive_head()
            if request.sink is not None and 200 <= head.status < 300:
                request.sink.begin(head.status, head.headers)
                self._receive_into(request.sink, head)
                request.sink.end()
            else:
                body = self._receive_body(head.status)
        except WireError as error:
            error.body_sent, error.body_received = self._body_sent, self._body_received
            error.stale = self._used and not self._has_answer() and not self._body_sent
            raise
        self._used = True
        self.reusable = all_sent and not reply.is_last
        return Answer(head.status, head.headers, body, self._body_sent, self._body_received)

    def _has_answer(self) -> bool:
        return self._reply.head is not None

    # Sending. Each step stops as soon as the final answer is there.

    def _send_request(self, request: Request) -> bool:
        """True when all of it went out before there was an answer."""
        body, head = request.body, request_head(request)
        self._head_left = len(head)
        if isinstance(body, bytes) and self._may_go_together(head, body):
            self._send(memoryview(head + body))
        else:
            self._send(memoryview(head))
            if "expect" in request.headers:
                self._wait_for_go_ahead()
            if body is not None and (self._has_answer() or not self._send_body(body)):
                return False
        return not self._has_answer()

    def _may_go_together(self, head: bytes, body: bytes) -> bool:
        return len(head) + len(body) <= _TOGETHER and not self._limiter.limits()

    def _wait_for_go_ahead(self) -> None:
        """Wait for `100 Continue` or a final answer, but not for ever.

        A server that ignores Expect, or is late, is allowed to: then the body goes out unasked.
        """
        deadline = time.monotonic() + self._patience.for_continue
        while (remaining := deadline - time.monotonic()) > 0:
            if self._poll(READ, min(remaining, _SLICE)) and self._listen():
                return

    def _send_body(self, body: bytes | Body) -> bool:
        """True when all of it went out, False when a final answer came before that.

        An answer that comes after the last byte is no early one, however fast it is.
        """
        if isinstance(body, bytes):
            return self._send_block(body)
        left = body.length
        for block in body.blocks():
            left -= len(block)
            if left < 0:
                break
            if not self._send_block(block, body.sent):
                return False
        if left:
            raise ValueError(f"a body that should have {body.length} bytes has others")
        return True

    def _send_block(self, block: Block, sent: Callable[[int], None] | None = None) -> bool:
        for portion in self._limiter.portions(memoryview(block)):
            self._await_turn(len(portion))
            if self._has_answer():
                return False
            before = self._body_sent
            complete = self._send(portion)
            if sent is not None:
                sent(self._body_sent - before)
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

    def _send(self, data: memoryview) -> bool:
        deadline = self._deadline()
        while data and not self._has_answer():
            try:
                count = self._sock.send(data)
            except _WANT_WRITE:
                deadline = self._wait_to_send(READ | WRITE, deadline)
            except ssl.SSLWantReadError:
                deadline = self._wait_to_send(READ, deadline)
            except OSError as error:
                self._hear_last_words(error)
            else:
                data = data[count:]
                deadline = self._deadline()
                of_head = min(count, self._head_left)
                self._head_left -= of_head
                self._body_sent += count - of_head
        return not data

    def _wait_to_send(self, events: int, deadline: float) -> float:
        """Wait, and hear what is said; returns the deadline of the next wait."""
        what_for = "to take the next bytes"
        found = self._wait(events, what_for, deadline=deadline)
        if found & READ:
            self._hear(what_for, deadline)
        # Over TLS it tells of a whole block only, but room for more means that some was taken.
        return self._deadline() if found & WRITE else deadline

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
        return self._reply.take(data)

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

    def _receive_head(self) -> AnswerHead:
        deadline = self._deadline()
        while (head := self._reply.head) is None:
            self._wait(READ, "to answer", deadline=deadline)
            self._hear("to answer", deadline)
        return head

    def _hear(self, what_for: str, deadline: float) -> None:
        """Listen; headers that drip and 1xx answers without end are no progress."""
        self._listen()
        if not self._has_answer():
            self._check_time(what_for, deadline)

    def _receive_body(self, status: int) -> bytes:
        body = bytearray()
        try:
            for piece in self._reply.body(self._receive_some):
                body += piece
                if len(body) > _MAX_ANSWER:
                    raise WireError(f"the answer is longer than {_MAX_ANSWER} bytes")
        except WireError as error:
            if status < 400:  # else it is what counts; its text may be lost to a reset
                raise WireError(f"the answer was cut short: {error}") from error
        return bytes(body)

    def _receive_into(self, sink: Sink, head: AnswerHead) -> None:
        """The body into the sink: piece by piece, or straight where its length is known."""
        reply = self._reply
        inflow = Inflow(self._sock, sink, self._patience.read, self.stop, self._limiter)
        try:
            if head.length is None:
                for piece in reply.body(self._receive_some):
                    inflow.put(piece)
            else:
                ahead = reply.ahead(head.length)
                inflow.put(ahead)
                inflow.read(head.length - len(ahead))
                reply.finished()
        except WireError as error:
            raise WireError(f"the answer was cut short: {error}") from error
        finally:
            self._body_received = inflow.count

    def _receive_some(self) -> bytes:
        while (data := self._receive()) is None:
            self._wait(READ, "to finish its answer")
        return data

    # Waiting

    def _wait(self, events: int, what_for: str, *, deadline: float | None = None) -> int:
        """Wait until one of `events`; WireError after `patience.read` seconds without any."""
        deadline = deadline or self._deadline()
        while not (found := self._poll(events, _SLICE)):
            self._check_time(what_for, deadline)
        return found

    def _deadline(self) -> float:
        return time.monotonic() + self._patience.read

    def _check_time(self, what_for: str, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise WireError(f"the server took more than {self._patience.read:g} s {what_for}")

    def _poll(self, events: int, timeout: float) -> int:
        if self.stop.is_set():
            raise Stopped
        return self._watch.ready(events, timeout)
