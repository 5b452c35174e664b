"""The bodies that move over a pool's connections: limited together, measured beside each other.

`Limiter` is `--bandwidth`: bytes per second of all connections of a process, evenly. `Turns` lets
no more bodies begin than fill what is allowed: a limit that ten parts share lets none of them end
for a long time, and what was sent of a part is lost when the upload is stopped. Where two
connections fill the limit, two parts go at a time, and the oldest are stored soon. How many fill it
is found out: twice as many, whenever there was room. `Flows` measures how fast each goes; `stall`
judges that.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ocihaul.threads import StopSign
from ocihaul.transport import stall
from ocihaul.transport.message import Stalled, Stopped
from ocihaul.transport.stall import Look, Verdict

#: Portions per second that a limited flow is cut into, so that it flows evenly: a server gives up
#: on a sender that is silent between large blocks.
_PER_SECOND = 20
_SMALLEST_PORTION = 4 * 1024
#: A portion is smaller still where it would take longer than this, seconds: with many connections
#: each of them waits for a portion of all the others.
_LONGEST_PORTION = 0.25
#: How much of the past may be made up for, seconds: a pause (of the session, a retry) must not be
#: followed by a burst.
_CATCH_UP = 0.25


def unlimited() -> float | None:
    """The rate of a limiter that limits nothing."""
    return None


class Limiter:
    """Says how long each portion has to wait, so that all together keep to the rate.

    `rate` gives the bytes per second that are allowed at this moment, None for no limit; it is
    asked for each portion, so it may change with the time of day. Thread-safe.
    """

    def __init__(
        self, rate: Callable[[], float | None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards the two below
        self._free_at = 0.0
        self._full_at = 0.0

    @property
    def full_at(self) -> float:
        """When bytes had to wait last, on the monotonic clock."""
        return self._full_at

    def allowed(self) -> float | None:
        """Bytes per second that are allowed at this moment, None for no limit."""
        return self._rate()

    def portions(self, block: memoryview) -> Iterator[memoryview]:
        """`block` in pieces that may be reserved one by one; in one piece where it is small."""
        rate = self._rate()
        most = len(block) if rate is None else _portion(rate)
        for start in range(0, len(block), most or 1):
            yield block[start : start + most]

    def delay(self, count: int) -> float:
        """Reserve `count` bytes; the seconds to wait before they may go."""
        rate = self._rate()
        if rate is None:
            return 0.0
        now = self._monotonic()
        with self._lock:
            start = max(self._free_at, now - _CATCH_UP)
            self._free_at = start + count / rate
            if start > now:
                self._full_at = now
        return max(0.0, start - now)


def _portion(rate: float) -> int:
    smallest = min(_SMALLEST_PORTION, int(rate * _LONGEST_PORTION))
    return max(1, smallest, int(rate / _PER_SECOND))


#: Room for so long means that more may begin, seconds: the last ones have got going by then.
ROOM = 1.0
#: How often one that waits looks, seconds.
_GLANCE = 0.1


class Turns:
    """Counts the bodies under way. Thread-safe."""

    def __init__(
        self, limiter: Limiter, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter = limiter
        self._monotonic = monotonic
        self._changed = threading.Condition()  # guards all below
        self._under_way = 0
        self._most = 1
        self._since = 0.0  # when `most` was last found to be too few

    @contextmanager
    def turn(self, stop: StopSign) -> Iterator[None]:
        """Wait until one more body may begin; it is under way while the context lasts.

        Without a limit nothing waits. Raises Stopped.
        """
        with self._changed:
            while not self._may_begin():
                if stop.is_set():
                    raise Stopped
                self._changed.wait(_GLANCE)
            self._under_way += 1
            self._since = self._monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def _may_begin(self) -> bool:
        if self._limiter.allowed() is None:
            return True
        now = self._monotonic()
        full = max(self._since, self._limiter.full_at)
        if self._under_way >= self._most and now - full >= ROOM:
            self._most, self._since = 2 * self._most, now
        return self._under_way < self._most


#: How often a body is measured, seconds.
_TICK = 1.0
#: What others moved in the first moment of a silence may have been before the same outage, seconds.
_MOMENT = 2.0


class Flows:
    """Sums up what all bodies have moved, and in how long. Thread-safe."""

    def __init__(
        self,
        limiter: Limiter | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limiter = limiter or Limiter(unlimited)
        self.monotonic = monotonic
        self._lock = threading.Lock()  # guards all below
        self._seconds = 0.0
        self._moved = 0
        self._lately: float | None = None

    def begin(
        self,
        size: int,
        progress: Callable[[], int],
        *,
        keeps: bool,
        judged: bool = True,
        silence: Callable[[], float] | None = None,
    ) -> "Flow":
        """A body of `size` bytes that begins to move; `progress` tells how many have.

        `keeps`: on a new connection only what is left has to be moved. Without `judged` it is
        measured for the others, and never ended itself. `silence` tells for how many seconds
        nothing was heard from the other side, and goes with a `progress` that is exact.
        """
        return Flow(self, size, progress, keeps=keeps, judged=judged, silence=silence)

    def add(self, seconds: float, moved: int) -> tuple[float, int]:
        """Count what one body has done since it was last counted; returns the sums of all."""
        with self._lock:
            self._seconds += seconds
            self._moved += moved
            return self._seconds, self._moved

    def ended(self, rate: float) -> None:
        """A body has come to its end, at this average."""
        with self._lock:
            self._lately = rate

    @property
    def lately(self) -> float | None:
        """The rate of the last body that ended well, None for none."""
        with self._lock:
            return self._lately


class Flow:
    """One body on its way. Used by one thread.

    Its time is that of the network: what its owner spends on a disk does not count (`resume`).
    The pauses of a limiter do, since they are the same for all.
    """

    def __init__(
        self,
        flows: Flows,
        size: int,
        progress: Callable[[], int],
        *,
        keeps: bool,
        judged: bool,
        silence: Callable[[], float] | None = None,
    ) -> None:
        self._flows = flows
        self._size = size
        self._progress = progress
        self._keeps = keeps
        self._judged = judged
        self._silence = silence
        self._at = flows.monotonic()
        self._seconds = 0.0  # in all, and what the flows know of
        self._told = (0.0, 0)
        self._base = (0.0, 0, *flows.add(0.0, 0))  # own and all, where the window begins
        self._moved_at = 0.0  # own seconds
        self._others_from = flows.add(0.0, 0)[1]  # all bytes, a moment after it moved last
        self._best = 0.0
        self._behind = 0  # windows in a row

    def resume(self) -> None:
        """What was done since the last look was no matter of the network."""
        self._at = self._flows.monotonic()

    def look(self) -> bool:
        """Measure, once a second; True when that found progress. Raises Stalled."""
        now = self._flows.monotonic()
        self._seconds += now - self._at
        self._at = now
        if self._seconds - self._told[0] < _TICK:
            return False
        before = self._told[1]
        moved, sums = self._tell()
        if moved > before:
            self._moved_at = self._seconds
        if self._seconds - self._moved_at < _MOMENT:
            self._others_from = sums[1]
        if self._judged:
            self._judge(moved, *sums)
        return moved > before

    def end(self, *, well: bool) -> None:
        """No more is to come; `well`: all of it has."""
        moved, _ = self._tell()
        if well and moved >= stall.GRAIN // 4 and self._seconds > 0:
            self._flows.ended(moved / self._seconds)

    def _tell(self) -> tuple[int, tuple[float, int]]:
        moved = self._progress()
        sums = self._flows.add(self._seconds - self._told[0], moved - self._told[1])
        self._told = (self._seconds, moved)
        return moved, sums

    def _judge(self, moved: int, all_seconds: float, all_moved: int) -> None:
        seconds = self._seconds - self._base[0]
        count = moved - self._base[1]
        left = self._size - moved
        look = Look(
            seconds=seconds,
            moved=count,
            left=left,
            again=left if self._keeps else self._size,
            others_seconds=all_seconds - self._base[2] - seconds,
            others_moved=all_moved - self._base[3] - count,
            past=max(self._best, self._flows.lately or 0.0) or None,
            limit=self._flows.limiter.allowed(),
            exact=self._silence is not None,
            silent=self._silent(),
            others_meanwhile=all_moved - self._others_from,
        )
        verdict = stall.judge(look)
        if verdict is Verdict.TOO_EARLY or not left:
            return
        self._behind = self._behind + 1 if verdict is Verdict.BEHIND_THE_OTHERS else 0
        at_once = verdict not in {Verdict.MOVING, Verdict.BEHIND_THE_OTHERS}
        if at_once or self._behind == stall.IN_A_ROW:
            raise Stalled(_reason(look, verdict))
        self._best = max(self._best, look.rate)
        self._base = (self._seconds, moved, all_seconds, all_moved)

    def _silent(self) -> float:
        """Seconds since it moved, or the other side was heard if that is later; 0 if not known."""
        if self._silence is None:
            return 0.0
        return min(self._seconds - self._moved_at, self._silence())


def _reason(look: Look, verdict: Verdict) -> str:
    text = f"only {look.moved} bytes moved in {look.seconds:.0f} s"
    if verdict is Verdict.SILENT:
        return f"nothing moved in {look.silent:.0f} s, while other connections went on"
    if verdict is Verdict.BEHIND_THE_OTHERS:
        return f"{text}, while other connections moved {look.share:.0f} a second each"
    if verdict is Verdict.BEHIND_ITS_PAST:
        return f"{text}, after {look.past or 0:.0f} a second before"
    return text
