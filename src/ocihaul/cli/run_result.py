"""How a transfer ended, as one value: what its last line, its hooks and its metrics say."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ocihaul.cli.process import DONE, INTERRUPTED, RESUMABLE
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    Event,
    FileFinished,
    PartResent,
    RetryScheduled,
    TokenChanged,
)
from ocihaul.quantities import duration_text, size_text

#: An object existed and stays as it is; it is this file or may be it, or is not.
KEPT = "kept"
KEPT_DIFFERENT = "kept-different"
#: The states there are; `partial`: files failed.
STATES = ("done", KEPT, KEPT_DIFFERENT, "partial", "failed", "resumable", "interrupted")


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """What each line of one transfer says of it; `run` tells it from all other runs.

    `sources` is how many transfers a command has that makes several; each of them has its own.
    """

    command: str
    object: str
    run: str = field(default_factory=lambda: os.urandom(8).hex())
    sources: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """What became of the files or objects of a directory."""

    transferred: int
    unchanged: int
    deleted: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Sizes are bytes, `seconds` those of the whole command.

    `bytes` are those of the object, or of the transferred files; `moved` those that went over the
    line and counted; `resent_bytes` went more than once. `rejections` counts answers with 401.
    `compared` names the checksums that were compared with the service's, None where none was.
    """

    command: str
    object: str
    state: str
    exit: int
    bytes: int
    moved: int
    seconds: float
    renewals: int = 0
    rejections: int = 0
    retries: int = 0
    resent_bytes: int = 0
    compared: str | None = None
    files: FileCounts | None = None
    receipt: str | None = None
    reason: str | None = None

    @property
    def rate(self) -> float | None:
        """Bytes per second that were moved."""
        return self.moved / self.seconds if self.seconds > 0 else None

    def fields(self) -> Mapping[str, Any]:
        """All of it, for a JSON log."""
        rate = self.rate
        return {
            **asdict(self),
            "seconds": round(self.seconds, 3),
            "rate": None if rate is None else round(rate),
        }


def state_of(code: int, *, files: FileCounts | None = None) -> str:
    """The state that goes with an exit status."""
    if code == DONE:
        return "done"
    if code == INTERRUPTED:
        return "interrupted"
    if code == RESUMABLE:
        return "resumable"
    return "partial" if files is not None and files.failed else "failed"


def combined(
    origin: LogOrigin,
    results: Sequence[RunResult],
    code: int,
    *,
    seconds: float,
    error: str | None,
) -> RunResult:
    """The result of a command that has made several transfers; `error` is what ended it."""
    failed = [each for each in results if each.exit]
    files = _added(results)
    states = {each.state for each in results}
    state = state_of(code, files=files)
    if code == DONE and KEPT_DIFFERENT in states:
        state = KEPT_DIFFERENT
    elif code == DONE and states == {KEPT}:
        state = KEPT
    reasons = [_reason(each) for each in failed]
    if error is not None and not any(each.reason == error for each in failed):
        reasons.append(error)
    return RunResult(
        command=origin.command,
        object=origin.object,
        state=state,
        exit=code,
        bytes=sum(each.bytes for each in results),
        moved=sum(each.moved for each in results),
        seconds=seconds,
        renewals=sum(each.renewals for each in results),
        rejections=sum(each.rejections for each in results),
        retries=sum(each.retries for each in results),
        resent_bytes=sum(each.resent_bytes for each in results),
        files=files,
        reason="; ".join(reasons) or None,
    )


def _reason(result: RunResult) -> str:
    reason = result.reason or result.state
    return reason if reason.startswith(f"{result.object}:") else f"{result.object}: {reason}"


def _added(results: Sequence[RunResult]) -> FileCounts:
    """What became of all files; a transfer of one object is one of them."""
    counts = [each.files or _of_one(each) for each in results]
    return FileCounts(
        transferred=sum(each.transferred for each in counts),
        unchanged=sum(each.unchanged for each in counts),
        deleted=sum(each.deleted for each in counts),
        # A directory may have failed before its first file.
        failed=sum(
            max(count.failed, int(each.exit != DONE))
            for each, count in zip(results, counts, strict=True)
        ),
    )


def _of_one(result: RunResult) -> FileCounts:
    kept = result.state in {KEPT, KEPT_DIFFERENT}
    good = result.exit == DONE and not kept
    return FileCounts(transferred=int(good), unchanged=int(kept), deleted=0, failed=0)


def result_text(result: RunResult) -> str:
    """The last line of a transfer's log, without time and object."""
    parts = [f"RESULT {result.state}"]
    if result.files is not None:
        files = result.files
        parts.append(
            f"{files.transferred} transferred, {files.unchanged} unchanged, "
            f"{files.deleted} deleted, {files.failed} failed"
        )
    rate = f"{size_text(result.rate or 0)}/s"
    parts += [
        f"{size_text(result.bytes)} in {duration_text(result.seconds)}",
        rate if result.moved == result.bytes else f"{size_text(result.moved)} moved now, {rate}",
        f"renewals {result.renewals}",
        f"401s {result.rejections}",
        f"retries {result.retries}",
        f"sent twice {size_text(result.resent_bytes)}",
    ]
    if result.files is None:
        parts.append(f"compared {result.compared or 'nothing'}")
    return ", ".join([*parts, f"exit {result.exit}"])


class RunCounter:
    """A listener that counts for the result. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self.renewals = self.rejections = self.retries = self.resent_bytes = 0
        self.moved = self.file_bytes = self.files = 0

    def __call__(self, event: Event) -> None:
        """Count one event, from any thread."""
        if isinstance(event, AttemptFinished) and event.status != 401:
            return  # there is one for each file: without the lock
        if isinstance(event, (BytesSent, BytesReceived)):  # for each block: not long under it
            with self._lock:
                self.moved += event.count
            return
        with self._lock:
            match event:
                case TokenChanged(source=source) if source != "start":
                    self.renewals += 1
                case AttemptFinished(status=401):
                    self.rejections += 1
                case RetryScheduled():
                    self.retries += 1
                case PartResent():
                    self.resent_bytes += event.wasted
                case FileFinished():
                    self.files += 1
                    self.file_bytes += event.size
                case _:
                    pass


_SUCCESS = "transfer_last_success_timestamp_seconds"
_FAILED_RUNS = "transfer_failed_runs_total"
_RUNS = "transfer_runs_total"
_KEPT = re.compile(r"^ocihaul_(\w+)\{[^\n]*\} ([0-9.e+]+)$", re.MULTILINE | re.ASCII)
#: Bytes of a metrics file that are read.
_LARGEST = 2**20


def update_metrics(path: Path, result: RunResult, now: float) -> None:
    """Replace the file of `--metrics-file` with the result as Prometheus text; raises OSError.

    The file is for a textfile collector and holds one job, the latest run of it; it is replaced
    atomically and as a whole. What a failed run must not forget (when the last one succeeded, how
    many have failed) is read from the file that is there; where it cannot be read, counting begins
    anew.
    """
    from ocihaul.session.keeper import write_metrics

    write_metrics(path, transfer_exposition(result, now, earlier=_read(path)))


def _read(path: Path) -> Mapping[str, float]:
    found: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                text = file.read(_LARGEST).decode("utf-8", "replace")
            for name, value in _KEPT.findall(text):
                found[name] = float(value)
    return found


def transfer_exposition(result: RunResult, now: float, *, earlier: Mapping[str, float]) -> str:
    """Return the whole file; `earlier` are the values of the one before it, by metric."""
    return "".join(f"{line}\n" for line in _lines(result, now, earlier))


def _lines(result: RunResult, now: float, earlier: Mapping[str, float]) -> Iterator[str]:
    from ocihaul.session.keeper import head, labels, number

    good = result.exit == 0 and result.state != KEPT_DIFFERENT  # then nothing was backed up
    success = now if good else earlier.get(_SUCCESS)
    failed = int(not good) if result.files is None else max(result.files.failed, int(not good))
    gauges = (
        (
            "transfer_success",
            "1 when the last run succeeded: exit status 0, and no other object was kept.",
            float(good),
        ),
        ("transfer_last_run_timestamp_seconds", "End of the last run.", now),
        (_SUCCESS, "End of the last run that succeeded.", success),
        ("transfer_duration_seconds", "Length of the last run.", result.seconds),
        ("transfer_bytes", "Bytes of what the last run transferred.", result.bytes),
        ("transfer_moved_bytes", "Bytes that the last run moved.", result.moved),
        ("transfer_resent_bytes", "Bytes that the last run sent twice.", result.resent_bytes),
        ("transfer_failures", "Files or objects that failed in the last run.", failed),
        ("transfer_renewals", "Renewals of the session in the last run.", result.renewals),
        ("transfer_rejections", "Answers with 401 in the last run.", result.rejections),
        ("transfer_retries", "Retries in the last run.", result.retries),
        ("transfer_exit_status", "Exit status of the last run.", result.exit),
    )
    of = labels(command=result.command)
    for name, text, value in gauges:
        yield from head(name, "gauge", text)
        if value is not None:
            yield f"ocihaul_{name}{of} {number(value)}"
    for name, text, more in (
        (_RUNS, "Runs.", 1),
        (_FAILED_RUNS, "Runs that did not succeed.", int(not good)),
    ):
        yield from head(name, "counter", text)
        yield f"ocihaul_{name}{of} {number(earlier.get(name, 0) + more)}"
