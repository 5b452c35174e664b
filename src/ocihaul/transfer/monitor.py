"""What watches a transfer: how many parts or files go at a time, counts for its receipt, progress.

`AdaptiveConcurrency` finds the number by measuring. It begins with some and doubles while that
pays: each step has to bring a tenth more bytes per second, or it is taken back. So a line that
others use, too, is not crowded with connections that bring nothing. A 429 or 503 halves the number,
and for a while nothing is tried.

Where nothing but small files moves and this process is busy all the time, it is the processor that
is full and not the line: then half as many are tried, and kept if they bring as much. A part of a
large file may last for many looks, so that none of them would tell what fewer bring.

`TransferStats` counts, `TransferMonitor` is both for one transfer, and `TransferMeter` makes
progress events of what moves: how much is done, the rate, and how long the rest takes.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from ocihaul.documents import whole_number_or_none
from ocihaul.events import (
    AttemptFinished,
    BytesFound,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    Event,
    Listener,
    PartFinished,
    PartResent,
    RetryScheduled,
    TokenChanged,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)

#: Connections to begin with: the official command line's number.
FIRST = 10
#: The limit, however fast the line is.
MOST = 64
#: The limit for small files where the caller has named no number: most of their time is a wait for
#: the answer.
MOST_SMALL = 32
#: What a step up has to bring: a tenth more, or of a small step half of its share.
_GAIN, _SHARE = 1.1, 0.5
#: What a step down has to leave.
_LEFT = 0.95
#: Processor seconds per second from which this process is busy: Python computes in one thread at a
#: time, and many threads that could only take turns more often. With small files on loopback 15 use
#: 0.87 of a processor, and 4 send a tenth more files.
_BUSY = 0.8
#: No fewer are tried for that.
_FEWEST = 4
#: Windows to wait after a step that did not pay, and after the service asked for less.
_REST = 10
_REST_AFTER_THROTTLING = 20
#: The same after a step down that did not pay: that one has cost something.
_REST_AFTER_LESS = 60

#: How long the rate is measured, seconds: long enough for the buffers on the way to even out.
WINDOW = 3.0
#: The same for small files, which count when they are answered: nothing is in a buffer then.
WINDOW_SMALL = 1.0
#: A window that took so many times longer had a pause in it.
_PAUSE = 4
#: How often a waiting worker checks whether the transfer is over, seconds.
_POLL_INTERVAL = 0.25
_THROTTLED = frozenset({429, 503})
#: Whether threads of this Python take turns; a free-threaded one may be without that.
_ONE_AT_A_TIME = getattr(sys, "_is_gil_enabled", lambda: True)()
#: What an answer is worth beside the bytes that it is about: small files are little else.
_ANSWER = 2**18


@dataclass(frozen=True, slots=True)
class ConcurrencyTarget:
    """The number now, and what led to it; pure. `rate` is what `kept` brought, bytes per second.

    While `target` is not `kept`, a step is being tried. `cautious`: the service has asked for
    less once, so steps are of one. `rest` counts windows in which nothing is tried. It never is
    above `most`, and below `first` only where the service has asked for less, or while the
    processor is full.
    """

    target: int = FIRST
    kept: int = FIRST
    most: int = MOST
    first: int = FIRST
    rate: float = 0.0
    rest: int = 0
    cautious: bool = False

    def after(self, rate: float, *, throttled: bool, busy: bool = False) -> "ConcurrencyTarget":
        """The next state, after one window with this rate; `busy`: the processor was full."""
        if throttled:
            fewer = max(1, self.target // 2)
            return ConcurrencyTarget(
                fewer, fewer, self.most, self.first, rest=_REST_AFTER_THROTTLING, cautious=True
            )
        if not (busy or self.cautious) and min(self.target, self.kept) < self.first:
            return ConcurrencyTarget(self.first, self.first, self.most, self.first)
        if self.rest:
            return replace(self, rate=rate, rest=self.rest - 1)
        step = self.target - self.kept
        if step and rate < self.rate * self._wanted(step):
            return replace(self, target=self.kept, rest=_REST if step > 0 else _REST_AFTER_LESS)
        # It paid, or this is the first window on this level.
        if busy:
            following = max(self.target // 2, min(self.target, _FEWEST))
        else:
            following = min(self.most, self.target + (1 if self.cautious else self.target))
        return replace(self, kept=self.target, target=following, rate=rate)

    def _wanted(self, step: int) -> float:
        """How much this step has to bring, as a multiple of what there was before."""
        return _LEFT if step < 0 else min(_GAIN, 1 + _SHARE * step / self.kept)


class AdaptiveConcurrency:
    """A listener that measures, and a gate for workers 0, 1, 2, … Thread-safe.

    It hears the events of the transfer: bytes sent and received, and answers, some of which ask
    for less. It says `first` at first and never more than `most`, and measures for `window` seconds
    at a time (None: WINDOW). With a `processor`, which tells the seconds of it that this process
    has used, fewer are at work where that is full.
    """

    def __init__(
        self,
        *,
        first: int = FIRST,
        most: int = MOST,
        window: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] | None = None,
    ) -> None:
        self.first = first
        self.most = most
        self._window = WINDOW if window is None else window
        self._monotonic = monotonic
        self._processor = processor or (lambda: 0.0)
        self._changed = threading.Condition()  # guards all below
        self._state = ConcurrencyTarget(first, first, most, first)
        self._began: float | None = None
        self._used = 0.0  # processor seconds when it began
        self._bytes = 0
        self._throttled = self._in_parts = False

    @property
    def target(self) -> int:
        """How many workers may be at work now."""
        return self._state.target

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if isinstance(event, (BytesSent, BytesReceived)):
            self._add(event.count, in_parts=True)
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

    def _add(self, count: int, *, throttled: bool = False, in_parts: bool = False) -> None:
        now = self._monotonic()
        with self._changed:
            if self._began is None:
                self._began, self._used = now, self._processor()
            self._bytes += count
            self._throttled = self._throttled or throttled
            self._in_parts = self._in_parts or in_parts
            seconds = now - self._began
            if seconds < self._window:
                return
            used = self._processor()
            # A pause (a wait for a login, a machine asleep) and bytes taken back are no measure.
            if self._throttled or (seconds < _PAUSE * self._window and self._bytes > 0):
                self._state = self._state.after(
                    self._bytes / seconds,
                    throttled=self._throttled,
                    busy=not self._in_parts and used - self._used >= _BUSY * seconds,
                )
            self._began, self._used, self._bytes = now, used, 0
            self._throttled = self._in_parts = False
            self._changed.notify_all()


def for_directory(adaptive: bool | None, parallel: int) -> AdaptiveConcurrency:
    """What finds the number for a directory.

    `adaptive` None: the caller has named no number, and small files go by up to MOST_SMALL. False:
    by `parallel`, and only a service that asks for less and a full processor make it fewer.
    """
    processor = time.process_time if _ONE_AT_A_TIME else None
    first, most = FIRST, MOST if adaptive else MOST_SMALL
    if adaptive is False:
        first = most = parallel
    return AdaptiveConcurrency(first=first, most=most, window=WINDOW_SMALL, processor=processor)


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

    `concurrency` is None where the number is fixed. `stats` are complete only if the
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


#: Seconds between two progress events at least.
INTERVAL = 0.25
#: Seconds over which the rate is taken: long enough to be calm, short enough to be honest.
RATE_WINDOW = 60.0
#: Seconds between two marks of the window.
_STEP = 1.0

Clock = Callable[[], float]


class RateWindow:
    """Bytes per second over the last minute; its owner takes care of locking."""

    def __init__(self) -> None:
        self._moved = 0
        self._next = 0.0  # when the next mark is due
        self._marks: deque[tuple[float, int]] = deque()

    def begin(self, at: float) -> None:
        """Measure from here on, unless that has begun."""
        if not self._marks:
            self._marks.append((at, self._moved))
            self._next = at + _STEP

    def add(self, count: int, at: float) -> None:
        """`count` bytes went over the line; negative where an attempt is thrown away."""
        self._moved += count
        if at < self._next:
            return
        self._next = at + _STEP
        self._marks.append((at, self._moved))
        while len(self._marks) > 2 and at - self._marks[1][0] >= RATE_WINDOW:
            self._marks.popleft()

    def rate(self, at: float) -> float | None:
        """Bytes per second; None before there is anything to tell."""
        if not self._marks or at <= self._marks[0][0]:
            return None
        since, before = self._marks[0]
        return max(0.0, (self._moved - before) / (at - since))


class ObjectCount:
    """The bytes of one object that are where they belong, or on their way, by its events."""

    __slots__ = ("_parts", "done", "parts_done")

    def __init__(self) -> None:
        self._parts: dict[int, int] = {}
        self.done = 0
        self.parts_done = 0

    def add(self, event: Event) -> int:
        """Count one event; return how many bytes of it went over the line."""
        if isinstance(event, (BytesSent, BytesReceived)):
            self.moved(event.part_number, event.count)
            return event.count
        if isinstance(event, BytesFound):
            self.moved(event.part_number, event.count)
        elif isinstance(event, PartFinished):
            self.parts_done += 1
            self.moved(event.part_number, event.size - self._parts.get(event.part_number, 0))
        return 0

    def moved(self, part: int, count: int) -> None:
        """Count so many bytes of a part."""
        self._parts[part] = self._parts.get(part, 0) + count
        self.done += count


def fraction_of(done: int, total: int | None) -> float | None:
    """How much of it is done, 0 to 1; None where the total is not known."""
    if total is None:
        return None
    return min(1.0, done / total) if total else 1.0


def seconds_left(done: int, total: int | None, rate: float | None) -> float | None:
    """How long the rest takes at this rate; None where that is not known."""
    return (total - done) / rate if rate and total is not None else None


class TransferMeter:
    """A listener for the events of one object's transfer, which emits `TransferProgress`.

    The first one comes when the first byte moves, so it has what an earlier run has brought; the
    last one before the transfer's end. Thread-safe. Nothing is emitted while nothing happens.
    """

    def __init__(
        self, emit: Listener, *, interval: float = INTERVAL, monotonic: Clock = time.monotonic
    ) -> None:
        self._emit = emit
        self._interval = interval
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards all below
        self._total: int | None = None
        self._part_count: int | None = None
        self._count = ObjectCount()
        self._rate = RateWindow()
        self._next: float | None = None  # None: nothing is planned

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        progress = None
        with self._lock:
            at = self._monotonic()
            # These are many: two for each megabyte or more.
            if type(event) is BytesSent or type(event) is BytesReceived:
                self._count.moved(event.part_number, event.count)
                self._rate.add(event.count, at)
                if self._next is None or (at < self._next and self._count.done != self._total):
                    return
                progress = self._due(at, all_there=True)
            elif isinstance(event, (UploadPlanned, DownloadPlanned)):
                self._total, self._part_count = event.size, event.part_count
                self._count = ObjectCount()
                self._rate.begin(at)
                self._next = at
            elif isinstance(event, (UploadFinished, DownloadFinished)):
                progress = self._last(event.size, at)
            elif isinstance(event, (BytesFound, PartFinished)):
                self._count.add(event)
                if isinstance(event, PartFinished):
                    progress = self._due(at, all_there=self._count.done == self._total)
        if progress is not None:
            self._emit(progress)

    def _due(self, at: float, *, all_there: bool) -> TransferProgress | None:
        if self._next is None or (at < self._next and not all_there):
            return None
        self._next = at + self._interval
        return self._now(at)

    def _last(self, size: int, at: float) -> TransferProgress | None:
        """What there is to say at the end, unless that was said."""
        if self._next is None or self._count.done == self._total:
            return None
        self._total, self._count.done = size, size
        return self._now(at)

    def _now(self, at: float) -> TransferProgress:
        counted, total = max(0, self._count.done), self._total
        done = counted if total is None else min(counted, total)
        rate = self._rate.rate(at)
        return TransferProgress(
            done=done,
            total=total,
            fraction=fraction_of(done, total),
            rate=rate,
            seconds_left=seconds_left(done, total, rate),
            parts_done=self._count.parts_done,
            part_count=self._part_count,
        )
