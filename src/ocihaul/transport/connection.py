"""One HTTP/1.1 connection that listens while it talks.

An upload's answer may come before its body has gone out (401, 403, 412, 503), and a server that
answers early often closes without reading on. A client that only looks for the answer after the
last byte loses it to a reset. So the socket is non-blocking, and every wait is for both
directions. `framing` takes the messages apart; this module moves them.
"""

import socket
import ssl
import time
from collections.abc import Callable

from ocihaul.threads import StopSign
from ocihaul.transport.channel import READ, SLICE, WRITE, Channel, Inflow, Timeouts
from ocihaul.transport.congestion import SYSTEM, Congestion, CongestionWatch
from ocihaul.transport.flows import Flows, Limiter, unlimited
from ocihaul.transport.message import (
    ERROR_LIMIT,
    Answer,
    AnswerHead,
    Block,
    Body,
    Reply,
    Request,
    Sink,
    Stalled,
    WireError,
    request_head,
)

#: How long to listen for an answer once sending has failed, seconds.
_LAST_WORDS = 2.0
#: An answer that is held in memory has the read timeout, and a second more for each so many bytes.
_SLOWEST_ANSWER = 1024
_FINISH = "to finish its answer"
#: The length of an answer's body that was not told, bytes.
_ENDLESS = 2**62
#: A body of bytes goes out with its head where both together are no larger than this.
_TOGETHER = 64 * 1024
#: How much of what goes over TLS is ours, at least: a record of 16 KiB has 22 bytes more.
_PLAIN = 0.998

_WANT_WRITE = (BlockingIOError, InterruptedError, ssl.SSLWantWriteError)


class Connection:
    """A connected socket and the protocol state on it. Used by one thread at a time."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        timeouts: Timeouts,
        stop: StopSign,
        limiter: Limiter | None = None,
        flows: Flows | None = None,
        congestion: Congestion | None = None,
        number: int | None = None,
    ) -> None:
        """`number` tells it from the others of its pool, for people."""
        self._channel = Channel(sock, timeouts, stop)
        self._number = number
        self._flows = flows or Flows(limiter)
        self._congestion = congestion or Congestion(SYSTEM)
        self._limiter = limiter or Limiter(unlimited)
        self._reply = Reply("")
        self._head_left = 0  # bytes of the request's head that have not gone out
        self._body_sent = 0
        self._body_received = 0
        self._acknowledged: int | None = None  # what was sent before the body, where that is known
        self._used = False
        self.reusable = False
        self.idle_since = 0.0

    def heed(self, stop: StopSign) -> None:
        """Listen to another stop from now on."""
        self._channel.stop = stop

    def close(self) -> None:
        """Close the socket; harmless when it is closed already."""
        self.reusable = False
        self._channel.sock.close()

    def is_quiet(self) -> bool:
        """Nothing has arrived while idle: neither a close nor bytes that nobody asked for."""
        return self._channel.is_quiet()

    def exchange(self, request: Request) -> Answer:
        """Send one request and return its final answer.

        Raises WireError when there is no answer (Stalled when its body moves too slowly), Stopped
        when the stop event is set. Afterwards `reusable` says whether the connection can carry
        another request.
        """
        self._reply = reply = Reply(request.method)
        self._body_sent = self._body_received = 0
        self.reusable = False
        body = b""
        try:
            rest = self._send_head(request)
            all_sent = not self._has_answer()
            if rest is not None and all_sent:
                all_sent = self._send_body(rest) and not self._has_answer()
            head = self._receive_head()
            self._channel.end_flow(well=True)
            if request.sink is not None and 200 <= head.status < 300:
                request.sink.begin(head.status, head.headers)
                self._receive_into(request.sink, head, judged=not request.patient)
                request.sink.end()
            else:
                body = self._receive_body(head, request.answer_limit)
        except WireError as error:
            error.body_sent, error.body_received = self._body_sent, self._body_received
            error.connection = self._number
            error.stale = self._used and not self._has_answer() and not self._body_sent
            raise
        finally:
            self._channel.end_flow(well=False)
        self._used = True
        self.reusable = all_sent and not reply.is_last
        return Answer(
            head.status,
            head.headers,
            body,
            self._body_sent,
            self._body_received,
            connection=self._number,
        )

    def _has_answer(self) -> bool:
        return self._reply.head is not None

    # Sending. Each step stops as soon as the final answer is there.

    def _send_head(self, request: Request) -> bytes | Body | None:
        """Send the head, a small body with it, and ask whether a large one may follow.

        Returns the body that is still to be sent.
        """
        body, head = request.body, request_head(request)
        self._head_left = len(head)
        if isinstance(body, bytes) and self._may_go_together(head, body):
            self._send(memoryview(head + body))
            return None
        self._send(memoryview(head))
        if "expect" in request.headers:
            self._wait_for_go_ahead()
        if body is not None and not self._has_answer():
            self._begin_to_send(body, judged=not request.patient)
        return body

    def _may_go_together(self, head: bytes, body: bytes) -> bool:
        return len(head) + len(body) <= _TOGETHER and self._limiter.allowed() is None

    def _begin_to_send(self, body: bytes | Body, *, judged: bool) -> None:
        size = len(body) if isinstance(body, bytes) else body.length
        if size > _TOGETHER:  # else it is in the kernel's buffers at once
            self._channel.congestion = CongestionWatch(self._congestion, self._channel.sock)
            known = self._channel.acknowledged()
            self._acknowledged = known.count + self._channel.under_way() if known else None
            self._channel.flow = self._flows.begin(
                size,
                self._arrived,
                keeps=False,
                judged=judged,
                silence=None if known is None else self._silence,
            )

    def _arrived(self) -> int:
        """Bytes of the request's body that the other side has acknowledged, at least."""
        under_way = self._channel.under_way()
        known = self._channel.acknowledged() if under_way else None
        if known is None or self._acknowledged is None:
            return max(0, self._body_sent - under_way)
        # TLS tells of a whole block once it has gone, and TCP of each of its bytes.
        return max(self._body_sent - under_way, int((known.count - self._acknowledged) * _PLAIN), 0)

    def _silence(self) -> float:
        known = self._channel.acknowledged()
        return known.silent if known is not None else 0.0

    def _wait_for_go_ahead(self) -> None:
        """Wait for `100 Continue` or a final answer, but not for ever.

        A server that ignores Expect, or is late, is allowed to: then the body goes out unasked.
        """
        deadline = time.monotonic() + self._channel.timeouts.for_continue
        while (remaining := deadline - time.monotonic()) > 0:
            if self._channel.poll(READ, min(remaining, SLICE)) and self._listen():
                return

    def _send_body(self, body: bytes | Body) -> bool:
        """True when all of it went out, False when a final answer came before that.

        An answer that comes after the last byte is no early one, however fast it is.
        """
        if isinstance(body, bytes):
            return self._send_block(body)
        left = body.length
        for block in body.blocks():
            if self._channel.flow is not None:
                self._channel.flow.resume()  # the disk, or the pipe, took its time
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
            self._channel.look()
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
            if self._channel.poll(READ, min(left, SLICE)):
                self._listen()
            if (left := until - time.monotonic()) <= 0:
                return

    def _send(self, data: memoryview) -> bool:
        deadline = self._channel.deadline()
        while data and not self._has_answer():
            try:
                count = self._channel.sock.send(data)
            except _WANT_WRITE:
                deadline = self._wait_to_send(READ | WRITE, deadline)
            except ssl.SSLWantReadError:
                deadline = self._wait_to_send(READ, deadline)
            except OSError as error:
                self._hear_last_words(error)
            else:
                data = data[count:]
                deadline = self._channel.deadline()
                of_head = min(count, self._head_left)
                self._head_left -= of_head
                self._body_sent += count - of_head
        return not data

    def _wait_to_send(self, events: int, deadline: float) -> float:
        """Wait, and hear what is said; returns the deadline of the next wait."""
        what_for = "to take the next bytes"
        found = self._channel.wait(events, what_for, deadline=deadline)
        if found & READ:
            self._hear(what_for, deadline)
        # Over TLS it tells of a whole block only, but room for more means that some was taken.
        return self._channel.deadline() if found & WRITE else deadline

    def _hear_last_words(self, error: OSError) -> None:
        """Sending failed: what the server said before it hung up may still be in our buffer."""
        deadline = time.monotonic() + _LAST_WORDS
        try:
            while not self._has_answer() and (left := deadline - time.monotonic()) > 0:
                if self._channel.poll(READ, min(left, SLICE)):
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
        data = self._channel.receive()
        if data is None:
            return False
        return self._reply.take(data)

    def _receive_head(self) -> AnswerHead:
        deadline = self._channel.deadline()
        while (head := self._reply.head) is None:
            self._channel.wait(READ, "to answer", deadline=deadline)
            self._hear("to answer", deadline)
        return head

    def _hear(self, what_for: str, deadline: float) -> None:
        """Listen; headers that drip and 1xx answers without end are no progress."""
        self._listen()
        if not self._has_answer():
            self._channel.check_time(what_for, deadline)

    def _receive_body(self, head: AnswerHead, limit: int) -> bytes:
        """A body that is held in memory; of an error what has come of it, up to ERROR_LIMIT."""
        failed = head.status >= 400
        limit = ERROR_LIMIT if failed else limit
        body = bytearray()
        first, raw = self._channel.deadline(), 0

        def receive() -> bytes:
            nonlocal raw
            data = self._channel.receive_some(_FINISH, first + raw / _SLOWEST_ANSWER)
            raw += len(data)
            if raw > 2 * limit + ERROR_LIMIT:  # in chunks of a byte, each with an extension
                raise WireError(f"the answer is longer than {limit} bytes")
            return data

        try:
            for piece in self._reply.body(receive):
                body += piece
                if len(body) > limit:
                    raise WireError(f"the answer is longer than {limit} bytes")
        except WireError as error:
            if not failed:  # else the status is what counts; its text may be lost to a reset
                raise WireError(f"the answer was cut short: {error}") from error
        return bytes(body[:limit])

    def _receive_into(self, sink: Sink, head: AnswerHead, *, judged: bool) -> None:
        """The body into the sink: piece by piece, or straight where its length is known."""
        reply = self._reply
        channel = self._channel
        inflow = Inflow(channel.sock, sink, channel.timeouts.read, channel.stop, self._limiter)
        ahead = reply.ahead(_ENDLESS if head.length is None else head.length)
        if head.length is None or len(ahead) < head.length:
            channel.flow = inflow.flow = self._flows.begin(
                head.length or _ENDLESS,
                lambda: inflow.count,
                keeps=True,
                judged=judged,
                silence=inflow.silence,
            )
        try:
            if head.length is None:
                for piece in reply.body(lambda: channel.receive_some(_FINISH)):
                    inflow.put(piece)
            else:
                inflow.put(ahead)
                inflow.read(head.length - len(ahead))
                reply.finished()
            channel.end_flow(well=True)
        except Stalled:
            raise
        except WireError as error:
            raise WireError(f"the answer was cut short: {error}") from error
        finally:
            self._body_received = inflow.count
