"""How far a transfer is: events in, numbers out. No clock, no printing.

Bytes of a part count while they move, are taken back when its attempt is thrown away, and are
exactly the part's size once it is where it belongs (also when an earlier run has brought it there).
"""

from collections import deque
from dataclasses import dataclass, field

from ocihaul.cli.units import duration_text, size_text
from ocihaul.events import (
    BytesReceived,
    BytesSent,
    ClockCorrected,
    DownloadPlanned,
    Event,
    PartFinished,
    TokenChanged,
    UploadPlanned,
)

#: Seconds over which the rate is taken: long enough to be calm, short enough to be honest.
WINDOW = 60.0


@dataclass(slots=True)
class Tally:
    """The state of one transfer; its owner takes care of locking. Times are monotonic seconds."""

    size: int | None = 0  # None: of a stream whose end nobody knows
    part_count: int | None = 0
    parts_done: int = 0
    expires_at: float | None = None
    #: How far the service's clock is ahead of ours, seconds.
    clock_offset: float = 0.0
    _parts: dict[int, int] = field(default_factory=dict)
    _counted: int = 0
    _wire: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, event: Event, at: float) -> None:
        """Take note of `event`, which happened at `at`."""
        match event:
            case UploadPlanned() | DownloadPlanned():
                self.size, self.part_count = event.size, event.part_count
                self._marks.append((at, 0))
            case BytesSent() | BytesReceived():
                self._count(event.part_number, event.count)
                self._wire += event.count
                self._mark(at)
            case PartFinished():
                self.parts_done += 1
                self._count(event.part_number, event.size - self._parts.get(event.part_number, 0))
            case TokenChanged():
                self.expires_at = event.expires_at
            case ClockCorrected():
                self.clock_offset = event.offset
            case _:
                pass

    def _count(self, part: int, count: int) -> None:
        self._parts[part] = self._parts.get(part, 0) + count
        self._counted += count

    def _mark(self, at: float) -> None:
        if not self._marks or at - self._marks[-1][0] >= 1:
            self._marks.append((at, self._wire))
        while len(self._marks) > 2 and at - self._marks[1][0] >= WINDOW:
            self._marks.popleft()

    @property
    def done(self) -> int:
        """Bytes that are where they belong, or on their way."""
        return max(0, self._counted if self.size is None else min(self._counted, self.size))

    def rate(self, at: float) -> float | None:
        """Bytes per second over the last minute; None before there is anything to tell."""
        if not self._marks or at <= self._marks[0][0]:
            return None
        since, before = self._marks[0]
        return max(0.0, (self._wire - before) / (at - since))

    def seconds_left(self, at: float) -> float | None:
        """How long the rest takes at this rate."""
        rate = self.rate(at)
        return (self.size - self.done) / rate if rate and self.size is not None else None

    def line(self, at: float, now: float) -> str:
        """The state in one line; `now` is epoch seconds, for the token."""
        rate, left = self.rate(at), self.seconds_left(at)
        count = "" if self.part_count is None else f"/{self.part_count}"
        parts = [
            self._how_far(),
            f"{size_text(rate)}/s" if rate is not None else "starting",
            f"{duration_text(left)} left" if left is not None else "time left unknown",
            f"parts {self.parts_done}{count}",
        ]
        if self.expires_at is not None:
            parts.append(self.token(now))
        return ", ".join(parts)

    def _how_far(self) -> str:
        if self.size is None:
            return f"{size_text(self.done)} sent"
        percent = 100 * self.done // self.size if self.size else 100
        return f"{percent}% ({size_text(self.done)} of {size_text(self.size)})"

    def token(self, now: float) -> str:
        """The life that the token has left."""
        if self.expires_at is None:
            return ""
        left = self.expires_at - now - self.clock_offset
        return f"token {duration_text(left)}" if left > 0 else "token expired"
