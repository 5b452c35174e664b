"""A run over its time, in bounded memory: rate, exchanges by connection, marks; pure.

How long a run takes is not known while it is read. So there are COLUMNS columns of equal width, and
where the time goes beyond the last, each two become one of double width. What is shorter than a
column is not told from its neighbours: short exchanges of one connection become one span, and marks
of one kind become one mark with their number. A run of a minute shows each part, one of a night
with 10,000 parts shows when which connection was busy, and both take the same memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

#: How finely a run is kept.
COLUMNS = 480
#: Marks are told from each other where they are so many columns apart.
_MARK_COLUMNS = 4
#: Connections that have a line of their own.
LANES = 32
#: Spans of one connection at most, whatever the log says.
_MOST_SPANS = 2 * COLUMNS
_NARROWEST = 0.01
#: A connection that carried nothing for so long is closed, seconds.
_IDLE = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """One exchange with a body, or several short ones in a row. Times are seconds of the run.

    `failed`: so many of the `count` exchanges did not end well. `label` is that of the first.
    """

    start: float
    end: float
    connection: int | None
    generation: int
    size: int
    label: str
    count: int = 1
    failed: int = 0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start

    def joins(self, other: "Span", grain: float) -> bool:
        """Whether both are too short to be told from each other, and alike."""
        return (
            self.generation == other.generation
            and bool(self.failed) == bool(other.failed)
            and max(self.seconds / self.count, other.seconds / other.count) < grain
            and other.start - self.end < grain
        )

    def with_next(self, other: "Span") -> "Span":
        """Both as one."""
        return replace(
            self,
            end=max(self.end, other.end),
            size=self.size + other.size,
            count=self.count + other.count,
            failed=self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment, `count` times in the same columns."""

    at: float
    kind: str
    text: str
    count: int = 1


@dataclass(slots=True)
class _Lane:
    connection: int | None
    spans: list[Span]

    @property
    def end(self) -> float:
        return self.spans[-1].end

    def is_gone(self, later: Span) -> bool:
        """Whether `later` may take its line: connections have numbers, or none are known."""
        idle = later.start - self.end
        broken = bool(self.spans[-1].failed) and idle >= 0
        return broken or idle >= (_IDLE if self.connection is not None else 0)

    def add(self, span: Span, grain: float) -> bool:
        """Whether there was room for it."""
        last = self.spans[-1]
        if last.joins(span, grain):
            self.spans[-1] = last.with_next(span)
        elif len(self.spans) < _MOST_SPANS:
            self.spans.append(span)
        else:
            return False
        return True


def coarser(spans: Iterable[Span], grain: float) -> list[Span]:
    """The spans of one connection with those joined that are shorter than `grain` seconds."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].joins(span, grain):
            found[-1] = found[-1].with_next(span)
        else:
            found.append(span)
    return found


@dataclass(slots=True)
class Timeline:
    """What happened when, seconds since the run began."""

    width: float = _NARROWEST
    moved: list[float] = field(default_factory=lambda: [0.0] * COLUMNS)
    #: Exchanges that have no line, as there are too many connections.
    unseen: int = 0
    _lanes: list[_Lane] = field(default_factory=list)
    _marks: dict[tuple[str, int], Mark] = field(default_factory=dict)

    @property
    def lanes(self) -> list[list[Span]]:
        """The spans of each line, which is one connection, and later perhaps the next."""
        return [lane.spans for lane in self._lanes]

    @property
    def marks(self) -> list[Mark]:
        """In their order."""
        return sorted(self._marks.values(), key=lambda mark: (mark.at, mark.kind))

    def reach(self, at: float) -> None:
        """Make the columns wide enough for `at`."""
        while at >= self.width * COLUMNS:
            self.width *= 2
            pairs = zip(self.moved[::2], self.moved[1::2], strict=True)
            self.moved = [a + b for a, b in pairs] + [0.0] * (COLUMNS // 2)
            for lane in self._lanes:
                lane.spans = coarser(lane.spans, self.width)
            marks, self._marks = self.marks, {}
            for mark in marks:
                self._put(mark)

    def move(self, start: float, end: float, size: int) -> None:
        """`size` bytes went over the line, evenly between `start` and `end`."""
        start = max(0.0, start)
        end = max(start, end)
        self.reach(end)
        first, last = int(start / self.width), int(end / self.width)
        if first == last:
            self.moved[first] += size
            return
        rate = size / (end - start)
        for column in range(first, last + 1):
            begins, ends = column * self.width, (column + 1) * self.width
            self.moved[column] += rate * max(0.0, min(end, ends) - max(start, begins))

    def exchange(self, span: Span) -> None:
        """An exchange with a body has ended."""
        self.reach(span.end)
        lane = self._lane_of(span)
        if lane is not None:
            self.unseen += not lane.add(span, self.width)
        elif len(self._lanes) < LANES:
            self._lanes.append(_Lane(span.connection, [span]))
        else:
            self.unseen += 1

    def mark(self, at: float, kind: str, text: str) -> None:
        """Something happened."""
        self.reach(at)
        self._put(Mark(at, kind, text))

    def _put(self, mark: Mark) -> None:
        key = (mark.kind, int(mark.at / (self.width * _MARK_COLUMNS)))
        known = self._marks.get(key)
        first = mark if known is None else replace(known, count=known.count + mark.count)
        self._marks[key] = first

    def _lane_of(self, span: Span) -> _Lane | None:
        """That of its connection, else one whose connection is gone, as far as can be told."""
        known = [lane for lane in self._lanes if lane.connection == span.connection]
        if span.connection is not None and known:
            return known[0]
        gone = [lane for lane in self._lanes if lane.is_gone(span)]
        lane = min(gone, key=lambda lane: lane.end, default=None)
        if lane is not None:
            lane.connection = span.connection
        return lane

    def rates(self, seconds: float, columns: int = COLUMNS) -> tuple[float, list[float]]:
        """The width of a column, and bytes per second in each of at most `columns`, to the end."""
        used = min(COLUMNS, int(seconds / self.width) + 1)
        by = -(-used // columns)
        found: list[float] = []
        for first in range(0, used, by):
            ends = min((first + by) * self.width, max(seconds, (first + 0.5) * self.width))
            found.append(sum(self.moved[first : first + by]) / (ends - first * self.width))
        return by * self.width, found
