"""Time: dates as HTTP writes them, the local clocks, and the service's as its answers tell it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocihaul.events import Listener

#: A Date header has whole seconds and was written somewhere during the exchange; a difference
#: below this is not worth correcting (the service allows 300 s).
_TOLERANCE = 5.0


@lru_cache(maxsize=8)  # answers that come in the same second bear the same
def read_date(text: str) -> float | None:
    """Epoch seconds of a date as mails and HTTP write it; None when it is none.

    Without a zone, or with -0000, it is UTC: the local zone has no part in it.
    """
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def local_time(epoch: float, zone: tzinfo | None = None) -> datetime:
    """A moment in the local zone, or in `zone`.

    In UTC where Python cannot reckon with the zone (TZ=UTC+26), nor with the moment in it (the
    last day of the year 9999): nothing is to fail for that.
    """
    moment = datetime.fromtimestamp(epoch, UTC)
    try:
        return moment.astimezone(zone)
    except (ValueError, OverflowError):
        return moment


@lru_cache(maxsize=8)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


class ServerClock:
    """Wall time as the service sees it: the local clock plus an offset learned from answers.

    A local clock that is set back is not followed: the offset was learned before, and a token would
    seem to live longer than it does. One that goes ahead is: the machine may have slept, and then
    its monotonic clock stood still. The next answer decides, whatever happened.

    Reads and writes of a float are atomic, so there is no lock.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        listener: "Listener | None" = None,
    ) -> None:
        self.monotonic = monotonic
        self.offset = 0.0
        self._wall = wall
        self._lead = wall() - monotonic()
        self._listener = listener

    def now(self) -> float:
        """Epoch seconds by the service's clock."""
        return self._steady() + self.offset

    def _steady(self) -> float:
        """The local wall clock, as if it had never been set back."""
        monotonic = self.monotonic()
        self._lead = max(self._lead, self._wall() - monotonic)
        return monotonic + self._lead

    def http_date(self) -> str:
        """The present moment as an HTTP date, by the service's clock."""
        return _http_date(int(self.now()))

    def observe(self, date: str | None, *, signed_with: float | None = None) -> bool:
        """Learn from the Date header of an answer that has just arrived.

        True when our idea of the service's time is another than when the request was signed, so
        that one refused for its date is worth sending again. `signed_with` is the offset at that
        time: another thread's answer may have moved it meanwhile. Without it: when this answer
        moved it.
        """
        before = self.offset if signed_with is None else signed_with
        self._learn(date)
        return self.offset != before

    def _learn(self, date: str | None) -> None:
        theirs = read_date(date or "")
        if theirs is None:
            return
        # Dates are cut to whole seconds: on average half a second is missing.
        offset = theirs + 0.5 - self._steady()
        if abs(offset - self.offset) <= _TOLERANCE:
            return
        self.offset = 0.0 if abs(offset) <= _TOLERANCE else offset
        if self._listener is not None:
            from ocihaul.events import ClockCorrected  # noqa: PLC0415  start-up time

            self._listener(ClockCorrected(self.offset))
