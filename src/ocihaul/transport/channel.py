"""A connected socket that is never blocked on: every wait is bounded, and hears the stop."""

import socket
import ssl
import time
from dataclasses import dataclass

from ocihaul.transport.congestion import CongestionWatch
from ocihaul.transport.flows import Flow
from ocihaul.transport.message import (
    Acknowledged,
    Stopped,
    StopSign,
    WireError,
    acknowledged,
    unacknowledged,
)
from ocihaul.transport.poller import READ, SLICE, WRITE, Watch

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
