"""What the journal tells, as values, and how its rows say it."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ocihaul.transfer.counting import Counts
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.source import Identity


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
    will have (`headers.attributes_of`), None where another has begun the upload. `ctime_ns` is
    the source's, None where it is not known. `counts` are those of the runs before this one.
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
            value = read_document(text)
            identity = Identity(**value.pop("identity"))
            return cls(identity=identity, **value)
        except (ValueError, TypeError, KeyError):
            return None


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
    """From a row of `uploads`, in the order of `ENTRY_COLUMNS`."""
    upload_id, source = columns[4:6]
    part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns = columns[10:]
    return Entry(
        row=row,
        target=Target(*columns[:4]),
        upload_id=upload_id,
        source=source,
        identity=Identity(*map(int, columns[6:10])),
        part_size=part_size,
        encryption=encryption,
        algorithm=algorithm,
        created_at=created_at,
        attributes=None if attributes is None else read_document(attributes),
        ctime_ns=None if ctime_ns is None else int(ctime_ns),
        counts=Counts.from_document(read_document(counts)),
    )


def read_document(text: str) -> dict[str, Any]:
    """A JSON object. Raises ValueError where a disk has made something else of it."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, not {text:.20}")  # noqa: TRY004  see above
    return value


def part_row(entry: Entry, number: int, part: SentPart) -> tuple[object, ...]:
    """For a row of `parts`."""
    digests = json.dumps({name: value.hex() for name, value in part.digests.items()})
    return entry.row, number, part.size, part.etag, digests, part.request_id


def read_digests(text: str) -> dict[str, bytes]:
    """What was written; nothing where a disk has made something else of it."""
    try:
        return {name: bytes.fromhex(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
