"""Lines of logs become runs; pure, and in bounded memory.

A line belongs to the run that it names. In logs of before lines named one, it belongs to the latest
run of its command and object in that file. The same log may be given twice, or a copy of it as it
was yesterday: of a run that another file has told of, only what is later counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ocihaul.report.records import LogRecord, Unreadable, read_record
from ocihaul.report.runs import Run, first_of

#: Runs that are kept, and those of them that keep their timeline: the latest ones.
MOST_RUNS = 1000
MOST_TIMELINES = 100


@dataclass(slots=True)
class LogReader:
    """Reads logs of runs that began at `since` or later (an aware moment; None: all of them)."""

    since: datetime | None = None
    #: Lines that are no line of a log, that a later version wrote, and that were read.
    broken: int = 0
    later: int = 0
    lines: int = 0
    #: Runs that were left out, as there are too many.
    left_out: int = 0
    _runs: dict[str, Run] = field(default_factory=dict)
    _ignored: set[str] = field(default_factory=set)
    #: In this file, by command and object, for lines that name no run.
    _current: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def runs(self) -> list[Run]:
        """The latest one first."""
        return sorted(self._runs.values(), key=lambda run: run.began, reverse=True)

    def read(self, lines: Iterable[bytes | str], *, without: str | None = None) -> None:
        """Read one file, but for the run `without`."""
        self._current.clear()
        for run in self._runs.values():
            run.known = run.elapsed
        for line in lines:
            if line.strip():
                self.add(line, without=without)

    def add(self, line: bytes | str, *, without: str | None = None) -> None:
        """Read the next line of a file."""
        record = read_record(line)
        if record is Unreadable.BROKEN:
            self.broken += 1
        elif record is Unreadable.LATER_SCHEMA:
            self.later += 1
        elif isinstance(record, LogRecord):
            self.lines += 1
            if without is None or record.run != without:
                self._take(record)

    def _take(self, record: LogRecord) -> None:
        run_id = self._run_of(record)
        if run_id in self._ignored:
            return
        run = self._runs.get(run_id)
        if run is None:
            run = first_of(record, run_id)
            if self.since is not None and run.began < self.since:
                self._ignored.add(run_id)
                return
            self._keep(run)
        if run.known < 0 or _moment(run, record) > run.known:
            run.add(record)

    def _run_of(self, record: LogRecord) -> str:
        if record.run is not None:
            return record.run
        of = (record.command, record.object)
        if record.event == "begin" or of not in self._current:
            self._current[of] = "\n".join([*of, record.at.isoformat()])
        return self._current[of]

    def _keep(self, run: Run) -> None:
        self._runs[run.id] = run
        if len(self._runs) <= MOST_TIMELINES:
            return
        by_time = self.runs
        for each in by_time[MOST_TIMELINES:]:
            each.timeline = None
        for each in by_time[MOST_RUNS:]:
            del self._runs[each.id]
            self._ignored.add(each.id)
            self.left_out += 1


def _moment(run: Run, record: LogRecord) -> float:
    if record.elapsed is not None:
        return record.elapsed
    return (record.at - run.began).total_seconds()
