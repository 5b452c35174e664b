"""How many parts or files at a time, where the caller gave no number: found by measuring.

It begins with some and doubles while that pays: each step has to bring a tenth more bytes per
second, or it is taken back. So a line that others use, too, is not crowded with connections that
bring nothing. A 429 or 503 halves the number, and for a while nothing is tried.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ocihaul.events import AttemptFinished, BytesReceived, BytesSent, Event

#: Connections to begin with: the official command line's number.
FIRST = 10
#: The limit, however fast the line is.
MOST = 64
#: The limit for small files where the caller has named no number: most of their time is a wait for
#: the answer.
MOST_SMALL = 32
#: What a step up has to bring.
_GAIN = 1.1
#: Windows to wait after a step that did not pay, and after the service asked for less.
_REST = 10
_REST_AFTER_THROTTLING = 20

#: How long the rate is measured, seconds: long enough for the buffers on the way to even out.
WINDOW = 3.0
#: The same for small files, which count when they are answered: nothing is in a buffer then.
WINDOW_SMALL = 1.0
#: A window that took so many times longer had a pause in it.
_PAUSE = 4
#: How often a waiting worker checks whether the transfer is over, seconds.
_POLL_INTERVAL = 0.25
_THROTTLED = frozenset({429, 503})
#: What an answer is worth beside the bytes that it is about: small files are little else.
_ANSWER = 2**18


@dataclass(frozen=True, slots=True)
class ConcurrencyTarget:
    """The number now, and what led to it; pure. `rate` is what `kept` brought, bytes per second.

    While `target` is above `kept`, a step is being tried. `cautious`: the service has asked for
    less once, so steps are of one. `rest` counts windows in which nothing is tried. It never is
    above `most`.
    """

    target: int = FIRST
    kept: int = FIRST
    most: int = MOST
    rate: float = 0.0
    rest: int = 0
    cautious: bool = False

    def after(self, rate: float, *, throttled: bool) -> "ConcurrencyTarget":
        """The next state, after one window with this rate."""
        if throttled:
            fewer = max(1, self.target // 2)
            return ConcurrencyTarget(
                fewer, fewer, self.most, rest=_REST_AFTER_THROTTLING, cautious=True
            )
        if self.rest:
            return replace(self, rate=rate, rest=self.rest - 1)
        if self.target > self.kept and rate < self.rate * _GAIN:
            return replace(self, target=self.kept, rest=_REST)
        # It paid, or this is the first window on this level.
        step = 1 if self.cautious else self.target
        return replace(self, kept=self.target, target=min(self.most, self.target + step), rate=rate)


class AdaptiveConcurrency:
    """A listener that measures, and a gate for workers 0, 1, 2, … Thread-safe.

    It hears the events of the transfer: bytes sent and received, and answers, some of which ask
    for less. It never says more than `most`, and measures for `window` seconds at a
    time (None: WINDOW).
    """

    def __init__(
        self,
        *,
        most: int = MOST,
        window: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self._window = WINDOW if window is None else window
        self._monotonic = monotonic
        self._changed = threading.Condition()  # guards all below
        self._state = ConcurrencyTarget(most=most)
        self._began: float | None = None
        self._bytes = 0
        self._throttled = False

    @property
    def target(self) -> int:
        """How many workers may be at work now."""
        return self._state.target

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if isinstance(event, (BytesSent, BytesReceived)):
            self._add(event.count)
        elif isinstance(event, AttemptFinished) and event.status is not None:
            good = event.status < 400
            self._add(_ANSWER if good else 0, throttled=event.status in _THROTTLED)

    def wait_turn(self, worker: int, over: Callable[[], bool]) -> bool:
        """Wait until `worker` may go on, or until it is `over`; return whether it may."""
        with self._changed:
            while worker >= self._state.target and not over():
                self._changed.wait(_POLL_INTERVAL)
            return worker < self._state.target

    def _add(self, count: int, *, throttled: bool = False) -> None:
        now = self._monotonic()
        with self._changed:
            if self._began is None:
                self._began = now
            self._bytes += count
            self._throttled = self._throttled or throttled
            seconds = now - self._began
            if seconds < self._window:
                return
            # A pause (a wait for a login, a machine asleep) and bytes taken back are no measure.
            if self._throttled or (seconds < _PAUSE * self._window and self._bytes > 0):
                rate = self._bytes / seconds
                self._state = self._state.after(rate, throttled=self._throttled)
            self._began, self._bytes, self._throttled = now, 0, False
            self._changed.notify_all()


def for_directory(adaptive: bool | None) -> AdaptiveConcurrency | None:
    """What finds the number for a directory: none where `adaptive` is False.

    None: for its small files only, as the caller has named no number.
    """
    if adaptive is False:
        return None
    return AdaptiveConcurrency(most=MOST if adaptive else MOST_SMALL, window=WINDOW_SMALL)
