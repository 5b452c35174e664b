"""What the lists and documents of the Object Storage API tell, as values.

Times are text as the service writes them (RFC 3339, UTC); `epoch` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ocihaul.held_secrets import hold_access_uri

Document = Mapping[str, Any]

#: All that ListObjects can tell of an object.
ALL_FIELDS = "name,size,etag,md5,timeCreated,timeModified,storageTier,archivalState"
#: The largest page of ListObjects, and the largest batch of BatchDeleteObjects.
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which names a list has; `start` is included, `end` and `start_after` are not.

    With the `delimiter` (the service knows "/" only) the names behind the first one after
    `prefix` are told once, as prefixes. `fields` are separated by commas; see ALL_FIELDS.
    """

    prefix: str | None = None
    start: str | None = None
    end: str | None = None
    start_after: str | None = None
    delimiter: str | None = None
    fields: str | None = None

    def query(self) -> dict[str, str]:
        """As the query of the request."""
        given = {
            "prefix": self.prefix,
            "start": self.start,
            "end": self.end,
            "startAfter": self.start_after,
            "delimiter": self.delimiter,
            "fields": self.fields,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """One object, or version of one, in a list; None: not asked for, or not told.

    `size` is bytes. `md5` is base64, with `-N` behind it for an object of N parts.
    """

    name: str
    size: int | None = None
    etag: str | None = None
    md5: str | None = None
    time_created: str | None = None
    time_modified: str | None = None
    storage_tier: str | None = None
    archival_state: str | None = None
    version_id: str | None = None
    is_delete_marker: bool | None = None

    @classmethod
    def read(cls, document: Document) -> "ListedObject":
        """From the service's JSON."""
        get = document.get
        return cls(
            name=document["name"],
            size=get("size"),
            etag=get("etag"),
            md5=get("md5"),
            time_created=get("timeCreated"),
            time_modified=get("timeModified"),
            storage_tier=get("storageTier"),
            archival_state=get("archivalState"),
            version_id=get("versionId"),
            is_delete_marker=get("isDeleteMarker"),
        )


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a list, in the service's order.

    `following` is the `start` of the next page of ListObjects; None in a list of versions.
    """

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    following: str | None = None

    @classmethod
    def read(cls, document: Document) -> "ObjectPage":
        """From the JSON of ListObjects."""
        objects = tuple(ListedObject.read(each) for each in document["objects"])
        following = document.get("nextStartWith") or None
        return cls(objects, tuple(document.get("prefixes") or ()), following)

    @classmethod
    def read_versions(cls, document: Document) -> "ObjectPage":
        """From the JSON of ListObjectVersions."""
        objects = tuple(ListedObject.read(each) for each in document["items"])
        return cls(objects, tuple(document.get("prefixes") or ()))


@dataclass(frozen=True, slots=True)
class UploadSummary:
    """A multipart upload that was neither committed nor aborted."""

    upload_id: str
    name: str
    time_created: str
    storage_tier: str | None
    namespace: str
    bucket: str

    @classmethod
    def read(cls, document: Document) -> "UploadSummary":
        """From the service's JSON."""
        return cls(
            upload_id=document["uploadId"],
            name=document["object"],
            time_created=document["timeCreated"],
            storage_tier=document.get("storageTier"),
            namespace=document["namespace"],
            bucket=document["bucket"],
        )


@dataclass(frozen=True, slots=True)
class DeletedObject:
    """What became of a DeleteObject; in a bucket with versions it leaves a delete marker."""

    version_id: str | None
    is_delete_marker: bool
    time_modified: str | None


@dataclass(frozen=True, slots=True)
class FailedDeletion:
    """An object of a batch that is still there; `status` is an HTTP status."""

    name: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class BatchDeletion:
    """What became of a batch: each name is in one of the two."""

    deleted: tuple[str, ...]
    failed: tuple[FailedDeletion, ...]

    @classmethod
    def read(cls, document: Document) -> "BatchDeletion":
        """From the service's JSON."""
        return cls(
            tuple(each["objectName"] for each in document["deleted"]),
            tuple(
                FailedDeletion(each["objectName"], each["statusCode"], each["errorMessage"])
                for each in document.get("failed") or ()
            ),
        )


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """Something that the service does on its own; `document` is all that it tells of it."""

    work_request_id: str
    #: ACCEPTED, IN_PROGRESS, FAILED, COMPLETED, CANCELING or CANCELED.
    status: str
    percent_complete: float | None
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: Document) -> "WorkRequest":
        """From the service's JSON."""
        percent = document.get("percentComplete")
        return cls(document["id"], document["status"], percent, document)

    @property
    def over(self) -> bool:
        """Whether its status is the last one."""
        return self.status in {"COMPLETED", "FAILED", "CANCELED"}


@dataclass(frozen=True, slots=True)
class PreauthenticatedRequest:
    """A pre-authenticated request (PAR).

    `access_uri` is its path, `full_path` the whole URL where the service tells it: only the
    answer to the creation has them. Who knows them needs no credential, so repr has neither.
    """

    par_id: str
    name: str
    access_type: str
    time_created: str
    time_expires: str
    object_name: str | None = None
    bucket_listing_action: str | None = None
    access_uri: str | None = field(default=None, repr=False)
    full_path: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        hold_access_uri(self.access_uri or self.full_path or "")

    @classmethod
    def read(cls, document: Document) -> "PreauthenticatedRequest":
        """From the service's JSON."""
        return cls(
            par_id=document["id"],
            name=document["name"],
            access_type=document["accessType"],
            time_created=document["timeCreated"],
            time_expires=document["timeExpires"],
            object_name=document.get("objectName"),
            bucket_listing_action=document.get("bucketListingAction"),
            access_uri=document.get("accessUri"),
            full_path=document.get("fullPath"),
        )


def epoch(text: str) -> float:
    """Seconds since 1970 of a time that the service wrote; ValueError when it is none."""
    return datetime.fromisoformat(text).timestamp()
