"""The JSON log: one object a line for every event, by the schema in `log_schema.json`.

Bytes that move are too many to be a line each, and so are the library's progress events: the last
one is a line, `progress`, once in each interval.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from ocihaul import __version__
from ocihaul.cli.progress_text import planned_progress
from ocihaul.cli.run_result import LogOrigin, RunResult
from ocihaul.clock import local_time
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


def event_fields(event: Event) -> dict[str, Any]:
    """The fields of an event, by their names."""
    return asdict(event)


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
