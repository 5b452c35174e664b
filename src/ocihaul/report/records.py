"""One line of a JSON log as a value; logs come from outside: a field may be anything.

What may be wrong with a line: it is torn (the machine went down, or the disk was full), not JSON (a
text log), of a later schema, or without a time. Such a line is counted and left out. An event that
is not known is kept, as it shows that the run was alive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from ocihaul.documents import DocumentError, read_object
from ocihaul.printable import cut

#: The version of the log's schema that is read here (docs/logging.md).
SCHEMA_VERSION = 1
#: Bytes of a line at most; ours have some kilobytes.
LONGEST_LINE = 256 * 1024
#: Characters of a text that are kept.
_LONGEST_TEXT = 400
#: What a log may count, such as bytes, and how long a run may take, seconds. More is a mistake.
_LARGEST = 1e18
LONGEST_RUN = 1e9
#: Years whose days a calendar can reckon with, in every zone.
_YEARS = range(1971, 9000)


class Unreadable(Enum):
    """Why a line is left out."""

    BROKEN = "broken"
    LATER_SCHEMA = "later schema"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One event of one run. `at` has the offset of the machine that wrote it.

    `run` and `elapsed` (seconds since the run began, by a clock that is never set) are None in logs
    of before they were written.
    """

    event: str
    at: datetime
    command: str
    object: str
    run: str | None
    elapsed: float | None
    fields: Mapping[str, Any] = field(repr=False)

    def text(self, key: str) -> str | None:
        """A text, cut; None for any other value."""
        return text_of(self.fields.get(key))

    def number(self, key: str) -> float | None:
        """A number of at least 0; None for any other value."""
        return number_of(self.fields.get(key))

    def count(self, key: str) -> int:
        """A whole number, 0 for any other value."""
        return int(self.number(key) or 0)

    def object_at(self, key: str) -> Mapping[str, Any]:
        """An object; an empty one for any other value."""
        value = self.fields.get(key)
        return value if isinstance(value, dict) else {}

    def texts(self, key: str) -> tuple[str, ...]:
        """The first texts of a list."""
        value = self.fields.get(key)
        found = value[:10] if isinstance(value, list) else []
        return tuple(each for each in map(text_of, found) if each)


def text_of(value: object) -> str | None:
    """A text, cut where it has no end; None for any other value."""
    return cut(value, _LONGEST_TEXT) if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    """A number of at least 0; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value < _LARGEST else None


def seconds_of(value: object) -> float | None:
    """A length of time that a run may have; None for any other value."""
    seconds = number_of(value)
    return None if seconds is None or seconds > LONGEST_RUN else float(seconds)


def read_record(line: bytes | str) -> LogRecord | Unreadable:
    """What a line says."""
    try:
        fields = read_object(line, most=LONGEST_LINE)
    except DocumentError:
        behind = _behind_a_torn_one(line)
        return Unreadable.BROKEN if behind is None else read_record(behind)
    schema = fields.get("schema")
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        return Unreadable.LATER_SCHEMA
    at, event = _moment(fields.get("time")), text_of(fields.get("event"))
    if at is None or event is None:
        return Unreadable.BROKEN
    return LogRecord(
        event=event,
        at=at,
        command=text_of(fields.get("command")) or "",
        object=text_of(fields.get("object")) or "",
        run=text_of(fields.get("run")),
        elapsed=seconds_of(fields.get("elapsed")),
        fields=fields,
    )


def _behind_a_torn_one(line: bytes | str) -> bytes | str | None:
    """What another run has written behind a line that was torn; quotes within texts are escaped."""
    at = line.rfind(b'{"schema"') if isinstance(line, bytes) else line.rfind('{"schema"')
    return line[at:] if at > 0 else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and moment.year in _YEARS else None
