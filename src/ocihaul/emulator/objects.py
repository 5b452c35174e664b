"""What is stored: buckets, objects, multipart uploads. No HTTP here.

One lock for all of it: handlers hold it for look-ups and for the switch that makes an object
visible, never while a body is on its way.
"""

import itertools
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ocihaul.emulator.blobs import Blob, Checksums, Intake, Segment
from ocihaul.emulator.responses import ApiError
from ocihaul.emulator.settings import Settings

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
    #: The beginning of its id. Never a dash: command lines would take it for an option.
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def par_id(self) -> str:
        """What the owner calls it by; it ends with the object's name and may have slashes."""
        return f"{self.nonce}:{self.object_name or ''}"

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


Versioning = Literal["Disabled", "Enabled"]
_sequence = itertools.count(1)


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
    etag: str = field(default_factory=lambda: str(uuid.uuid4()))
    version_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)
    restored_at: float | None = None
    archived_again_at: float | None = None
    #: Grows with each version, delete markers included: what is newer has more.
    sequence: int = field(default_factory=_sequence.__next__)

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
    sequence: int = field(default_factory=_sequence.__next__)


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


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A bucket; `created` is epoch seconds. `objects` are those that a plain GET sees."""

    name: str
    storage_tier: str = "Standard"
    versioning: Versioning = "Disabled"
    etag: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    #: Earlier versions and delete markers by name, newest first.
    older: dict[str, list[StoredObject | DeleteMarker]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    pars: dict[str, Par] = field(default_factory=dict)
    #: The secrets of all PARs there ever were.
    par_secrets: set[str] = field(default_factory=set)
    #: The names of `objects` in order, until one comes or goes: pages of a long list ask again.
    _sorted: list[str] | None = None

    def object(self, name: str, version_id: str | None = None) -> StoredObject:
        """The object, or one version of it; 404 if there is none."""
        if version_id is None and name in self.objects:
            return self.objects[name]
        for version in self.versions(name):
            if version_id == version.version_id and isinstance(version, StoredObject):
                return version
        what = f"The object '{name}'" if version_id is None else f"The version '{version_id}'"
        raise ApiError(404, "ObjectNotFound", f"{what} was not found in the bucket '{self.name}'")

    def sorted_names(self) -> list[str]:
        """The names of `objects`, in order; to be read only."""
        if self._sorted is None:
            self._sorted = sorted(self.objects)
        return self._sorted

    def names(self) -> list[str]:
        """All names under which something is left, in no order."""
        return [*self.objects, *(name for name in self.older if name not in self.objects)]

    def versions(self, name: str) -> list[StoredObject | DeleteMarker]:
        """All that is left under a name, newest first."""
        current = self.objects.get(name)
        return [*([] if current is None else [current]), *self.older.get(name, [])]

    def upload(self, name: str, upload_id: str | None) -> Upload:
        """The upload in progress; 404 if there is none (any more)."""
        upload = self.uploads.get(upload_id or "")
        if upload is None or upload.name != name:
            raise ApiError(404, "UploadNotFound", "No such upload")
        return upload

    def put(self, new: StoredObject) -> None:
        """Make an object visible in place of the one that had its name."""
        old = self.objects.get(new.name)
        new.sequence = next(_sequence)
        self.objects[new.name] = new
        if old is None:
            self._sorted = None
            return
        if self.versioning == "Enabled":
            self.older.setdefault(new.name, []).insert(0, old)
        else:
            new.created = old.created
            old.blob.retire()

    def take(self, name: str) -> StoredObject:
        """The object, which is not visible under its name any more; 404 if there is none."""
        stored = self.object(name)
        del self.objects[name]
        self._sorted = None
        if self.versioning == "Enabled":
            self.older.setdefault(name, []).insert(0, DeleteMarker(name=name))
        return stored

    def delete(self, name: str) -> StoredObject | DeleteMarker:
        """Delete the object; returns what was deleted, or the marker that hides it now."""
        stored = self.take(name)
        if self.versioning == "Disabled":
            stored.blob.retire()
            return stored
        marker = self.older[name][0]
        self.older[name].insert(1, stored)
        return marker

    def delete_version(self, name: str, version_id: str) -> StoredObject | DeleteMarker:
        """Delete one version for good; the one before it may become visible."""
        versions = self.versions(name)
        found = [each for each in versions if each.version_id == version_id]
        if not found:
            message = f"The version '{version_id}' of '{name}' was not found"
            raise ApiError(404, "ObjectNotFound", message)
        if isinstance(found[0], StoredObject):
            found[0].blob.retire()
        left = [each for each in versions if each.version_id != version_id]
        self.objects.pop(name, None)
        self._sorted = None
        if left and isinstance(newest := left[0], StoredObject):
            self.objects[name] = newest
            left = left[1:]
        self.older[name] = left
        if not left:
            del self.older[name]
        return found[0]


class Store:
    """All buckets of the one namespace, and the directory that keeps their bytes."""

    def __init__(self, directory: Path, namespace: str) -> None:
        self.lock = threading.RLock()
        self.namespace = namespace
        self._directory = directory
        self._buckets: dict[str, Bucket] = {}

    def create_bucket(
        self, name: str, storage_tier: str = "Standard", versioning: Versioning = "Disabled"
    ) -> Bucket:
        """A new bucket; an existing one is left alone."""
        new = Bucket(name=name, storage_tier=storage_tier, versioning=versioning)
        with self.lock:
            return self._buckets.setdefault(name, new)

    def buckets(self) -> list[Bucket]:
        """By name."""
        with self.lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def bucket(self, namespace: str, name: str) -> Bucket:
        """The bucket; 404 if there is none."""
        with self.lock:
            self.check_namespace(namespace)
            if name not in self._buckets:
                message = (
                    f"Either the bucket named '{name}' does not exist in the namespace "
                    f"'{namespace}' or you are not authorized to access it"
                )
                raise ApiError(404, "BucketNotFound", message)
            return self._buckets[name]

    def check_namespace(self, namespace: str) -> None:
        """404 unless it is ours."""
        if namespace != self.namespace:
            message = f"You do not have authorization to use the namespace '{namespace}'"
            raise ApiError(404, "NamespaceNotFound", message)

    def intake(self, settings: Settings, algorithms: frozenset[str]) -> Intake:
        """Somewhere to put a body."""
        path = None if settings.discard else self._directory / uuid.uuid4().hex
        return Intake(path, md5=not settings.fast, algorithms=algorithms)


def check_write(existing: StoredObject | None, headers: Mapping[str, str]) -> None:
    """412 when if-match or if-none-match forbid to write over `existing`."""
    wanted = headers.get("if-match")
    if wanted is not None and (existing is None or not _names(wanted, existing.etag)):
        message = "The If-Match header does not match the object's ETag"
        raise ApiError(412, "IfMatchFailed", message)
    unwanted = headers.get("if-none-match")
    if unwanted is not None and existing is not None and _names(unwanted, existing.etag):
        message = "The If-None-Match header forbids to replace the existing object"
        raise ApiError(412, "IfNoneMatchFailed", message)


def check_read(existing_etag: str, headers: Mapping[str, str]) -> None:
    """412 or 304 when if-match or if-none-match say so."""
    wanted = headers.get("if-match")
    if wanted is not None and not _names(wanted, existing_etag):
        message = "The If-Match header does not match the object's ETag"
        raise ApiError(412, "IfMatchFailed", message)
    unwanted = headers.get("if-none-match")
    if unwanted is not None and _names(unwanted, existing_etag):
        raise ApiError(304, "NotModified", "", headers={"etag": existing_etag})


def _names(condition: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")}
    return "*" in tags or etag in tags
