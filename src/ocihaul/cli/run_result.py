"""How a transfer ended, as one value: what its last line, its hooks and its metrics say."""

import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ocihaul.cli.exit_codes import DONE, INTERRUPTED, RESUMABLE
from ocihaul.cli.formatting import duration_text, size_text
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

#: An object existed and stays as it is; it is not the file.
KEPT_DIFFERENT = "kept-different"
#: The states there are. `kept`: the object existed and stays as it is; `partial`: files failed.
STATES = ("done", "kept", KEPT_DIFFERENT, "partial", "failed", "resumable", "interrupted")


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """What each line of one transfer says of it; `run` tells it from all other runs."""

    command: str
    object: str
    run: str = field(default_factory=lambda: os.urandom(8).hex())


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
                case BytesSent() | BytesReceived():
                    self.moved += event.count
                case FileFinished():
                    self.files += 1
                    self.file_bytes += event.size
                case _:
                    pass
