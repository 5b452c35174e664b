"""Waiting for one socket in both directions, on every platform."""

import selectors
import socket
import ssl
import time

from ocihaul.transport.message import Stopped, StopSign

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
