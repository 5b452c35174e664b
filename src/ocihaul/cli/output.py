"""What goes to stdout: the answer, as JSON or as a table, after `--query`; times and sizes as text.

What belongs here: choosing and shaping the data. Exit codes do not. A table is drawn of plain
characters, as the official CLI draws it: a list of objects gets a column for each key that occurs
in any of them, in alphabetical order; what has no keys gets columns called Column1, Column2 …
At a terminal that is too narrow for it cells are folded, or each row becomes a table of its own;
no character is lost, and what is no terminal gets the table as it is.
"""

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, TextIO

from ocihaul.cli.process import mimics_official_cli
from ocihaul.errors import UsageError
from ocihaul.printable import one_line
from ocihaul.printing import write_answer, write_raw
from ocihaul.quantities import time_text
from ocihaul.redaction import mask_held

#: The headers that the official CLI shows after `object put`.
PUT_HEADERS = frozenset(
    {
        "etag",
        "last-modified",
        "opc-content-md5",
        "opc-multipart-md5",
        "opc-content-crc32c",
        "opc-content-sha256",
        "opc-content-sha384",
        "opc-multipart-sha256",
        "opc-multipart-sha384",
    }
)
EMPTY_RESULT = "Query returned empty result, no output to show."


@dataclass(frozen=True, slots=True)
class View:
    """How the answer is to be shown."""

    output: str = "json"
    query: str | None = None
    raw: bool = False

    @property
    def is_table(self) -> bool:
        """Whether the data is shown as a table."""
        return self.output == "table"

    @property
    def is_plain_json(self) -> bool:
        """Whether the text is the data's JSON and nothing else."""
        return self.output == "json" and self.query is None

    def render(self, data: object, *, columns: int | None = None) -> str | None:
        """The text for `data`; None when a query left nothing of it.

        A table has at most so many `columns`, where it can be done at all.
        """
        if self.query is not None:
            data = _searched(self.query, data)
            if data is None:
                return None
        elif self.output == "table" and isinstance(data, Mapping) and "data" in data:
            data = data["data"]
        if self.output == "table":
            return table_text(data, columns=columns)
        if self.raw and isinstance(data, str):
            return data  # as it is: see `print_view`
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)

    def beside(self, data: object) -> list[str]:
        """Lines for stderr: whatever an answer has beside its "data", which is the table."""
        if self.output != "table" or not (isinstance(data, Mapping) and "data" in data):
            return []
        return [f"{name}: {value}" for name, value in data.items() if name != "data"]


def make_view(
    *, output: str | None, query: str | None, raw: bool, queries: Mapping[str, str]
) -> View:
    """A view that is known to work, before anything is uploaded; raises UsageError if not.

    `queries` are the named queries of the rc file, for `query://name`.
    """
    output = (output or "json").lower()
    if output not in {"json", "table"}:
        raise UsageError(f"--output cannot be {output!r}", hint="It is json or table.")
    if query is not None and query.lower().startswith("query://"):
        name = query[len("query://") :]
        if name not in queries:
            known = ", ".join(sorted(queries)) or "none"
            raise UsageError(
                f"there is no query called {name!r}; the queries of the rc file are: {known}",
                hint="Name one of them, or write the expression itself after --query.",
            )
        query = queries[name]
    if query:
        _compiled(query)
    return View(output, query or None, raw)


def print_view(stream: TextIO, view: View, text: str) -> None:
    """Print what `view` has rendered. A raw text is made safe at a terminal only."""
    if view.raw:
        write_raw(stream, text)
    else:
        write_answer(stream, [text, "\n"])


def columns_of(stream: TextIO) -> int | None:
    """The columns of a terminal for which a table is made to fit; None where that is not wanted."""
    try:
        if mimics_official_cli() or not stream.isatty():
            return None
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # closed, or no file at all
        return None


def put_answer(headers: Mapping[str, str]) -> dict[str, str]:
    """What `object put` shows of the service's headers (lower-case names)."""
    return {name: value for name, value in headers.items() if name in PUT_HEADERS}


def checksum_verdict(headers: Mapping[str, str], md5: str | None) -> tuple[str, bool]:
    """What `--verify-checksum` says, in the official CLI's words, and whether all is well."""
    theirs = headers.get("opc-content-md5") or headers.get("opc-multipart-md5")
    if md5 is None or theirs is None:
        whose = "local" if md5 is None else "service's"
        return f"md5 checksum could not be verified: the {whose} value is not known", False
    if md5 == theirs:
        return f"md5 checksum matches [Local: {md5}]", True
    return f"md5 checksum does not match [Local: {md5}] [Service: {theirs}]", False


def _searched(query: str, data: object) -> Any:
    """What a query finds. Raises UsageError where it does not fit the data."""
    import jmespath.exceptions

    try:
        found = _compiled(query).search(data)
        if _is_document(found):
            return found
        reason = "an expression (&) is no result"
    except (jmespath.exceptions.JMESPathError, ValueError, TypeError, RecursionError) as error:
        reason = f"{error}".partition("\n")[0]
    raise UsageError(
        f"--query {query!r} does not fit the answer: {reason}",
        hint="Look at the answer without --query; a query can be tried at https://jmespath.org",
    )


def _is_document(found: object) -> bool:
    """Whether it can be shown: `&name` is a value to jmespath, and none of JSON."""
    level = [found]
    while level:
        if not all(isinstance(each, dict | list | str | int | float | None) for each in level):
            return False
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [
            value for each in inner for value in (each.values() if isinstance(each, dict) else each)
        ]
    return True


def _compiled(query: str) -> Any:
    import jmespath
    import jmespath.exceptions

    try:
        return jmespath.compile(query)
    except (jmespath.exceptions.JMESPathError, ValueError, RecursionError) as error:
        reason = (str(error) or "it is nested too deep").splitlines()[0].rstrip(":")
        raise UsageError(
            f"--query {query!r} is not a JMESPath expression: {reason}",
            hint="A key with a dash needs double quotes inside single ones: "
            "--query '\"opc-content-md5\"'",
        ) from None


def table_text(data: object, *, columns: int | None = None) -> str:
    """The table for `data`, or the sentence that the official CLI says where there is none.

    With `columns` it is made to fit.
    """
    if isinstance(data, str):
        return _draw([["Column1"], [data]], columns)
    if isinstance(data, Mapping):
        keys = sorted(data)
        return _draw([keys, [data[key] for key in keys]], columns)
    if isinstance(data, list):
        return _list(data, columns)
    return f"Table format not supported for operation return type: {data}"


def _list(data: list[object], columns: int | None) -> str:
    if not data:
        return "Command returned empty list, no table to display."
    rows = [item for item in data if isinstance(item, Mapping)]
    if len(rows) == len(data):
        keys = sorted({key for row in rows for key in row})
        return _draw([keys, *([row.get(key, "") for key in keys] for row in rows)], columns)
    lists = [item for item in data if isinstance(item, list)]
    if len(lists) == len(data):
        width = max(len(item) for item in lists)
        return _draw([[f"Column{number}" for number in range(1, width + 1)], *lists], columns)
    return _draw([["Column1"], *([item] for item in data)], columns)


_Rows = Sequence[Sequence[str]]

#: Columns that a folded cell has at least, and lines at most; else each row is a table of its own.
_NARROWEST, _MOST_LINES = 12, 3


def _draw(rows: Sequence[Sequence[object]], columns: int | None) -> str:
    count = max(len(row) for row in rows)
    # A cell is one line, whatever its text: a name with a line break must not look like a row.
    cells = [[one_line(str(cell)) for cell in row] + [""] * (count - len(row)) for row in rows]
    widths = [max(_width(row[i]) for row in cells) for i in range(count)]
    room = None if columns is None else columns - _borders(count)
    if room is None or sum(widths) <= room:
        return _table([cells[:1], cells[1:]], widths)
    # A secret would not be found any more once it is in two lines.
    cells = [[mask_held(cell, answer=True) for cell in row] for row in cells]
    folded = _folded_widths(widths, room)
    if folded is None:
        return _records(cells, _borders(2), columns or 0)
    return _table([[row] for row in cells], folded)


def _borders(count: int) -> int:
    """Columns of a table that are no cell's."""
    return 3 * count + 1


def _folded_widths(widths: Sequence[int], room: int) -> list[int] | None:
    """Widths that fit, the widest columns narrowed; None where too little of them is left."""
    fitting = (c for c in range(room, 0, -1) if sum(min(width, c) for width in widths) <= room)
    most = next(fitting, 0)
    if most < min(_NARROWEST, max(widths)) or max(widths) > most * _MOST_LINES:
        return None
    left = room - sum(min(width, most) for width in widths)
    found = []
    for width in widths:
        more = min(left, max(0, width - most))
        found.append(min(width, most) + more)
        left -= more
    return found


def _records(cells: _Rows, borders: int, columns: int) -> str:
    """Each row as lines of key and value."""
    keys, *body = cells
    of_key = min(max(map(_width, keys)), max(2, (columns - borders) // 2))
    values = max((_width(cell) for row in body for cell in row), default=0)
    widths = [of_key, max(2, min(values, columns - borders - of_key))]
    return _table([list(zip(keys, row, strict=True)) for row in body], widths)


def _table(groups: Sequence[_Rows], widths: Sequence[int]) -> str:
    """Groups of rows with a rule between them."""
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    if not widths:
        rule = "++"
    lines = [rule]
    for group in groups:
        lines += [line for row in group for line in _row_lines(row, widths)]
        lines.append(rule)
    return "\n".join(lines)


def _row_lines(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    folded = [_folded(text, width) for text, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded), default=1)):
        texts = [lines[number] if number < len(lines) else "" for lines in folded]
        padded = [
            f" {text}{' ' * (width - _width(text))} "
            for text, width in zip(texts, widths, strict=True)
        ]
        yield "|" + "|".join(padded) + "|"


def _folded(text: str, width: int) -> list[str]:
    """A text as lines of at most `width` columns; no character is lost."""
    if _width(text) <= width:
        return [text]
    lines, taken = [""], 0
    for character in text:
        wide = _width(character)
        if taken + wide > width:
            lines.append("")
            taken = 0
        lines[-1] += character
        taken += wide
    return lines


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
