"""The answer: did the nights end well, and if not, what is to be done; pure.

A night begins at 18:00 and bears the date of its morning. It ended well when each command and
object that was run in it was done at the end, whatever earlier runs of the same night met.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ocihaul.quantities import duration_text
from ocihaul.report.runs import NO_RESULT, Run

#: A run without a result whose last line is no older may still be under way, seconds.
_STILL_RUNNING = 600.0
#: Nothing has run for longer than this: perhaps what starts the runs does not, seconds.
_STALE = 36 * 3600.0
#: From 18:00 on a run belongs to the night to the next morning.
_EVENING = timedelta(hours=6)

_TODO = {
    "resumable": "Run the same command again: it goes on where it stopped.",
    "interrupted": "A signal ended it. Run the same command again: it goes on where it stopped.",
    "partial": "Run the same command again: what is done is not sent again.",
    "kept-different": "The object exists and is not this file: nothing was stored. Use a name with "
    "a date, or have it replaced.",
    NO_RESULT: "Its log ends without a result: it was killed, or the machine went down. Run the "
    "same command again: what was finished is kept.",
}
#: What follows the hints of an error.
_AGAIN = {
    "resumable": _TODO["resumable"],
    "partial": _TODO["partial"],
    "failed": "Then run the same command again.",
}
_FAILED = "Mend that, and run the same command again."


@dataclass(frozen=True, slots=True)
class Trouble:
    """A run that did not end well, and no later one of its night mended that.

    `todo` are sentences; `mended_by` is a run of a later night that has done it since.
    """

    run: Run
    what: str
    todo: tuple[str, ...]
    mended_by: Run | None


@dataclass(slots=True)
class Night:
    """The runs of one night, the latest first."""

    morning: date
    runs: list[Run] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    under_way: list[Run] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all that was run in it was done at the end."""
        return not self.troubles


@dataclass(frozen=True, slots=True)
class ReportVerdict:
    """The answer in one sentence, what there is to do, and the nights, the latest first."""

    headline: str
    is_good: bool
    troubles: Sequence[Trouble]
    warnings: Sequence[str]
    nights: Sequence[Night]

    def is_under_way(self, run: Run) -> bool:
        """Whether it may still be running."""
        return any(run is each for night in self.nights for each in night.under_way)


def verdict_of(runs: Iterable[Run], now: datetime) -> ReportVerdict:
    """Judge the runs, as seen at `now`."""
    latest_first = sorted(runs, key=lambda run: run.began, reverse=True)
    nights = _nights(latest_first, now)
    troubles = [trouble for night in nights for trouble in night.troubles]
    open_ones = [trouble for trouble in troubles if trouble.mended_by is None]
    return ReportVerdict(
        headline=_headline(latest_first, nights, now),
        is_good=bool(nights) and not open_ones,
        troubles=troubles,
        warnings=_warnings(latest_first, nights, now),
        nights=nights,
    )


def _may_run(run: Run, now: datetime) -> bool:
    return run.result is None and (now - run.last).total_seconds() < _STILL_RUNNING


def night_of(run: Run) -> date:
    """The morning of the night in which it began."""
    return (run.began + _EVENING).date()


def _nights(latest_first: Sequence[Run], now: datetime) -> list[Night]:
    nights: dict[date, Night] = {}
    mended: dict[tuple[str, str], Run] = {}  # later, and perhaps in another night
    seen: set[tuple[str, str]] = set()
    of_night: dict[tuple[str, str], Run] = {}
    night: Night | None = None
    for run in latest_first:
        morning = night_of(run)
        if night is None or night.morning != morning:
            night = nights.setdefault(morning, Night(morning))
            of_night = {}
        night.runs.append(run)
        job = (run.command, run.object)
        if job not in of_night:
            of_night[job] = run
            if run.is_good:
                mended[job] = run
            elif _may_run(run, now) and job not in seen:  # a later run would wait for it
                night.under_way.append(run)
            else:
                night.troubles.append(_trouble(run, mended.get(job)))
            seen.add(job)
    return list(nights.values())


def _trouble(run: Run, later: Run | None) -> Trouble:
    result = run.result
    reason = run.reason or (result.reason if result is not None else None)
    what = run.state if result is None else f"{run.state}, exit status {result.exit}"
    if result is not None and result.files is not None and result.files.failed:
        what += f", {result.files.failed} files failed"
    if reason:
        what += f": {reason}"
    todo = run.hints or (_TODO.get(run.state, _FAILED),)
    if run.hints and run.state in _AGAIN:
        todo = (*run.hints, _AGAIN[run.state])
    return Trouble(run, what, todo, later)


def _headline(latest_first: Sequence[Run], nights: Sequence[Night], now: datetime) -> str:
    if not nights:
        return "There is no run to tell of."
    bad = [night for night in nights if not night.is_good]
    under_way = any(night.under_way for night in nights)
    if len(latest_first) == 1:
        if under_way:
            return "The run seems to be under way."
        return "The run did not end well." if bad else "The run ended well."
    if not bad:
        if len(nights) == 1:
            return "The night is not over yet." if under_way else "The night ended well."
        if under_way:
            return f"A run seems to be under way; all else of {len(nights)} nights ended well."
        return f"All {len(nights)} nights ended well."
    if len(nights) == 1:
        return "The night did not end well."
    is_last = (now - latest_first[0].began).total_seconds() < _STALE
    latest = "Last night" if is_last else f"The night to {nights[0].morning}"
    if nights[0].is_good:
        which = "one" if len(bad) == 1 else str(len(bad))
        return f"{latest} ended well; {which} of {len(nights)} nights did not."
    before = f"; {len(bad) - 1} of the {len(nights) - 1} nights before it did not either"
    return f"{latest} did not end well{before if bad[1:] else ''}."


def _warnings(latest_first: Sequence[Run], nights: Sequence[Night], now: datetime) -> list[str]:
    if len(nights) < 2:
        return []
    found = []
    idle = (now - latest_first[0].last).total_seconds()
    if idle > _STALE:
        found.append(
            f"Nothing has run for {duration_text(idle)}. Is what starts it (cron, a timer) alive?"
        )
    mornings = {night.morning for night in nights}
    days = (nights[0].morning - nights[-1].morning).days + 1
    if days <= 2 * len(nights):  # it is meant to run each night
        every = (nights[-1].morning + timedelta(days=number) for number in range(days))
        missing = [day.isoformat() for day in every if day not in mornings]
        if missing:
            shown = ", ".join(missing[:10]) + (" …" if missing[10:] else "")
            found.append(f"No run in {len(missing)} of {days} nights: {shown}.")
    return found
