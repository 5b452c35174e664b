"""The runs that logs tell of: what each went through, by its records; pure, in bounded memory.

A line belongs to the run that it names. In logs of before lines named one, it belongs to the latest
run of its command and object in that file. The same log may be given twice, or a copy of it as it
was yesterday: of a run that another file has told of, only what is later counts.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ocihaul.quantities import duration_text, size_text
from ocihaul.report.records import (
    LONGEST_RUN,
    LogRecord,
    Unreadable,
    number_of,
    read_record,
    seconds_of,
)
from ocihaul.report.timeline import Span, Timeline

#: States with which nothing is left to be done.
GOOD = frozenset({"done", "kept"})
#: The state of a run whose last line is missing.
NO_RESULT = "no result"
_STATES = frozenset(
    {"done", "kept", "kept-different", "partial", "failed", "resumable", "interrupted"}
)
#: How far wall time and the clock that is never set may part without a word, seconds.
_TOLERANCE = 5.0
_MOST_TOKENS = 400
_MOST_PAUSES = 100
_MOST_FILES = 20
_SENDING = frozenset({"UploadPart", "PutObject"})
_PART = re.compile(r"[?&]uploadPartNum=(\d{1,6})(?:&|$)", re.ASCII)
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """From `at` on, requests are signed with this one. `expires_at` is in epoch seconds."""

    at: float
    generation: int
    source: str
    expires_at: float | None

    @property
    def is_renewal(self) -> bool:
        """Whether it is another than the run began with."""
        return self.source != "start"


@dataclass(slots=True)
class Pause:
    """A wait for a login; `end` is None where the log ends before."""

    start: float
    reason: str
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """What became of the files of a directory."""

    transferred: int
    unchanged: int
    deleted: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What a run says of itself at its end, or what was counted up to where its log ends.

    Sizes are bytes.
    """

    moved: int = 0
    renewals: int = 0
    rejections: int = 0
    retries: int = 0
    resent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The last line of a run. `bytes` are those of the object, or of the transferred files."""

    state: str
    exit: int
    bytes: int
    seconds: float
    counts: RunCounts
    compared: str | None
    files: Files | None
    receipt: str | None
    reason: str | None


@dataclass(slots=True)
class Run:
    """One run of one command, as far as its log goes. Times within it are seconds since `began`."""

    id: str
    command: str
    object: str
    began: datetime
    last: datetime
    elapsed: float = 0.0
    version: str | None = None
    size: int | None = None
    result: Result | None = None
    reason: str | None = None
    hints: tuple[str, ...] = ()
    timeline: Timeline | None = field(default_factory=Timeline)
    tokens: list[TokenSpan] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    failed_files: list[tuple[str, str]] = field(default_factory=list)
    stalls: int = 0
    #: The moment of the record that is taken.
    at: float = 0.0
    #: Lines up to here were read before, from another copy of the log.
    known: float = -1.0
    _counts: dict[str, int] = field(default_factory=dict)
    _drift: float = 0.0

    @property
    def state(self) -> str:
        """How it ended."""
        return NO_RESULT if self.result is None else self.result.state

    @property
    def is_good(self) -> bool:
        """Whether nothing is left to be done."""
        return self.state in GOOD

    @property
    def seconds(self) -> float:
        """How long it took, as far as its log goes."""
        return self.elapsed if self.result is None else max(self.result.seconds, 0.001)

    @property
    def length(self) -> float:
        """How far its timeline goes, seconds."""
        return max(self.elapsed, self.seconds)

    @property
    def counts(self) -> RunCounts:
        """Those of the result, else those that were counted."""
        if self.result is not None:
            return self.result.counts
        return RunCounts(
            moved=max(self._counts.get("moved", 0), self._counts.get("progress", 0)),
            renewals=self._counts.get("renewals", 0),
            rejections=self._counts.get("rejections", 0),
            retries=self._counts.get("retries", 0),
            resent=self._counts.get("resent", 0),
        )

    @property
    def bytes(self) -> int:
        """Of the object or the files; without a result, what was moved."""
        return self.counts.moved if self.result is None else self.result.bytes

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.counts.moved / self.seconds if self.seconds > 0 else 0.0

    def add(self, record: LogRecord) -> None:
        """Take its next record."""
        self.at = self._moment_of(record)
        self.elapsed = max(self.elapsed, self.at)
        self.last = record.at
        take = _TAKERS.get(record.event)
        if take is not None:
            take(self, record)

    def mark(self, kind: str, text: str) -> None:
        """Note what happened now, if its timeline is kept."""
        if self.timeline is not None:
            self.timeline.mark(self.at, kind, text)

    def count(self, key: str, number: int = 1) -> None:
        """Count one more."""
        self._counts[key] = self._counts.get(key, 0) + number

    def progress(self, number: int) -> None:
        """So many bytes are said to have been moved."""
        self._counts["progress"] = number

    def _moment_of(self, record: LogRecord) -> float:
        by_wall = (record.at - self.began).total_seconds()
        if record.elapsed is None:
            return min(max(self.elapsed, by_wall), LONGEST_RUN)
        drift = by_wall - record.elapsed
        if abs(drift - self._drift) > _TOLERANCE:
            forward = drift > self._drift
            text = duration_text(abs(drift - self._drift))
            told = (
                f"set ahead by {text}, or the machine slept" if forward else f"set back by {text}"
            )
            self.at = record.elapsed
            self.mark("clock", f"The clock was {told}")
            self._drift = drift
        return record.elapsed


def first_of(record: LogRecord, run_id: str) -> Run:
    """The run that begins, as far as is known, with this record."""
    began = record.at - timedelta(seconds=record.elapsed or 0.0)
    return Run(run_id, record.command, record.object, began, record.at)


def _begin(run: Run, record: LogRecord) -> None:
    run.version = record.text("version")


def _planned(run: Run, record: LogRecord) -> None:
    size = record.number("size")
    run.size = None if size is None else int(size)


def _attempt(run: Run, record: LogRecord) -> None:
    status, error = record.number("status"), record.text("error")
    operation = record.text("operation") or "?"
    size = record.count("body_received")
    if operation in _SENDING:  # the bodies of others are documents
        size += record.count("body_sent")
    failed = status is None or status >= 400
    if status == 401:
        run.count("rejections")
        run.mark("401", f"{operation}: 401, the token was not accepted")
    if record.fields.get("stalled") is True:
        run.stalls += 1
        run.mark("stall", f"{operation}: {error or 'the connection stalled'}")
    if not size or run.timeline is None:
        return
    start = max(0.0, run.at - (record.number("seconds") or 0.0))
    connection = record.number("connection")
    if not failed or record.count("body_received"):
        run.count("moved", size)
        run.timeline.move(start, run.at, size)
    run.timeline.exchange(
        Span(
            start=start,
            end=run.at,
            connection=None if connection is None else int(connection),
            generation=record.count("generation"),
            size=size,
            label=_label(operation, record.text("path") or ""),
            failed=int(failed),
        )
    )


def _label(operation: str, path: str) -> str:
    found = _PART.search(path)
    if found is not None:
        return f"part {found[1]}"
    name = path.partition("?")[0].rpartition("/")[2]
    return f"{operation} {name}"[:_LONGEST_LABEL]


def _token(run: Run, record: LogRecord) -> None:
    token = TokenSpan(
        run.at,
        record.count("generation"),
        record.text("source") or "?",
        record.number("expires_at"),
    )
    if token.is_renewal:
        run.count("renewals")
    if len(run.tokens) < _MOST_TOKENS:
        run.tokens.append(token)


def _renewal_failed(run: Run, record: LogRecord) -> None:
    text = f"Renewal ({record.text('provider')}) failed: {record.text('reason')}"
    run.mark("renewal-failed", text)


def _paused(run: Run, record: LogRecord) -> None:
    open_one = bool(run.pauses) and run.pauses[-1].end is None
    if not open_one and len(run.pauses) < _MOST_PAUSES:  # it is said again once a minute
        run.pauses.append(Pause(run.at, record.text("reason") or ""))


def _resumed(run: Run, _: LogRecord) -> None:
    if run.pauses and run.pauses[-1].end is None:
        run.pauses[-1].end = run.at


def _retry(run: Run, record: LogRecord) -> None:
    run.count("retries")
    delay = duration_text(record.number("delay") or 0)
    run.mark("retry", f"{record.text('reason')}; tried again after {delay}")


def _resent(run: Run, record: LogRecord) -> None:
    wasted = record.count("wasted")
    run.count("resent", wasted)
    part, reason = record.count("part_number"), record.text("reason")
    run.mark("resent", f"part {part} sent again ({size_text(wasted)}): {reason}")


def _file_failed(run: Run, record: LogRecord) -> None:
    name, reason = record.text("name") or "?", record.text("reason") or "?"
    if len(run.failed_files) < _MOST_FILES:
        run.failed_files.append((name, reason))
    run.mark("file-failed", f"{name}: {reason}")


def _notice(run: Run, record: LogRecord) -> None:
    if record.fields.get("routine") is not True:
        run.mark("notice", record.text("text") or "")


def _progress(run: Run, record: LogRecord) -> None:
    run.progress(record.count("bytes"))


def _error(run: Run, record: LogRecord) -> None:
    run.reason = record.text("reason")
    run.hints = record.texts("hints")


def _result(run: Run, record: LogRecord) -> None:
    state = record.text("state")
    run.result = Result(
        state=state if state in _STATES and state is not None else "failed",
        exit=record.count("exit"),
        bytes=record.count("bytes"),
        seconds=seconds_of(record.fields.get("seconds")) or run.elapsed,
        counts=RunCounts(
            moved=record.count("moved"),
            renewals=record.count("renewals"),
            rejections=record.count("rejections"),
            retries=record.count("retries"),
            resent=record.count("resent_bytes"),
        ),
        compared=record.text("compared"),
        files=_files(record),
        receipt=record.text("receipt"),
        reason=record.text("reason"),
    )


def _files(record: LogRecord) -> Files | None:
    found = record.object_at("files")
    if not found:
        return None
    names = ("transferred", "unchanged", "deleted", "failed")
    return Files(*(int(number_of(found.get(name)) or 0) for name in names))


#: Events that are not here are known to come, or not known at all: they show that it was alive.
_TAKERS: dict[str, Callable[[Run, LogRecord], None]] = {
    "begin": _begin,
    "upload_planned": _planned,
    "download_planned": _planned,
    "attempt_finished": _attempt,
    "token_changed": _token,
    "renewal_failed": _renewal_failed,
    "session_paused": _paused,
    "session_resumed": _resumed,
    "retry_scheduled": _retry,
    "part_resent": _resent,
    "file_failed": _file_failed,
    "notice": _notice,
    "progress": _progress,
    "error": _error,
    "result": _result,
}


#: Runs that are kept, and those of them that keep their timeline: the latest ones.
MOST_RUNS = 1000
MOST_TIMELINES = 100
#: Runs that are known to be left out, and objects whose latest run is known: of logs without end.
_MOST_KNOWN = 10_000


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
    _ignored: dict[str, None] = field(default_factory=dict)
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
            if record.number("sources") is not None:
                return  # of a command with several transfers: each has a run of its own
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
                self._ignore(run_id)
                return
            self._keep(run)
        if run.known < 0 or _moment(run, record) > run.known:
            run.add(record)

    def _run_of(self, record: LogRecord) -> str:
        if record.run is not None:
            return record.run
        of = (record.command, record.object)
        if record.event == "begin" or of not in self._current:
            self._current.pop(of, None)
            self._current[of] = "\n".join([*of, record.at.isoformat()])
            _drop_oldest(self._current)
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
            self._ignore(each.id)
            self.left_out += 1

    def _ignore(self, run_id: str) -> None:
        self._ignored[run_id] = None
        _drop_oldest(self._ignored)


def _drop_oldest(known: dict[Any, Any]) -> None:
    """Forget what was noted first; its lines are long past, as those of a run stand together."""
    if len(known) > _MOST_KNOWN:
        del known[next(iter(known))]


def _moment(run: Run, record: LogRecord) -> float:
    if record.elapsed is not None:
        return record.elapsed
    return (record.at - run.began).total_seconds()
