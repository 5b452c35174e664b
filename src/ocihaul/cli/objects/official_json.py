"""What the service tells, in the stock CLI's JSON.

Keys are written with dashes, a time has an offset and microseconds, and what was not told is
null: the stock CLI prints every attribute that it knows.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocihaul.storage.listing import (
        ListedObject,
        PreauthenticatedRequest,
        UploadSummary,
        WorkRequest,
    )

_BUCKET_SUMMARY = (
    *("bucketScope", "compartmentId", "createdBy", "definedTags", "etag", "freeformTags"),
    *("name", "namespace", "timeCreated"),
)
_BUCKET = (
    *_BUCKET_SUMMARY,
    *("approximateCount", "approximateSize", "autoTiering", "id", "isBucketKeyEnabled"),
    *("isReadOnly", "kmsKeyId", "metadata", "objectEventsEnabled", "objectLifecyclePolicyEtag"),
    *("publicAccessType", "replicationEnabled", "storageTier", "versioning"),
)
_WORK_REQUEST = (
    *("compartmentId", "id", "operationType", "percentComplete", "resources", "status"),
    *("timeAccepted", "timeFinished", "timeStarted"),
)
_RESOURCE = ("actionType", "entityType", "entityUri", "identifier", "metadata")


def time_text(text: str | None) -> str | None:
    """`2026-11-24T03:18:51.192Z` → `2026-11-24T03:18:51.192000+00:00`."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return text


def dashed(name: str) -> str:
    """`timeCreated` → `time-created`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def listed_object(each: "ListedObject") -> dict[str, Any]:
    """One entry of `object list`."""
    return {
        "archival-state": each.archival_state,
        "etag": each.etag,
        "md5": each.md5,
        "name": each.name,
        "size": each.size,
        "storage-tier": each.storage_tier,
        "time-created": time_text(each.time_created),
        "time-modified": time_text(each.time_modified),
    }


def upload_summary(each: "UploadSummary") -> dict[str, Any]:
    """One entry of `multipart list`."""
    return {
        "bucket": each.bucket,
        "namespace": each.namespace,
        "object": each.name,
        "storage-tier": each.storage_tier,
        "time-created": time_text(each.time_created),
        "upload-id": each.upload_id,
    }


def par(each: "PreauthenticatedRequest") -> dict[str, Any]:
    """One entry of `preauth-request list`: without the URL."""
    return {
        "access-type": each.access_type,
        "bucket-listing-action": each.bucket_listing_action,
        "id": each.par_id,
        "name": each.name,
        "object-name": each.object_name,
        "time-created": time_text(each.time_created),
        "time-expires": time_text(each.time_expires),
    }


def bucket_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `bucket list`."""
    return _shaped(document, _BUCKET_SUMMARY)


def bucket(document: Mapping[str, Any]) -> dict[str, Any]:
    """`bucket get`."""
    return _shaped(document, _BUCKET)


def work_request(work: "WorkRequest") -> dict[str, Any]:
    """What `copy --wait-for-state` shows at the end."""
    shaped = _shaped(work.document, _WORK_REQUEST)
    shaped["resources"] = [_shaped(each, _RESOURCE) for each in shaped["resources"] or ()]
    return shaped


def listing(items: Iterable[dict[str, Any]], following: str | None) -> dict[str, Any] | None:
    """A list as the stock CLI prints it; None for an empty one, of which it prints nothing."""
    data = list(items)
    if not data:
        return None
    return {"data": data} if following is None else {"data": data, "opc-next-page": following}


def _shaped(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    shaped = {}
    for name in names:
        value = document.get(name)
        is_time = name.startswith("time") and isinstance(value, str)
        shaped[dashed(name)] = time_text(value) if is_time else value
    return shaped
