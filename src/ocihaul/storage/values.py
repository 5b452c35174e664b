"""What goes into the Object Storage API, and what its lists and documents tell, as values.

Times are text as the service writes them (RFC 3339, UTC); `names.epoch` reads them. Every `read`
raises DocumentError for a document of another shape, so that the values can be relied on.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ocihaul.documents import (
    DocumentError,
    list_of,
    object_of,
    text,
    text_or_none,
    whole_number,
    whole_number_or_none,
    whole_object,
)
from ocihaul.errors import UsageError
from ocihaul.redaction import hold_access_uri, hold_key_bytes
from ocihaul.storage.names import (
    Document,
    access_path,
    entries,
    etag_or_none,
    time,
    time_or_none,
    truth_or_none,
)


@dataclass(frozen=True, slots=True)
class SseCustomerKey:
    """A customer-provided AES-256 key (SSE-C); never shown by repr."""

    base64_key: str = field(repr=False)

    def __post_init__(self) -> None:
        hold_key_bytes(base64.b64decode(self.base64_key))

    @classmethod
    def from_text(cls, encoded: str, *, where: str) -> "SseCustomerKey":
        """Read the base64 text of a 256-bit key; `where` names its origin in the error."""
        try:
            raw = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            raise UsageError(
                f"{where} does not hold a base64-encoded 256-bit key",
                hint="Make one with: openssl rand -base64 32",
            )
        return cls(base64.b64encode(raw).decode())

    def headers(self) -> dict[str, str]:
        """The three headers that every request on such an object needs."""
        digest = hashlib.sha256(base64.b64decode(self.base64_key)).digest()
        return {
            "opc-sse-customer-algorithm": "AES256",
            "opc-sse-customer-key": self.base64_key,
            "opc-sse-customer-key-sha256": base64.b64encode(digest).decode(),
        }


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """What HeadObject tells; `headers` has lower-case names."""

    size: int
    etag: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One part as ListMultipartUploadParts tells it; `md5` is base64."""

    number: int
    etag: str
    md5: str | None
    size: int

    @classmethod
    def read(cls, document: object) -> "PartSummary":
        """From the service's JSON. Raises DocumentError."""
        given = object_of(document)
        return cls(
            _part_number(given),
            text(given, "etag"),
            text_or_none(given, "md5"),
            whole_number(given, "size"),
        )


def _part_number(document: Mapping[str, object]) -> int:
    number = whole_number(document, "partNumber")
    if not 1 <= number <= 10_000:
        raise DocumentError(f"partNumber is {number}, not a number from 1 to 10000")
    return number


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


class ListedObject(NamedTuple):
    """One object, or version of one, in a list; None: not asked for, or not told.

    `size` is bytes. `md5` is base64, with `-N` behind it for an object of N parts. `fault` says
    what is wrong with an entry whose other fields cannot be used: it has its name and no more.
    (A tuple, because a list may have a million of them.)
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
    fault: str | None = None

    @classmethod
    def read(cls, document: object) -> "ListedObject":
        """From the service's JSON. Raises DocumentError only for an entry without a usable name."""
        given = object_of(document)
        name = text(given, "name")
        try:
            return cls(
                name,
                whole_number_or_none(given, "size"),
                etag_or_none(given),
                text_or_none(given, "md5"),
                time_or_none(given, "timeCreated"),
                time_or_none(given, "timeModified"),
                text_or_none(given, "storageTier"),
                text_or_none(given, "archivalState"),
                text_or_none(given, "versionId"),
                truth_or_none(given, "isDeleteMarker"),
            )
        except DocumentError as error:
            return cls(name, fault=str(error))


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a list, in the service's order.

    `following` is the `start` of the next page of ListObjects; None in a list of versions. `odd`
    says what is wrong with each entry that has no usable name.
    """

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    following: str | None = None
    odd: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many entries."""
        return len(self.objects) + len(self.prefixes) + len(self.odd)

    @classmethod
    def read(cls, document: object) -> "ObjectPage":
        """From the JSON of ListObjects."""
        return cls._of(object_of(document), "objects", following="nextStartWith")

    @classmethod
    def read_versions(cls, document: object) -> "ObjectPage":
        """From the JSON of ListObjectVersions."""
        return cls._of(object_of(document), "items")

    @classmethod
    def _of(cls, document: Document, key: str, *, following: str | None = None) -> "ObjectPage":
        objects, odd = entries(document.get(key), ListedObject.read)
        prefixes, odd_prefixes = entries(document.get("prefixes") or [], _prefix)
        more = text_or_none(document, following) if following else None
        return cls(tuple(objects), tuple(prefixes), more or None, (*odd, *odd_prefixes))


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
    def read(cls, document: object) -> "UploadSummary":
        """From the service's JSON."""
        given = object_of(document)
        return cls(
            upload_id=text(given, "uploadId"),
            name=text(given, "object"),
            time_created=time(given, "timeCreated"),
            storage_tier=text_or_none(given, "storageTier"),
            namespace=text(given, "namespace"),
            bucket=text(given, "bucket"),
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
    """What became of a batch: each name is in one of the two, unless the answer was odd."""

    deleted: tuple[str, ...]
    failed: tuple[FailedDeletion, ...]

    @classmethod
    def read(cls, document: object) -> "BatchDeletion":
        """From the service's JSON; entries of another shape say nothing."""
        given = object_of(document)
        deleted, _ = entries(given.get("deleted"), lambda each: text(object_of(each), "objectName"))
        failed, _ = entries(given.get("failed") or [], _failed)
        return cls(tuple(deleted), tuple(failed))


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """Something that the service does on its own; `document` is all that it tells of it."""

    work_request_id: str
    #: ACCEPTED, IN_PROGRESS, FAILED, COMPLETED, CANCELING or CANCELED.
    status: str
    percent_complete: float | None
    document: Document = field(repr=False)

    @classmethod
    def read(cls, document: object) -> "WorkRequest":
        """From the service's JSON."""
        given = whole_object(document)
        percent = given.get("percentComplete")
        if not isinstance(percent, int | float | None):
            raise DocumentError("percentComplete is not a number")
        for each in list_of(given.get("resources") or []):
            object_of(each)
        return cls(text(given, "id"), text(given, "status"), percent, given)

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
    def read(cls, document: object) -> "PreauthenticatedRequest":
        """From the service's JSON."""
        given = object_of(document)
        return cls(
            par_id=text(given, "id"),
            name=text(given, "name"),
            access_type=text(given, "accessType"),
            time_created=time(given, "timeCreated"),
            time_expires=time(given, "timeExpires"),
            object_name=text_or_none(given, "objectName"),
            bucket_listing_action=text_or_none(given, "bucketListingAction"),
            access_uri=None if given.get("accessUri") is None else access_path(given),
            full_path=text_or_none(given, "fullPath"),
        )

    @classmethod
    def read_created(cls, document: object) -> "PreauthenticatedRequest":
        """From the answer to its creation, which is of no use without the URL."""
        access_path(object_of(document))
        return cls.read(document)


def _prefix(each: object) -> str:
    return text({"prefix": each}, "prefix")


def _failed(document: object) -> FailedDeletion:
    given = object_of(document)
    return FailedDeletion(
        text(given, "objectName"), whole_number(given, "statusCode"), text(given, "errorMessage")
    )
