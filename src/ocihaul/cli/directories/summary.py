"""What the commands on directories print at the end: the official JSON, written as it is read.

The results may be more than memory holds, so without --query they are never all in hand.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.output import View, print_view
from ocihaul.directories.results import (
    DELETED,
    DOWNLOADED,
    FAILED,
    NOT_DELETED,
    SKIPPED,
    UPLOADED,
    Results,
)
from ocihaul.printing import write_answer


@dataclass(frozen=True, slots=True)
class SummaryKey:
    """One key of the JSON; with `values` it is an object, without a list of names.

    `row` is what a row of the table says beside the name.
    """

    key: str
    kind: str
    row: Mapping[str, str]
    values: bool = False


Layout = tuple[SummaryKey, ...]

UPLOAD: Layout = (
    SummaryKey("uploaded-objects", UPLOADED, {"action": "Uploaded", "type": "file"}, values=True),
    SummaryKey("upload-failures", FAILED, {"action": "Failed", "type": "file"}, values=True),
    SummaryKey("skipped-objects", SKIPPED, {"action": "Skipped", "type": "file"}),
)
DOWNLOAD: Layout = (
    SummaryKey("downloaded-objects", DOWNLOADED, {"action": "Downloaded", "type": "object"}),
    SummaryKey("download-failures", FAILED, {"action": "Failed", "type": "object"}, values=True),
    SummaryKey("skipped-objects", SKIPPED, {"action": "Skipped", "type": "object"}),
)
DELETE: Layout = (
    SummaryKey("delete-failures", NOT_DELETED, {"action": "Failed"}, values=True),
    SummaryKey("deleted-objects", DELETED, {"action": "Deleted", "type": "object"}),
)
DELETE_FILES: Layout = (
    SummaryKey("deleted-files", DELETED, {"action": "Deleted", "type": "file"}),
)


def print_summary(results: Results, layout: Layout, view: View, stream: TextIO) -> bool:
    """Print it; False when a query left nothing to print."""
    if view.output == "json" and view.query is None:
        write_answer(stream, json_pieces(results, layout))
    else:
        whole = rows(results, layout) if view.output == "table" else document(results, layout)
        text = view.render(whole)
        if text is None:
            return False
        print_view(stream, view, text)
    return True


def json_pieces(results: Results, layout: Layout) -> Iterator[str]:
    """The JSON as `json.dumps(document, indent=2, sort_keys=True)` has it, piece by piece."""
    before = "{\n"
    for section in sorted(layout, key=lambda each: each.key):
        yield f"{before}  {_text(section.key)}: "
        opening, closing = "{}" if section.values else "[]"
        empty = True
        for name, value in _items(results, section):
            item = _text(name)
            if section.values:
                item += ": " + _text(value).replace("\n", "\n    ")
            yield f"{opening if empty else ','}\n    {item}"
            empty = False
        yield f"{opening}{closing}" if empty else f"\n  {closing}"
        before = ",\n"
    yield "\n}\n"


def _items(results: Results, section: SummaryKey) -> Iterator[tuple[str, Any]]:
    """Names and values of a section; reasons are in the command line's words."""
    for name, value in results.items(section.kind):
        yield name, in_flags(value) if isinstance(value, str) else value


def document(results: Results, layout: Layout) -> dict[str, Any]:
    """All of it, for a query."""
    return {
        section.key: dict(_items(results, section))
        if section.values
        else [name for name, _ in results.items(section.kind)]
        for section in layout
    }


def rows(results: Results, layout: Layout) -> list[dict[str, Any]]:
    """All of it, for a table."""
    found = []
    for section in layout:
        for name, value in _items(results, section):
            row: dict[str, Any] = {**section.row, "name": name}
            if section.kind == NOT_DELETED:
                row = {**section.row, "object": name}
            if isinstance(value, dict):
                row |= value
            elif value is not None and section.values:
                row["error-message"] = value
            found.append(row)
    return found


def _text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
