"""What a bucket holds: objects, versions, multipart uploads, pre-authenticated requests; bodies.

A body is taken in a chunk at a time, hashed on the way, kept in a file and read back.
"""

import base64
import hashlib
import itertools
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import crc32c

from ocihaul.emulator.responses import ApiError
from ocihaul.emulator.settings import MIB

ALGORITHMS = ("CRC32C", "SHA256", "SHA384")

#: The reflected Castagnoli polynomial.
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, slots=True)
class Checksums:
    """What was computed over a body; None where it was not asked for."""

    crc32c: int
    md5: bytes | None = None
    sha256: bytes | None = None
    sha384: bytes | None = None

    def value(self, algorithm: str) -> str | None:
        """Base64, as in the opc-content-* headers; CRC32C big-endian."""
        if algorithm == "CRC32C":
            return b64(self.crc32c.to_bytes(4, "big"))
        digest = {"MD5": self.md5, "SHA256": self.sha256, "SHA384": self.sha384}[algorithm]
        return None if digest is None else b64(digest)


def b64(data: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(data).decode()


def digest_of_digests(algorithm: str, digests: Sequence[bytes | None]) -> str | None:
    """`base64(hash(d1 + d2 + …))-N`, or None when one of them is missing."""
    known = [digest for digest in digests if digest is not None]
    if len(known) != len(digests):
        return None
    whole = hashlib.new(algorithm, b"".join(known), usedforsecurity=False).digest()
    return f"{b64(whole)}-{len(known)}"


def combine_crc32c(first: int, second: int, second_size: int) -> int:
    """The CRC32C of A followed by B, from those of A and B: A's is moved over B's zeros."""
    return _multiply(_zeros(second_size), first) ^ second


def _multiply(a: int, b: int) -> int:
    """a·b modulo the polynomial, over GF(2), in reflected bit order."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@cache
def _zeros(size: int) -> int:
    """x^(8·size) modulo the polynomial, by repeated squaring."""
    result = 1 << 31  # x^0
    square = 1 << 23  # x^8: one byte
    while size:
        if size & 1:
            result = _multiply(square, result)
        square = _multiply(square, square)
        size >>= 1
    return result


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of bytes in a file; `path` None: the bytes were discarded."""

    path: Path | None
    size: int


class Intake:
    """Takes one body in. `close` ends it; then `checksums` and `segment` are final."""

    def __init__(self, path: Path | None, *, md5: bool, algorithms: frozenset[str]) -> None:
        self._path = path
        self._file = None if path is None else path.open("xb", buffering=0)
        self._crc32c = 0
        self._hashes: dict[str, Any] = {}
        if md5:
            self._hashes["md5"] = hashlib.md5(usedforsecurity=False)
        for name in ("SHA256", "SHA384"):
            if name in algorithms:
                self._hashes[name.lower()] = hashlib.new(name)
        self.size = 0

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes; the buffer may be reused afterwards."""
        self._crc32c = crc32c.crc32c(chunk, self._crc32c)
        for hasher in self._hashes.values():
            hasher.update(chunk)
        if self._file is not None:
            left = chunk
            while left:
                left = left[self._file.write(left) :]
        self.size += len(chunk)

    def close(self) -> None:
        """No more bytes."""
        if self._file is not None:
            self._file.close()

    def drop(self) -> None:
        """Forget the body: it was refused or never arrived whole."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def checksums(self) -> Checksums:
        """Over all bytes so far."""
        digests = {name: hasher.digest() for name, hasher in self._hashes.items()}
        return Checksums(crc32c=self._crc32c, **digests)

    @property
    def segment(self) -> Segment:
        """Where the bytes are."""
        return Segment(self._path, self.size)


class Blob:
    """The bytes of an object: segments in order.

    Files go when every object that has them is retired and no reader is left.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)
        self.size = sum(segment.size for segment in segments)
        self._lock = threading.Lock()  # guards the two below
        self._readers = 0
        self._owners = 1

    @property
    def discarded(self) -> bool:
        """Whether there is something that cannot be read back."""
        return any(segment.path is None and segment.size for segment in self.segments)

    def share(self) -> "Blob":
        """The same bytes for one more object."""
        with self._lock:
            self._owners += 1
        return self

    def retire(self) -> None:
        """The object is gone or replaced."""
        with self._lock:
            self._owners -= 1
            self._sweep()

    def open(self) -> Callable[[], None]:
        """Keep the files until the returned function is called."""
        with self._lock:
            self._readers += 1
        return self._close

    def _close(self) -> None:
        with self._lock:
            self._readers -= 1
            self._sweep()

    def _sweep(self) -> None:
        if self._owners <= 0 and not self._readers:
            for segment in self.segments:
                if segment.path is not None:
                    segment.path.unlink(missing_ok=True)

    def rot(self, at: int) -> bool:
        """Turn one bit of byte `at` over in its file; False when no file has that byte."""
        bit = 1 << at % 8
        for segment in self.segments:
            if at < segment.size:
                return segment.path is not None and _turn_over(segment.path, at, bit)
            at -= segment.size
        return False

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start`, in pieces of at most 1 MiB; discarded ones are zeros."""
        for segment in self.segments:
            if length <= 0:
                return
            if start >= segment.size:
                start -= segment.size
                continue
            wanted = min(length, segment.size - start)
            yield from _read(segment, start, wanted)
            start = 0
            length -= wanted


def _turn_over(path: Path, at: int, bit: int) -> bool:
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ bit]))
    return True


def _read(segment: Segment, start: int, length: int) -> Iterator[bytes]:
    if segment.path is None:
        while length:
            piece = min(MIB, length)
            yield bytes(piece)
            length -= piece
        return
    with segment.path.open("rb", buffering=0) as file:
        file.seek(start)
        while length:
            data = file.read(min(MIB, length))
            if not data:
                raise EOFError(f"{segment.path} is shorter than it was")
            yield data
            length -= len(data)


#: Access type → (reads, writes). For the Any… types the object's name is a prefix, or nothing.
ACCESS_TYPES = {
    "ObjectRead": (True, False),
    "ObjectWrite": (False, True),
    "ObjectReadWrite": (True, True),
    "AnyObjectRead": (True, False),
    "AnyObjectWrite": (False, True),
    "AnyObjectReadWrite": (True, True),
}
LISTING_ACTIONS = ("Deny", "ListObjects")


def _par_id() -> str:
    """Random, but for the two characters that every client has to quote in paths."""
    random = base64.b64encode(secrets.token_bytes(46)).decode().rstrip("=")
    return f"{random[:20]}/{random[20:40]}+{random[40:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Par:
    """One pre-authenticated request. Times are epoch seconds. Who knows `secret` may use it."""

    name: str
    access_type: str
    expires: float
    object_name: str | None = None
    listing: str | None = None
    created: float = field(default_factory=time.time)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    #: What its owner calls it by: 64 characters of base64, with `/` and `+` among them.
    par_id: str = field(default_factory=_par_id)

    def access_uri(self, namespace: str, bucket: str) -> str:
        """The path of its URL; that of an Any… type ends where the object's name begins."""
        name = "" if self.any_object else quote(self.object_name or "", safe="/")
        return f"{self.prefix}/n/{quote(namespace)}/b/{quote(bucket)}/o/{name}"

    @property
    def prefix(self) -> str:
        """What all its paths begin with."""
        return f"/p/{self.secret}"

    @property
    def any_object(self) -> bool:
        """Whether it is for more than one object."""
        return self.access_type.startswith("Any")

    def allows(self, name: str, *, write: bool) -> bool:
        """Whether one may read or write this object through it."""
        if not ACCESS_TYPES[self.access_type][write]:
            return False
        wanted = self.object_name or ""
        return name.startswith(wanted) if self.any_object else name == wanted

    @property
    def lists(self) -> bool:
        """Whether one may list objects through it."""
        return self.any_object and self.listing == "ListObjects"


next_sequence = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Attributes:
    """What the writer of an object says about it, beside its bytes."""

    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    storage_tier: str = "Standard"
    algorithm: str | None = None
    #: Base64 of the SHA-256 of the customer's key; the key itself is never kept.
    sse_key_sha256: str | None = None
    kms_key_id: str | None = None


@dataclass(slots=True, kw_only=True)
class StoredObject:
    """One object. `checksum_headers` are those that HEAD shows."""

    name: str
    blob: Blob
    attributes: Attributes
    checksums: Checksums
    checksum_headers: dict[str, str]
    part_count: int = 0
    #: Written while the bucket's versioning was suspended: the next one takes its place.
    unversioned: bool = False
    etag: str = field(default_factory=lambda: str(uuid.uuid4()))
    version_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    restored_at: float | None = None
    archived_again_at: float | None = None
    #: Grows with each version, delete markers included: what is newer has more.
    sequence: int = field(default_factory=next_sequence.__next__)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blob.size

    def archival_state(self, now: float) -> str | None:
        """Archived, Restoring, Restored; None outside the Archive tier."""
        if self.attributes.storage_tier != "Archive":
            return None
        if self.restored_at is None or now >= (self.archived_again_at or 0):
            return "Archived"
        return "Restored" if now >= self.restored_at else "Restoring"


@dataclass(slots=True, kw_only=True)
class DeleteMarker:
    """What a deletion leaves in a bucket with versions."""

    name: str
    version_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    modified: float = field(default_factory=time.time)
    sequence: int = field(default_factory=next_sequence.__next__)


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part."""

    number: int
    etag: str
    segment: Segment
    checksums: Checksums

    @property
    def size(self) -> int:
        """Bytes."""
        return self.segment.size

    @property
    def md5(self) -> str | None:
        """Base64."""
        return self.checksums.value("MD5")


@dataclass(slots=True, kw_only=True)
class Upload:
    """A multipart upload in progress."""

    name: str
    attributes: Attributes
    upload_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: Of the PAR that it was begun through, if it was.
    par_secret: str | None = field(default=None, repr=False)
    created: float = field(default_factory=time.time)
    parts: dict[int, Part] = field(default_factory=dict)


def check_write(etag: str | None, headers: Mapping[str, str]) -> None:
    """412 when if-match or if-none-match forbid to write over what has `etag` (None: nothing)."""
    check_match(etag, headers)
    unwanted = headers.get("if-none-match")
    if unwanted is not None and etag is not None and _names(unwanted, etag):
        message = f"The If-None-Match header is '{unwanted}' but the current entity tag is '{etag}'"
        raise ApiError(412, "IfNoneMatchFailed", message)


def check_none_match(headers: Mapping[str, str]) -> None:
    """400 for an if-none-match that is not `*`, the only one that a write can have."""
    unwanted = headers.get("if-none-match")
    if unwanted is not None and unwanted.strip() != "*":
        message = f"The If-None-Match header '{unwanted}' is not '*'"
        raise ApiError(400, "InvalidParameter", message)


def check_read(etag: str, headers: Mapping[str, str]) -> None:
    """412 or 304 when if-match or if-none-match say so."""
    check_match(etag, headers)
    unwanted = headers.get("if-none-match")
    if unwanted is not None and _names(unwanted, etag):
        raise ApiError(304, "NotModified", "", headers={"etag": etag})


def check_match(etag: str | None, headers: Mapping[str, str]) -> None:
    """412 unless if-match, if given, names `etag`."""
    wanted = headers.get("if-match")
    if wanted is not None and (etag is None or not _names(wanted, etag)):
        current = "there is none" if etag is None else f"is '{etag}'"
        message = f"The If-Match header is '{wanted}' but the current entity tag {current}"
        raise ApiError(412, "IfMatchFailed", message)


def check_delete(etag: str, headers: Mapping[str, str]) -> None:
    """412, in other words, where if-match forbids a deletion."""
    wanted = headers.get("if-match")
    if wanted is not None and not _names(wanted, etag):
        message = "FAILED_PRECONDITION: The current entity tag did not match"
        raise ApiError(412, "IfMatchFailed", message)


def _names(condition: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")}
    return "*" in tags or etag in tags
