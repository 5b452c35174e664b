"""What watches a transfer: counts for its receipt, and how many parts or files go at a time.

Where the caller gave no number it is found by measuring. It begins with some and doubles while
that pays: each step has to bring a tenth more bytes per second, or it is taken back. So a line that
others use, too, is not crowded with connections that bring nothing. A 429 or 503 halves the number,
and for a while nothing is tried.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from ocihaul.documents import whole_number_or_none
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    Event,
    PartResent,
    RetryScheduled,
    TokenChanged,
)

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

    def wake(self) -> None:
        """Let the workers that wait look at once whether it is over."""
        with self._changed:
            self._changed.notify_all()

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


@dataclass(frozen=True, slots=True)
class Counts:
    """Over all runs of an upload; `resent_bytes` are those of attempts that did not count."""

    runs: int = 0
    renewals: int = 0
    retries: int = 0
    resends: int = 0
    resent_bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[int, ...]:
        return self.runs, self.renewals, self.retries, self.resends, self.resent_bytes

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Of a JSON object; what it lacks is 0. Raises DocumentError."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: whole_number_or_none(document, name) or 0 for name in names})


class TransferStats:
    """A listener that counts the events of the session, the storage client and the transfer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards counts
        self._counts = Counts()

    def __call__(self, event: Event) -> None:
        """Count one event, from any thread."""
        match event:
            case TokenChanged(source=source) if source != "start":
                more = Counts(renewals=1)
            case RetryScheduled():
                more = Counts(retries=1)
            case PartResent():
                more = Counts(resends=1, resent_bytes=event.wasted)
            case _:
                return
        with self._lock:
            self._counts += more

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        return self._counts


class TransferMonitor:
    """A listener for all events of one transfer: of the session, the storage client, and its own.

    `concurrency` is None where the caller gave a fixed number. `stats` are complete only if the
    session's events are heard as well.
    """

    def __init__(
        self,
        *,
        adaptive: bool = False,
        concurrency: AdaptiveConcurrency | None = None,
        stats: TransferStats | None = None,
    ) -> None:
        """Watch one transfer; or share what watches others, such as those of a directory."""
        self.concurrency = concurrency or (AdaptiveConcurrency() if adaptive else None)
        self.stats = stats

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if self.concurrency is not None:
            self.concurrency(event)
        if self.stats is not None:
            self.stats(event)
