"""Cells of the journal's rows, as they were written; pure.

A disk may have made something else of them, and SQLite holds any type in any column. Each raises
ValueError then.
"""

from ocihaul.documents import LAST_MOMENT, read_object
from ocihaul.transfer.checksum import SIZES


def text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("a cell has no text")  # noqa: TRY004  what is wrong is the file
    return value


def number(value: object, *, least: int | None = None) -> int:
    """A whole number as `database.cell` wrote it; `least` or more, where that is given."""
    if not isinstance(value, int | bytes) or (least is not None and int(value) < least):
        raise ValueError("a cell has no such number")
    return int(value)


def time(value: object) -> float:
    """Epoch seconds."""
    if not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
        raise ValueError("a cell has no time")
    return float(value)


def digests(written: object) -> dict[str, bytes]:
    """What was written; nothing where a disk has made something else of it."""
    try:
        found = {name: bytes.fromhex(value) for name, value in read_object(text(written)).items()}
    except (ValueError, TypeError):
        return {}
    sound = all(len(value) == SIZES.get(name) for name, value in found.items())
    return found if sound else {}
