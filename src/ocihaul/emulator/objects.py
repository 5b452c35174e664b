"""What a bucket holds: objects, versions, multipart uploads, pre-authenticated requests."""

import base64
import itertools
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ocihaul.emulator.blobs import Blob, Checksums, Segment
from ocihaul.emulator.responses import ApiError

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
