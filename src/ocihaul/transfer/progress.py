"""How far a transfer is: its events summed up, and emitted a few times a second.

Events of single blocks are too many to draw or to log, and every listener would have to add them
up. Times are monotonic seconds.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from ocihaul.events import (
    BytesFound,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    Event,
    Listener,
    PartFinished,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)

#: Seconds between two progress events at least.
INTERVAL = 0.25
#: Seconds over which the rate is taken: long enough to be calm, short enough to be honest.
WINDOW = 60.0
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
        while len(self._marks) > 2 and at - self._marks[1][0] >= WINDOW:
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
