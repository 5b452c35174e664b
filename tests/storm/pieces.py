"""What is finished and must not be moved again, and which requests move what; pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from ocihaul.emulator import LogEntry


@dataclass(frozen=True)
class Part:
    """A part of an upload that the service has acknowledged and the journal has recorded."""

    upload_id: str
    number: int

    def is_moved_by(self, entry: LogEntry) -> bool:
        same = (entry.upload_id, entry.part_number) == (self.upload_id, self.number)
        return entry.operation == "UploadPart" and same


@dataclass(frozen=True)
class Range:
    """Bytes `start` to `end` (exclusive) of an object that a download has noted as finished."""

    name: str
    start: int
    end: int

    def is_moved_by(self, entry: LogEntry) -> bool:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", entry.headers.get("range", ""))
        if entry.operation != "GetObject" or name_of(entry) != self.name or asked is None:
            return False
        return int(asked[1]) < self.end and self.start <= int(asked[2])


@dataclass(frozen=True)
class Whole:
    """A file of a directory that has arrived."""

    name: str

    def is_moved_by(self, entry: LogEntry) -> bool:
        moves = {"PutObject", "UploadPart", "GetObject"}
        return entry.operation in moves and name_of(entry) == self.name


Piece = Part | Range | Whole


def name_of(entry: LogEntry) -> str:
    """The object that a request is about; "" where it is about none."""
    path = entry.path.split("/", 6)
    return unquote(path[6]) if len(path) == 7 else ""


def moved_again(finished: Iterable[Piece], entries: Iterable[LogEntry]) -> Iterator[str]:
    """The finished pieces that later requests have moved all the same."""
    later = list(entries)
    for piece in finished:
        count = sum(piece.is_moved_by(entry) for entry in later)
        if count:
            yield f"{piece}, {count} times"


def lost(recorded: Iterable[Part], entries: Iterable[LogEntry]) -> Iterator[str]:
    """The recorded parts that are in no object although their transfer has ended well."""
    committed = {
        entry.upload_id
        for entry in entries
        if entry.operation == "CommitMultipartUpload"
        and (entry.status == 200 or entry.fault == "cut-before-answer")
    }
    for part in recorded:
        if part.upload_id not in committed:
            yield str(part)
