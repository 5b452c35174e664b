"""Buckets with what is set on them, and the store of all. No HTTP here.

One lock for all of it: handlers hold it for look-ups and for the switch that makes an object
visible, never while a body is on its way.
"""

import dataclasses
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ocihaul.emulator.objects import DeleteMarker, Intake, Par, StoredObject, Upload, next_sequence
from ocihaul.emulator.responses import ApiError
from ocihaul.emulator.settings import Settings

Versioning = Literal["Disabled", "Enabled", "Suspended"]
_UNIT_SECONDS = {"DAYS": 86400.0, "YEARS": 365 * 86400.0}


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True, kw_only=True)
class RetentionRule:
    """How long objects can be neither replaced nor deleted; `duration` None: for ever."""

    name: str
    duration: tuple[int, str] | None
    locked_at: float | None = None
    rule_id: str = field(default_factory=_uuid)
    etag: str = field(default_factory=_uuid)
    created: float = field(default_factory=time.time)
    modified: float = field(default_factory=time.time)

    def holds(self, written: float, now: float) -> bool:
        """Whether an object of that time is still held."""
        return now < written + self.seconds

    @property
    def seconds(self) -> float:
        """The duration."""
        if self.duration is None:
            return math.inf
        amount, unit = self.duration
        return amount * _UNIT_SECONDS[unit]


@dataclass(slots=True, kw_only=True)
class ReplicationPolicy:
    """Where a bucket is replicated to, and the names whose change has not got there yet."""

    name: str
    region: str
    destination: str
    policy_id: str = field(default_factory=_uuid)
    created: float = field(default_factory=time.time)
    #: When each was changed first, in epoch seconds; in the order of that.
    pending: dict[str, float] = field(default_factory=dict)
    last_sync: float | None = None


@dataclass(slots=True, kw_only=True)
class LifecyclePolicy:
    """The rules as they were written. Nothing acts on them here."""

    items: list[dict[str, Any]]
    etag: str = field(default_factory=_uuid)
    created: float = field(default_factory=time.time)


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A bucket; `created` is epoch seconds. `objects` are those that a plain GET sees."""

    name: str
    compartment: str = ""
    storage_tier: str = "Standard"
    versioning: Versioning = "Disabled"
    public_access: str = "NoPublicAccess"
    events: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    freeform_tags: dict[str, Any] = field(default_factory=dict)
    defined_tags: dict[str, Any] = field(default_factory=dict)
    kms_key_id: str | None = None
    auto_tiering: str = "Disabled"
    read_only: bool = False
    etag: str = field(default_factory=_uuid)
    created: float = field(default_factory=time.time)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    #: Earlier versions and delete markers by name, newest first.
    older: dict[str, list[StoredObject | DeleteMarker]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    pars: dict[str, Par] = field(default_factory=dict)
    #: The secrets of all PARs there ever were.
    par_secrets: set[str] = field(default_factory=set)
    lifecycle: LifecyclePolicy | None = None
    retention: dict[str, RetentionRule] = field(default_factory=dict)
    replication: dict[str, ReplicationPolicy] = field(default_factory=dict)
    #: While versioning is suspended, a new object takes the place of any latest one; False: only
    #: of one that was written since the suspension.
    suspended_replaces: bool = False
    #: The names of `objects` in order, until one comes or goes: pages of a long list ask again.
    _sorted: list[str] | None = None

    # --- looking

    def object(self, name: str, version_id: str | None = None) -> StoredObject:
        """The object, or one version of it; 404 if there is none."""
        if version_id is None and name in self.objects:
            return self.objects[name]
        for version in self.versions(name):
            if version_id == version.version_id and isinstance(version, StoredObject):
                return version
        what = f"The object '{name}'" if version_id is None else f"The version '{version_id}'"
        raise ApiError(404, "ObjectNotFound", f"{what} was not found in the bucket '{self.name}'")

    def etag_of(self, name: str) -> str | None:
        """That of the object, None if there is none."""
        stored = self.objects.get(name)
        return None if stored is None else stored.etag

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

    def upload(self, name: str, upload_id: str | None, code: str = "UploadNotFound") -> Upload:
        """The upload in progress; 404 with `code` if there is none (any more)."""
        upload = self.uploads.get(upload_id or "")
        if upload is None or upload.name != name:
            raise ApiError(404, code, "No such upload")
        return upload

    def check_retention(self, stored: StoredObject | None, now: float) -> None:
        """403 when a retention rule holds the object."""
        if stored is None:
            return
        for rule in self.retention.values():
            if rule.holds(stored.modified, now):
                message = (
                    f"The object '{stored.name}' cannot be deleted or modified because it is "
                    f"held by the retention rule '{rule.name}' of the bucket '{self.name}'"
                )
                raise ApiError(403, "RetentionRuleViolation", message)

    def check_empty(self) -> None:
        """409 unless nothing is left that a deletion of the bucket would lose."""
        left = None
        if self.names():
            kind = "objects" if self.versioning == "Disabled" else "object versions"
            left = f"is not empty. Delete all {kind} first."
        elif self.uploads:
            left = "has pending multipart uploads. Stop all multipart uploads first."
        elif self.pars:
            left = "has pre-authenticated requests. Delete all pre-authenticated requests first."
        if left is not None:
            raise ApiError(409, "BucketNotEmpty", f"Bucket named '{self.name}' {left}")

    # --- changing

    def touched(self) -> None:
        """Something that is set on the bucket has changed."""
        self.etag = _uuid()

    def put(self, new: StoredObject) -> None:
        """Make an object visible in place of the one that had its name."""
        old = self.objects.get(new.name)
        new.sequence = next(next_sequence)
        new.unversioned = self.versioning != "Enabled"
        self.objects[new.name] = new
        self._changed(new.name)
        if old is None:
            self._sorted = None
            return
        if self._keeps(old):
            self.older.setdefault(new.name, []).insert(0, old)
        else:
            new.created = old.created
            old.blob.retire()

    def _changed(self, name: str) -> None:
        for policy in self.replication.values():
            policy.pending.setdefault(name, time.time())

    def _keeps(self, old: StoredObject) -> bool:
        """Whether what is replaced or deleted stays as an earlier version."""
        if self.versioning == "Suspended":
            return not (old.unversioned or self.suspended_replaces)
        return self.versioning == "Enabled"

    def take(self, name: str) -> StoredObject:
        """The object, which is not visible under its name any more; 404 if there is none."""
        stored = self.object(name)
        del self.objects[name]
        self._sorted = None
        self._changed(name)
        if self.versioning != "Disabled":
            self.older.setdefault(name, []).insert(0, DeleteMarker(name=name))
        return stored

    def delete(self, name: str) -> StoredObject | DeleteMarker:
        """Delete the object; returns what was deleted, or the marker that hides it now."""
        stored = self.take(name)
        kept = self._keeps(stored)
        if not kept:
            stored.blob.retire()
        if self.versioning == "Disabled":
            return stored
        marker = self.older[name][0]
        if kept:
            self.older[name].insert(1, stored)
        return marker

    def version(self, name: str, version_id: str) -> StoredObject | DeleteMarker:
        """One version or delete marker; 404 if there is none."""
        for version in self.versions(name):
            if version.version_id == version_id:
                return version
        message = f"The version '{version_id}' of '{name}' was not found"
        raise ApiError(404, "ObjectNotFound", message)

    def delete_version(self, name: str, version_id: str) -> StoredObject | DeleteMarker:
        """Delete one version for good; the one before it may become visible."""
        found = self.version(name, version_id)
        if isinstance(found, StoredObject):
            found.blob.retire()
        left = [each for each in self.versions(name) if each.version_id != version_id]
        self.objects.pop(name, None)
        self._sorted = None
        self._changed(name)
        if left and isinstance(newest := left[0], StoredObject):
            self.objects[name] = newest
            left = left[1:]
        self.older[name] = left
        if not left:
            del self.older[name]
        return found


class Store:
    """All buckets of the one namespace, and the directory that keeps their bytes."""

    def __init__(self, directory: Path, namespace: str, compartment: str) -> None:
        self.lock = threading.RLock()
        self.namespace = namespace
        #: Where buckets land that are made through the S3 and Swift APIs.
        self.default_compartments = {"S3": compartment, "Swift": compartment}
        self._compartment = compartment
        self._directory = directory
        self._buckets: dict[str, Bucket] = {}

    def create_bucket(
        self, name: str, storage_tier: str = "Standard", versioning: Versioning = "Disabled"
    ) -> Bucket:
        """A new bucket in the tenancy itself; an existing one is left alone."""
        new = Bucket(
            name=name,
            compartment=self._compartment,
            storage_tier=storage_tier,
            versioning=versioning,
        )
        with self.lock:
            return self._buckets.setdefault(name, new)

    def add_bucket(self, new: Bucket) -> None:
        """409 if its name is taken."""
        with self.lock:
            if new.name in self._buckets:
                message = (
                    f"Either the bucket '{new.name}' in namespace '{self.namespace}' already "
                    "exists or you are not authorized to create it"
                )
                raise ApiError(409, "BucketAlreadyExists", message)
            self._buckets[new.name] = new

    def remove_bucket(self, bucket: Bucket) -> None:
        """409 unless it is empty."""
        with self.lock:
            bucket.check_empty()
            del self._buckets[bucket.name]

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


def replicate(store: Store, now: float, delay: float) -> None:
    """Do what is due: what was changed `delay` seconds before `now`, or earlier."""
    with store.lock:
        for source in store.buckets():
            for policy in source.replication.values():
                _replicate(store, source, policy, now, delay)


def _replicate(
    store: Store, source: Bucket, policy: ReplicationPolicy, now: float, delay: float
) -> None:
    due = [name for name, changed in policy.pending.items() if changed + delay <= now]
    if not due:
        return
    try:
        target = store.bucket(store.namespace, policy.destination)
    except ApiError:  # deleted since: the changes wait for a bucket of that name
        return
    for name in due:
        del policy.pending[name]
        _bring(source, target, name, now)
    policy.last_sync = int(now)


def _bring(source: Bucket, target: Bucket, name: str, now: float) -> None:
    """Make `name` in the target what it is in the source: the same bytes and etag, or nothing."""
    stored = source.objects.get(name)
    if stored is not None:
        copy = dataclasses.replace(
            stored,
            blob=stored.blob.share(),
            created=now,
            modified=now,
            restored_at=None,
            archived_again_at=None,
            sequence=next(next_sequence),
        )
        target.put(copy)
    elif name in target.objects:
        target.delete(name)
