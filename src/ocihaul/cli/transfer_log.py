"""The log of a transfer: what is asked of it, the file of `--log-file`, and its lines as JSON.

The JSON log has one object a line for every event, by the schema in `log_schema.json`. Bytes that
move are too many to be a line each, and so are the library's progress events: the last one is a
line, `progress`, once in each interval.
"""

import errno
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ocihaul import __version__
from ocihaul.cli.error_text import in_flags
from ocihaul.cli.progress_text import planned_progress
from ocihaul.cli.run_result import LogOrigin, RunResult
from ocihaul.clock import local_time
from ocihaul.config.settings import Found, duration
from ocihaul.errors import UsageError
from ocihaul.events import (
    AttemptFinished,
    BytesFound,
    BytesReceived,
    BytesSent,
    CredentialRejected,
    DirectoryProgress,
    DirectoryScanned,
    DownloadPlanned,
    Event,
    FileFailed,
    PartResent,
    RenewalFailed,
    RetryScheduled,
    SessionPaused,
    TransferProgress,
    UploadPlanned,
)
from ocihaul.printing import shown

#: Seconds between two lines of progress, and the least there may be.
INTERVAL = 30.0
_SHORTEST = 1.0
FORMATS = ("text", "json")
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """`format` is that of `file`, or of stderr where there is none; `interval` is in seconds."""

    format: str = "text"
    file: Path | None = None
    quiet: bool = False
    verbose: bool = False
    interval: float = INTERVAL
    on_finish: str | None = None
    on_failure: str | None = None
    metrics_file: Path | None = None
    report: Path | None = None
    #: Their URLs may hold secrets.
    notify: str | None = field(default=None, repr=False)

    @property
    def stderr_is_json(self) -> bool:
        """Whether stderr is the JSON log."""
        return self.format == "json" and self.file is None


def log_options(values: Mapping[str, Any], environ: Mapping[str, str]) -> LogOptions:
    """Of the global options by their parameter names, and OCIHAUL_…; raises UsageError."""

    def text(name: str) -> str | None:
        value = values.get(name) or environ.get(f"OCIHAUL_{name.upper()}")
        return str(value) if value else None

    def switch(name: str) -> bool:
        variable = environ.get(f"OCIHAUL_{name.upper()}", "")
        return bool(values.get(name, variable.lower() in _TRUE))

    log_format = text("log_format") or "text"
    if log_format not in FORMATS:
        raise UsageError(
            f"OCIHAUL_LOG_FORMAT: {log_format!r} (it can be text or json)", hint="Or unset it."
        )
    quiet, verbose = switch("quiet"), switch("verbose")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", hint="Leave one out.")
    file, metrics, report = text("log_file"), text("metrics_file"), text("report")
    if report == "-":  # stdout has the answer, or the object itself
        raise UsageError("--report: - (a file)", hint="Such as --report report.html.")
    if report is not None and report in (file, metrics):
        raise UsageError(
            f"--report: {report} (another file than those of --log-file and --metrics-file)",
            hint="The page would replace it. Such as --report report.html.",
        )
    return LogOptions(
        format=log_format,
        file=Path(file).expanduser() if file else None,
        quiet=quiet,
        verbose=verbose,
        interval=_interval(text("progress_interval")),
        on_finish=text("on_finish"),
        on_failure=text("on_failure"),
        notify=text("notify"),
        metrics_file=Path(metrics).expanduser() if metrics else None,
        report=Path(report).expanduser() if report else None,
    )


def _interval(text: str | None) -> float:
    if text is None:
        return INTERVAL
    seconds = duration(Found(text, "--progress-interval"))
    if seconds < _SHORTEST:
        raise UsageError(
            f"--progress-interval: {text} (at least 1s)", hint="Such as 10s, 30s or 5m."
        )
    return seconds


_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_OPEN |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
#: Only its owner reads a file that is made: names of objects are nobody else's business.
_MODE = 0o600


class LogFile:
    """Lines appended to a file, which is never a reason to end a transfer. Thread-safe.

    What may go wrong, and what happens then:

    * It cannot be opened (a directory, no permission, no space): `complain` hears of it once, and
      the transfer goes on, because a backup without its log is better than none.
    * A write fails on the way (the disk is full): the same; every later line is tried again, and
      how many are missing is said at the end.
    * Two processes have one log: each line is one write at the end of the file (O_APPEND), so lines
      stay whole.
    * It is rotated: `copytruncate` is followed; a file that was renamed goes on being written to.
    * It is a pipe without a reader: opening it does not wait.
    """

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._lock = threading.Lock()  # guards all below
        self._descriptor: int | None = None
        self._missing = 0
        self._torn = False
        self._complained = False
        try:
            self._descriptor = os.open(path, _OPEN, _MODE)
        except OSError as error:
            self._say(error)

    def write(self, line: str) -> None:
        """Append one line, which has no line break and no secret."""
        with self._lock:
            if self._descriptor is None:
                return
            data = line.encode("utf-8", "replace") + b"\n"
            if self._torn:
                data = b"\n" + data
            try:
                written = os.write(self._descriptor, data)
            except OSError as error:
                self._missing += 1
                self._say(error)
                return
            if written < len(data):  # the space ended within it
                self._missing += 1
                self._torn = True
                self._say(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            else:
                self._torn = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            if self._missing:
                self._complain(f"--log-file {self._path}: {self._missing} lines are missing")

    def _say(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            reason = error.strerror or str(error)
            self._complain(f"--log-file {self._path}: {reason}; the transfer goes on")


class FileOutput:
    """A log file as the place where lines go: see `Screen`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def say(self, text: str, *, public: bool = False) -> None:
        """Append one line, without secrets."""
        self._file.write(shown(text, public=public))


#: The version of the schema: a new field or event does not change it, a changed meaning does.
SCHEMA_VERSION = 1
#: Seconds without a byte after which the rate is 0: those over which it is taken.
WINDOW = 60.0
_SUMMED = (BytesSent, BytesReceived, BytesFound, TransferProgress, DirectoryProgress)
_WARNINGS = (CredentialRejected, PartResent, RenewalFailed, RetryScheduled, SessionPaused)
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def schema() -> dict[str, Any]:
    """The JSON Schema of a line, as it is shipped."""
    text = files("ocihaul.cli").joinpath("log_schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def event_name(kind: type[Event]) -> str:
    """The name of an event in the log: `TokenChanged` is `token_changed`."""
    return _WORD.sub("_", kind.__name__).lower()


def is_summed(kind: type[Event]) -> bool:
    """Whether such events are in `progress` instead of being lines."""
    return issubclass(kind, _SUMMED)


def line_of(
    origin: LogOrigin,
    name: str,
    level: str,
    fields: Mapping[str, Any],
    *,
    now: float,
    elapsed: float,
) -> str:
    """One line; its texts are without secrets and control characters, as other lines are."""
    record = {
        "schema": SCHEMA_VERSION,
        "time": local_time(now, None).isoformat(timespec="milliseconds"),
        "level": level,
        "event": name,
        "run": origin.run,
        "elapsed": round(elapsed, 6),
        "command": origin.command,
        "object": shown(origin.object),
        **({} if origin.sources is None else {"sources": origin.sources}),
        **{key: _safe(value) for key, value in fields.items()},
    }
    return json.dumps(record, ensure_ascii=False)


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {key: _safe(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(each) for each in value]
    return value


#: Fields of events that are texts of ours.
_TEXTS = frozenset({"cure", "reason", "text"})


def event_fields(event: Event) -> dict[str, Any]:
    """The fields of an event, by their names; our own texts in the command line's words."""
    fields = asdict(event)
    return {
        key: in_flags(value) if key in _TEXTS and isinstance(value, str) else value
        for key, value in fields.items()
    }


def level_of(event: Event) -> str:
    """How much it matters: debug, info, warning or error."""
    if isinstance(event, FileFailed):
        return "error"
    if isinstance(event, _WARNINGS):
        return "warning"
    return "debug" if isinstance(event, AttemptFinished) else "info"


class JsonLog:
    """A channel that writes every event as JSON. Thread-safe."""

    def __init__(
        self,
        write: Callable[[str], None],
        origin: LogOrigin,
        *,
        directory: bool,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._origin = origin
        self._directory = directory
        self._monotonic = monotonic
        self._now = now
        self._began = monotonic()
        self._lock = threading.Lock()  # guards what is counted
        self._writing = threading.Lock()  # `elapsed` grows from line to line
        self._found = DirectoryScanned(0, 0, complete=False)
        self._one = TransferProgress(0, 0, None, None, None, 0, 0)
        self._all = DirectoryProgress(0, 0, None, None, None, 0, 0, 0, 0, complete=False)
        self._moved_at = self._began

    def begin(self) -> None:
        """Write the first line."""
        self._line("begin", "info", {"version": __version__})

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        with self._lock:
            if isinstance(event, DirectoryScanned):
                self._found = event
            elif isinstance(event, DirectoryProgress):
                self._all, self._moved_at = event, self._monotonic()
            elif isinstance(event, TransferProgress):
                self._one, self._moved_at = event, self._monotonic()
            elif isinstance(event, (UploadPlanned, DownloadPlanned)):
                self._one = planned_progress(event)
        if not is_summed(type(event)):
            self._line(event_name(type(event)), level_of(event), event_fields(event))

    def notice(self, text: str, *, level: str = "info") -> None:
        """Write something of the command's own."""
        self._line("notice", level, {"text": text, "routine": level == "info"})

    def beat(self) -> None:
        """Write how far it is."""
        self._line("progress", "info", self._progress())

    def failed(self, fields: Mapping[str, Any]) -> None:
        """Write the error that ends the transfer."""
        self._line("error", "error", fields)

    def result(self, result: RunResult) -> None:
        """Write the last line."""
        fields = {k: v for k, v in result.fields().items() if k not in {"command", "object"}}
        self._line("result", "info" if result.exit == 0 else "error", fields)

    def _progress(self) -> dict[str, Any]:
        with self._lock:
            progress: TransferProgress | DirectoryProgress = self._one
            if self._directory:
                progress = self._all
            still = self._monotonic() - self._moved_at >= WINDOW
            rate = 0.0 if still and progress.rate is not None else progress.rate
            left, fraction = None if still else progress.seconds_left, progress.fraction
            fields = {
                "bytes": progress.done,
                "fraction": None if fraction is None else round(fraction, 4),
                "rate": None if rate is None else round(rate),
                "seconds_left": None if left is None else round(left, 1),
            }
            if isinstance(progress, TransferProgress):
                return fields | {
                    "size": progress.total,
                    "parts": progress.parts_done,
                    "part_count": progress.part_count,
                }
            return fields | {
                "size": progress.total,
                "files": progress.files_done,
                "unchanged": progress.files_unchanged,
                "deleted": progress.files_deleted,
                "failed": progress.files_failed,
                "files_found": self._found.files,
                "bytes_found": self._found.size,
                "complete": self._found.complete,
            }

    def _line(self, name: str, level: str, fields: Mapping[str, Any]) -> None:
        with self._writing:
            elapsed = self._monotonic() - self._began
            self._write(
                line_of(self._origin, name, level, fields, now=self._now(), elapsed=elapsed)
            )
