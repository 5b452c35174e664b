"""What the emulator saw: one entry per request, without secrets."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields

_SECRET_HEADERS = frozenset(
    {"authorization", "opc-sse-customer-key", "opc-source-sse-customer-key", "cookie"}
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request. Times are epoch seconds of this machine; `status` None: never answered."""

    sequence: int
    connection: int
    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started_at: float
    finished_at: float | None
    status: int | None
    error_code: str | None
    error_detail: str | None
    body_expected: int
    body_received: int
    body_sent: int
    part_number: int | None
    upload_id: str | None
    token_id: str | None
    session_id: str | None
    token_age_fraction: float | None
    expected_100: bool
    sent_100: bool
    fault: str | None


@dataclass(slots=True, kw_only=True)
class Record:
    """An entry in the making; only the thread that serves the request writes to it."""

    sequence: int
    connection: int
    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    status: int | None = None
    error_code: str | None = None
    error_detail: str | None = None
    body_expected: int = 0
    body_received: int = 0
    body_sent: int = 0
    part_number: int | None = None
    upload_id: str | None = None
    token_id: str | None = None
    session_id: str | None = None
    token_age_fraction: float | None = None
    expected_100: bool = False
    sent_100: bool = False
    fault: str | None = None

    def freeze(self) -> LogEntry:
        """The entry as it is now."""
        return LogEntry(**{each.name: getattr(self, each.name) for each in fields(self)})


def masked(path: str) -> str:
    """The path, with the secret of a pre-authenticated request replaced by a digest of it."""
    return re.sub(r"^/p/[^/]+", lambda found: f"/p/{_digest(found.group()[3:])}", path)


def _digest(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, with each credential replaced by a short digest of it."""
    return {
        name: _digest(value) if name in _SECRET_HEADERS else value
        for name, value in headers.items()
    }


def as_json(entry: LogEntry) -> str:
    """One line of JSON."""
    return json.dumps(asdict(entry), sort_keys=True)


class Log:
    """All requests so far.

    A request is listed from the moment before its answer leaves, so that a client that has
    an answer always finds its entry; `finished_at` is set when the exchange is over. Unless it is
    to `keep` them, entries are given to `on_finish` then, and forgotten.
    """

    def __init__(
        self, on_finish: Callable[[LogEntry], None] | None = None, *, keep: bool = True
    ) -> None:
        self._changed = threading.Condition()  # guards everything below
        self._visible: dict[int, Record | LogEntry] = {}
        self._sequence = 0
        self._version = 0
        self._on_finish = on_finish
        self._keep = keep

    def next_sequence(self) -> int:
        """Number a request whose headers have arrived."""
        with self._changed:
            self._sequence += 1
            return self._sequence

    def show(self, record: Record) -> None:
        """Make a record visible: its outcome is decided."""
        with self._changed:
            self._visible[record.sequence] = record
            self._notify()

    def _notify(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def finish(self, record: Record) -> None:
        """The exchange is over."""
        record.finished_at = time.time()
        with self._changed:
            entry = record.freeze()
            self._visible[record.sequence] = entry
            if not self._keep:
                del self._visible[record.sequence]
            if self._on_finish is not None:
                self._on_finish(entry)
            self._notify()

    def entries(self, *, operation: str | None = None, status: int | None = None) -> list[LogEntry]:
        """The requests in order of arrival."""
        with self._changed:
            records = [self._visible[key] for key in sorted(self._visible)]
            return [
                record if isinstance(record, LogEntry) else record.freeze()
                for record in records
                if operation in (None, record.operation) and status in (None, record.status)
            ]

    def count(self, *, operation: str | None = None, status: int | None = None) -> int:
        """How many requests match."""
        return len(self.entries(operation=operation, status=status))

    def clear(self) -> None:
        """Forget what was seen; sequence numbers go on."""
        with self._changed:
            self._visible.clear()

    def wait_for(self, predicate: Callable[[LogEntry], bool], timeout: float = 10.0) -> LogEntry:
        """The first entry that satisfies `predicate`; TimeoutError if none comes in time."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                version = self._version
            for entry in self.entries():
                if predicate(entry):
                    return entry
            with self._changed:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no such request within {timeout} s")
                if version == self._version:
                    self._changed.wait(left)
