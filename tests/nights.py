"""Logs of nights that never were: JSON lines as a run writes them, by clocks of our own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ocihaul.cli.run_result import LogOrigin
from ocihaul.cli.transfer_log import line_of

MIB = 2**20
Fields = dict[str, object]
BEGAN = datetime(2026, 11, 27, 2, 0, 1, tzinfo=UTC)


@dataclass
class LoggedRun:
    """One run that is written line by line. `lines` is what its log has."""

    name: str = "backups/db.tar"
    began: datetime = BEGAN
    command: str = "put"
    run: str = "0123456789abcdef"
    lines: list[str] = field(default_factory=list)
    #: How far the wall clock is ahead of the other one, seconds.
    ahead: float = 0.0
    last: float = -1.0
    moved: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.say(0.0, "begin", version="1.0")

    def say(self, at: float, event: str, **fields: object) -> None:
        at = self.last = max(at, self.last + 1e-6)  # it grows from line to line
        now = (self.began + timedelta(seconds=at + self.ahead)).timestamp()
        origin = LogOrigin(self.command, self.name, self.run)
        self.lines.append(line_of(origin, event, "info", fields, now=now, elapsed=at))

    def token(self, at: float, generation: int, source: str = "refresh") -> None:
        expires = self.began.timestamp() + at + 3600
        given: Fields = {"generation": generation, "expires_at": expires, "session_ends_at": None}
        self.say(at, "token_changed", source=source, **given)
        self._count("renewals", int(source != "start"))

    def attempt(
        self,
        at: float,
        *,
        seconds: float = 1.0,
        size: int = MIB,
        part: int | None = None,
        operation: str = "UploadPart",
        path: str = "/n/ns1/b/backups/u/db.tar?uploadId=1",
        status: int | None = 200,
        generation: int = 1,
        connection: int | None = 1,
        stalled: bool = False,
    ) -> None:
        query = "" if part is None else f"&uploadPartNum={part}"
        fields: Fields = {
            "operation": operation,
            "method": "PUT",
            "path": path + query,
            "status": status,
            "error": None if status is not None else "too slow: 3 bytes/s",
            "opc_request_id": "A" * 32,
            "seconds": seconds,
            "generation": generation,
            "body_sent": size,
            "body_received": 0,
            "connection": connection,
            "stalled": stalled,
        }
        self.say(at, "attempt_finished", **fields)
        if status == 401:
            self._count("rejections")
        if status == 200:
            self.moved += size

    def retry(self, at: float, reason: str = "UploadPart: 503 ServiceUnavailable") -> None:
        self.say(at, "retry_scheduled", operation="UploadPart", attempt=1, delay=2.0, reason=reason)
        self._count("retries")

    def resent(self, at: float, part: int, wasted: int) -> None:
        self.say(at, "part_resent", part_number=part, wasted=wasted, reason="connection reset")
        self._count("resent_bytes", wasted)

    def pause(self, start: float, end: float | None) -> None:
        until = self.began.timestamp() + 43200
        self.say(start, "session_paused", reason="the session has expired", until=until, cure=None)
        if end is not None:
            self.say(end, "session_resumed")

    def error(self, at: float, reason: str, *hints: str) -> None:
        self.say(at, "error", type="ServiceError", reason=reason, hints=list(hints))

    def result(self, at: float, state: str = "done", exit_status: int = 0, **more: object) -> None:
        fields: Fields = {
            "state": state,
            "exit": exit_status,
            "bytes": self.moved,
            "moved": self.moved,
            "seconds": at,
            "rate": round(self.moved / at) if at else None,
            "renewals": 0,
            "rejections": 0,
            "retries": 0,
            "resent_bytes": 0,
            "compared": "CRC32C",
            "files": None,
            "receipt": None,
            "reason": None,
        }
        self.say(at, "result", **(fields | self.counts | more))

    def _count(self, key: str, number: int = 1) -> None:
        self.counts[key] = self.counts.get(key, 0) + number


def a_night(
    *,
    parts: int = 60,
    connections: int = 5,
    began: datetime = BEGAN,
    run: str = "0123456789abcdef",
    object_name: str = "backups/db.tar",
    part_seconds: float = 4.0,
) -> LoggedRun:
    """Parts over connections, a renewal at each third, a 401, a retry; it ends well."""
    night = LoggedRun(name=object_name, began=began, run=run)
    night.token(0.1, 1, "start")
    planned: Fields = {"name": "db.tar", "size": parts * MIB, "part_size": MIB, "part_count": parts}
    night.say(0.2, "upload_planned", **planned, parallel=connections, multipart=True)
    third, generation = max(1, parts // 3), 1
    at = 0.3
    for part in range(1, parts + 1):
        if part % connections == 1 or connections == 1:
            at += part_seconds
        ends = at + 0.1 * part_seconds * ((part - 1) % connections) / connections
        if part % third == 0 and part < parts:
            generation += 1
            night.token(ends, generation)
        if part == third + 1:
            night.attempt(ends, size=0, part=part, status=401, generation=generation)
        if part == third + 2:
            night.retry(ends)
        connection = 1 + part % connections
        night.attempt(
            ends,
            seconds=part_seconds * 0.95,
            part=part,
            generation=generation,
            connection=connection,
        )
        night.say(ends, "part_finished", part_number=part, size=MIB)
    night.result(at + part_seconds)
    return night


def many_nights(count: int, *, parts: int) -> Iterator[str]:
    """The lines of so many nights in a row."""
    for number in range(count):
        began = BEGAN - timedelta(days=count - 1 - number)
        name = f"backups/db-{began:%Y%m%d}.tar"
        night = a_night(
            parts=parts, connections=15, began=began, run=f"{number:016x}", object_name=name
        )
        yield from night.lines
