"""A connected socket that is never blocked on: every wait is bounded, and hears the stop.

What belongs here: `Watch`, which waits for one socket in both directions on every platform;
`Channel`, the socket of a connection with its timeouts; and `Inflow`, the body of an answer on its
way into a sink with nothing in between. Nothing is to be sent meanwhile, so that waiting is left to
the socket: for a body that comes in pieces of 16 KiB (TLS) it costs a fraction of a selector.
"""

import selectors
import socket
import ssl
import time
from dataclasses import dataclass

from ocihaul.threads import StopSign
from ocihaul.transport.congestion import CongestionWatch
from ocihaul.transport.flows import Flow, Limiter
from ocihaul.transport.message import (
    Acknowledged,
    Sink,
    Stopped,
    WireError,
    acknowledged,
    unacknowledged,
)

#: How often a wait looks at the stop, seconds.
SLICE = 0.25

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

# poll() has no limit on descriptor numbers and needs no descriptor of its own; Windows lacks it.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Watch:
    """Waits for one socket, as often as it is asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._selector = _Selector()
        self._selector.register(sock, READ)
        self._sock = sock
        self._events = READ

    def ready(self, events: int, timeout: float) -> int:
        """Which of `events` are possible within `timeout` seconds; 0 for none.

        A broken or closed connection counts as both, so that the next call on it tells why.
        """
        if events & READ and self._tls is not None and self._tls.pending():
            return READ  # decrypted already: the descriptor would not show it
        if events != self._events:
            self._selector.modify(self._sock, events)
            self._events = events
        found: list[tuple[selectors.SelectorKey, int]] = self._selector.select(timeout)
        return found[0][1] if found else 0


def wait_for(watch: Watch, events: int, *, until: float, stop: StopSign) -> None:
    """Wait for one of `events`; TimeoutError at `until` (monotonic seconds), Stopped."""
    while True:
        if stop.is_set():
            raise Stopped
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if watch.ready(events, min(left, SLICE)):
            return


_WANT_READ = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds: for progress of any kind, and for `100 Continue`."""

    read: float = 60.0
    for_continue: float = 2.0


class Channel:
    """Bytes in, and waits in both directions. `flow` is the body that is under way, if any."""

    def __init__(self, sock: socket.socket, timeouts: Timeouts, stop: StopSign) -> None:
        sock.settimeout(0.0)
        self.sock = sock
        self.timeouts = timeouts
        self.stop = stop
        self.flow: Flow | None = None
        self.congestion: CongestionWatch | None = None
        self._watch = Watch(sock)

    def is_quiet(self) -> bool:
        """Nothing has arrived: neither a close nor bytes.

        What TLS says for itself is taken in: session tickets come after each handshake.
        """
        if not self._watch.ready(READ, 0.0):
            return True
        try:
            return isinstance(self.sock, ssl.SSLSocket) and self.receive() is None
        except (WireError, Stopped):
            return False

    def receive(self) -> bytes | None:
        """What is there to read: None for nothing yet, empty for the end. Raises WireError."""
        try:
            while True:
                try:
                    return self.sock.recv(65536)
                except ssl.SSLWantWriteError:
                    # TLS has something of its own to say first (a key update): no break.
                    self.wait(WRITE, "to take the next bytes")
        except _WANT_READ:
            return None
        except OSError as error:
            raise WireError(f"the connection broke: {error}") from error

    def receive_some(self, what_for: str, deadline: float | None = None) -> bytes:
        """The next bytes, empty for the end. Bytes that drip do not put the `deadline` off."""
        while (data := self.receive()) is None:
            self.wait(READ, what_for, deadline=deadline)
        if deadline is not None:
            self.check_time(what_for, deadline)
        return data

    def wait(self, events: int, what_for: str, *, deadline: float | None = None) -> int:
        """Wait until one of `events`; WireError at the `deadline`, or `timeouts.read` seconds on.

        What leaves our buffers meanwhile is a reason to wait on. Raises Stopped, Stalled.
        """
        deadline = deadline or self.deadline()
        while not (found := self.poll(events, SLICE)):
            if self.look():
                deadline = max(deadline, self.deadline())
            self.check_time(what_for, deadline)
        return found

    def poll(self, events: int, timeout: float) -> int:
        """Which of `events` are possible within `timeout` seconds, 0 for none. Raises Stopped."""
        if self.stop.is_set():
            raise Stopped
        return self._watch.ready(events, timeout)

    def look(self) -> bool:
        """Whether the body under way has moved; see `Flow.look`."""
        if self.congestion is not None:
            self.congestion.look()
        return self.flow is not None and self.flow.look()

    def end_flow(self, *, well: bool) -> None:
        """No body is under way any more; `well`: all of it has passed."""
        if self.flow is not None:
            self.flow.end(well=well)
            self.flow = None
        self.congestion = None

    def under_way(self) -> int:
        """Bytes that were sent, and not acknowledged, as far as the system tells."""
        return unacknowledged(self.sock)

    def acknowledged(self) -> Acknowledged | None:
        """What the other side has acknowledged, None where the system does not tell."""
        return acknowledged(self.sock)

    def deadline(self) -> float:
        """When `timeouts.read` is over, on the monotonic clock."""
        return time.monotonic() + self.timeouts.read

    def check_time(self, what_for: str, deadline: float) -> None:
        """Raise WireError when the deadline has passed."""
        if time.monotonic() > deadline:
            raise WireError(f"the server took more than {self.timeouts.read:g} s {what_for}")


_TOO_LONG = "it is longer than what was asked for"


class Inflow:
    """Fills one sink from one non-blocking socket; `count` is how many bytes it has got.

    `timeout` is seconds without a byte. `flow`, if given, is told how it goes on.
    """

    def __init__(
        self, sock: socket.socket, sink: Sink, timeout: float, stop: StopSign, limiter: Limiter
    ) -> None:
        self.flow: Flow | None = None
        self.count = 0
        self._sock = sock
        self._sink = sink
        self._timeout = timeout
        self._stop = stop
        self._limiter = limiter
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since the other side was heard, or could have been: a limiter's pause is ours."""
        return time.monotonic() - self._heard

    def put(self, data: bytes | bytearray) -> None:
        """What was received already. Raises WireError when it is more than the sink takes."""
        left = memoryview(data)
        while left:
            space = self._sink.space()
            if not space:
                raise WireError(_TOO_LONG)
            count = min(len(space), len(left))
            space[:count] = left[:count]
            self.count += count
            self._sink.filled(count)
            left = left[count:]

    def read(self, left: int) -> None:
        """`left` bytes from the socket. Raises WireError, Stopped."""
        self._sock.settimeout(SLICE)
        try:
            while left:
                space = next(self._limiter.portions(self._sink.space()[:left]), None)
                if space is None:
                    raise WireError(_TOO_LONG)
                before = self.count
                try:
                    self._read_some(space)
                    if self.flow is not None:
                        self.flow.look()
                finally:  # what came counts, also when the connection breaks then
                    count = self.count - before
                    left -= count
                    if count:
                        self._sink.filled(count)
                if self.flow is not None and count:
                    self.flow.resume()
                if pause := self._limiter.delay(count):
                    self._rest(pause)
        except EOFError:
            raise WireError(f"the connection was closed, {left} bytes too early") from None
        finally:
            self._sock.settimeout(0.0)

    def _read_some(self, space: memoryview) -> None:
        """Fill the space, or as much of it as comes within a moment. Raises EOFError at the end."""
        until = time.monotonic() + SLICE
        while space:
            if self._stop.is_set():
                raise Stopped
            try:
                count = self._sock.recv_into(space)
            except TimeoutError:
                if time.monotonic() - self._heard > self._timeout:
                    timeout = f"{self._timeout:g} s"
                    raise WireError(f"the server took more than {timeout} to go on") from None
                return
            except OSError as error:
                raise WireError(f"the connection broke: {error}") from error
            if not count:
                raise EOFError
            self._heard = time.monotonic()
            self.count += count
            space = space[count:]
            if self._heard > until:
                return

    def _rest(self, seconds: float) -> None:
        """Let what the server sends wait in the buffers between us."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopped
            time.sleep(min(left, SLICE))  # a stop sign may be no event that can be waited for
        self._heard = time.monotonic()
