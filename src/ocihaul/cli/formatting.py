"""`--output table`: values as a table of plain characters, drawn as the official CLI draws it.

Pure. A list of objects gets a column for each key that occurs in any of them, in alphabetical
order; everything without keys gets columns called Column1, Column2 …
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from ocihaul.printable import one_line
from ocihaul.quantities import duration_text, size_text, time_text

__all__ = [
    "MIB",
    "duration_text",
    "in_local_time",
    "iso",
    "size_text",
    "table_text",
    "time_text",
]


def table_text(data: object) -> str:
    """The table for `data`, or the sentence that the official CLI says where there is none."""
    if isinstance(data, str):
        return _draw([["Column1"], [data]])
    if isinstance(data, Mapping):
        keys = sorted(data)
        return _draw([keys, [data[key] for key in keys]])
    if isinstance(data, list):
        return _list(data)
    return f"Table format not supported for operation return type: {data}"


def _list(data: list[object]) -> str:
    if not data:
        return "Command returned empty list, no table to display."
    rows = [item for item in data if isinstance(item, Mapping)]
    if len(rows) == len(data):
        keys = sorted({key for row in rows for key in row})
        return _draw([keys, *([row.get(key, "") for key in keys] for row in rows)])
    lists = [item for item in data if isinstance(item, list)]
    if len(lists) == len(data):
        width = max(len(item) for item in lists)
        return _draw([[f"Column{number}" for number in range(1, width + 1)], *lists])
    return _draw([["Column1"], *([item] for item in data)])


def _draw(rows: Sequence[Sequence[object]]) -> str:
    columns = max(len(row) for row in rows)
    # A cell is one line, whatever its text: a name with a line break must not look like a row.
    cells = [[one_line(str(cell)) for cell in row] + [""] * (columns - len(row)) for row in rows]
    widths = [max(_width(row[i]) for row in cells) for i in range(columns)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    if not columns:
        rule = "++"
    head, *body = (_row(row, widths) for row in cells)
    return "\n".join([rule, head, rule, *body, rule])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        f" {text}{' ' * (width - _width(text))} " for text, width in zip(cells, widths, strict=True)
    ]
    return "|" + "|".join(padded) + "|"


def _width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


MIB = 1024 * 1024


def iso(epoch: float) -> str:
    """A moment for programs, in UTC: `2026-11-22T20:02:47+00:00`."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")


#: A moment as the session's texts have it.
_UTC = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\b", re.ASCII)


def in_local_time(text: str, zone: tzinfo | None = None) -> str:
    """`text` with its moments in UTC as local time (or in `zone`): a log has one zone."""

    def local(match: re.Match[str]) -> str:
        try:
            moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        except ValueError:  # a text of others, that only looks like a moment
            return match[0]
        return time_text(moment.timestamp(), zone)

    return _UTC.sub(local, text)
