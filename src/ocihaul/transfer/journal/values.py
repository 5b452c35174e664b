"""The journal's values, and how its rows hold them; pure."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ocihaul.documents import LAST_MOMENT, read_object
from ocihaul.transfer.checksum import CRC32C, SIZES, SentPart
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.source import Identity

#: What stands for the source of a stream.
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes: one object in one bucket at one endpoint."""

    endpoint: str
    namespace: str
    bucket: str
    object: str

    @property
    def digest(self) -> str:
        """A file name for it."""
        text = f"{self.endpoint}\n{self.namespace}\n{self.bucket}\n{self.object}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def values(self) -> tuple[str, str, str, str]:
        """As the journal's columns have them."""
        return self.endpoint, self.namespace, self.bucket, self.object


@dataclass(frozen=True, slots=True)
class Entry:
    """An upload that was begun and not finished. Sizes are bytes, `created_at` epoch seconds.

    `encryption` says how its parts are encrypted, without the key. `attributes` are what the object
    will have (`attributes_of` in `upload/request.py`), None where another has begun the upload.
    `ctime_ns` is the source's, None where it is not known. `counts` are those of the runs before
    this one.
    """

    row: int
    target: Target
    upload_id: str
    source: str
    identity: Identity
    part_size: int
    encryption: str
    algorithm: str
    created_at: float
    attributes: Mapping[str, object] | None = None
    ctime_ns: int | None = None
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class Intention:
    """An upload that is about to be created, and has no id yet. Fields as those of `Entry`.

    `begun_at` is epoch seconds, before the request goes out.
    """

    source: str
    identity: Identity
    part_size: int
    encryption: str
    algorithm: str
    attributes: Mapping[str, object] | None = None
    ctime_ns: int | None = None
    begun_at: float = field(default_factory=time.time)

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Intention | None":
        """From its JSON; None where a disk has made something else of it."""
        try:
            value = read_object(text)
            identity = value.pop("identity")
            numbers = (identity[name] for name in ("device", "inode", "size", "mtime_ns"))
            found = cls(identity=Identity(*map(number_cell, numbers)), **value)
            for each in (found.source, found.encryption, found.algorithm):
                text_cell(each)
            number_cell(found.part_size, least=_least_part(found.source))
            time_cell(found.begun_at)
            if found.ctime_ns is not None:
                number_cell(found.ctime_ns)
            if not isinstance(found.attributes, dict | None):
                return None
        except (ValueError, TypeError, KeyError):
            return None
        return found


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A finished upload; `owed`: its receipt was to be written to a file and is not there yet."""

    row: int
    target: Target
    etag: str
    size: int
    finished_at: float
    owed: bool


#: What `read_entry` reads.
ENTRY_COLUMNS = (
    "id, endpoint, namespace, bucket, object, upload_id, source, device, inode, size, "
    "mtime_ns, part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns"
)


def read_entry(row: int, *columns: Any) -> Entry:
    """From a row of `uploads`, in the order of `ENTRY_COLUMNS`.

    Raises ValueError where a disk has made something else of it.
    """
    endpoint, namespace, bucket, name, upload_id, source = map(text_cell, columns[:6])
    part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns = columns[10:]
    return Entry(
        row=row,
        target=Target(endpoint, namespace, bucket, name),
        upload_id=upload_id,
        source=source,
        identity=Identity(*map(number_cell, columns[6:10])),
        part_size=number_cell(part_size, least=_least_part(source)),
        encryption=text_cell(encryption),
        algorithm=text_cell(algorithm),
        created_at=time_cell(created_at),
        attributes=None if attributes is None else read_object(text_cell(attributes)),
        ctime_ns=None if ctime_ns is None else number_cell(ctime_ns),
        counts=Counts.from_document(read_object(text_cell(counts))),
    )


def read_receipt_row(row: int, *columns: Any) -> KeptReceipt:
    """From a row of `receipts`. Raises ValueError where a disk has made something else of it."""
    endpoint, namespace, bucket, name, etag = map(text_cell, columns[:5])
    size, finished_at, owed = columns[5:]
    target = Target(endpoint, namespace, bucket, name)
    return KeptReceipt(
        row, target, etag, number_cell(size, least=0), time_cell(finished_at), bool(owed)
    )


def _least_part(source: str) -> int:
    """A stream has parts of several sizes, and is noted with 0."""
    return 0 if source == STREAM else 1


def part_row(entry: Entry, number: int, part: SentPart) -> tuple[object, ...]:
    """For a row of `parts`."""
    digests = json.dumps({name: value.hex() for name, value in part.digests.items()})
    return entry.row, number, part.size, part.etag, digests, part.request_id


def read_parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, SentPart]]:
    """The rows of `parts` that are as they were written; the others were none."""
    for number, size, etag, digests, request_id in rows:
        sound = type(number) is int and number > 0 and type(size) is int and size >= 0
        sound = sound and isinstance(etag, str) and isinstance(request_id, str | None)
        if sound and CRC32C in (values := digests_cell(digests)):
            yield number, SentPart(size, etag, values, request_id)


# Cells. A disk may have changed them, and SQLite holds any type in any column: each raises
# ValueError then.


def text_cell(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("a cell has no text")  # noqa: TRY004  what is wrong is the file
    return value


def number_cell(value: object, *, least: int | None = None) -> int:
    """A whole number as `database.cell` wrote it; `least` or more, where that is given."""
    if not isinstance(value, int | bytes) or (least is not None and int(value) < least):
        raise ValueError("a cell has no such number")
    return int(value)


def time_cell(value: object) -> float:
    """Epoch seconds."""
    if not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
        raise ValueError("a cell has no time")
    return float(value)


def digests_cell(written: object) -> dict[str, bytes]:
    """What was written; nothing where a disk has made something else of it."""
    try:
        found = {
            name: bytes.fromhex(value) for name, value in read_object(text_cell(written)).items()
        }
    except (ValueError, TypeError):
        return {}
    sound = all(len(value) == SIZES.get(name) for name, value in found.items())
    return found if sound else {}
