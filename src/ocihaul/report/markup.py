"""Text in HTML: the one way in which a text of a log gets into a page; pure."""

from collections.abc import Iterable
from datetime import datetime
from html import escape

from ocihaul.printing import shown


def text(value: str) -> str:
    """A text without secrets and control characters, for an element or a quoted attribute."""
    return escape(shown(value))


def name(value: str) -> str:
    """A name from outside: whatever its script, it does not reorder what stands beside it."""
    return f"<bdi>{text(value)}</bdi>"


def moment(value: datetime, *, unit: str = "seconds") -> str:
    """A moment with its offset, as a log line has it: `2026-11-27 02:00:01+09:00`."""
    return value.isoformat(" ", unit)


def number(value: float) -> str:
    """A coordinate: as short as it can be."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def joined(pieces: Iterable[str]) -> str:
    """Pieces of markup as one."""
    return "".join(pieces)
