"""What the service tells, in the official CLI's JSON.

Keys are written with dashes, a time has an offset and microseconds, and what was not told is
null: the official CLI prints every attribute that it knows.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from ocihaul.storage.values import (
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
_NAMESPACE = ("defaultS3CompartmentId", "defaultSwiftCompartmentId", "namespace")
_POLICY = ("items", "timeCreated")
_LIFECYCLE_RULE = (
    *("action", "isEnabled", "name", "objectNameFilter", "target", "timeAmount", "timeUnit"),
)
_NAME_FILTER = ("exclusionPatterns", "inclusionPatterns", "inclusionPrefixes")
_RETENTION_RULE = (
    *("displayName", "duration", "etag", "id", "timeCreated", "timeModified", "timeRuleLocked"),
)
_DURATION = ("timeAmount", "timeUnit")
_DELETED = ("objectName", "timeLastModified")
_NOT_DELETED = ("errorMessage", "objectName", "statusCode")
_LOG_ENTRY = ("message", "timestamp")
_WORK_ERROR = ("code", "message", "timestamp")
#: What the official CLI shows of an answer's headers.
_HEADERS = ("etag", "opc-next-page", "opc-work-request-id")
_WORK_REQUEST = (
    *("compartmentId", "id", "operationType", "percentComplete", "resources", "status"),
    *("timeAccepted", "timeFinished", "timeStarted"),
)
#: Fields whose texts are times; timeUnit is none.
_TIMES = frozenset(
    {
        *("timeAccepted", "timeCreated", "timeFinished", "timeLastModified", "timeModified"),
        *("timeRuleLocked", "timeStarted", "timestamp"),
    }
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
    """What `work-request get` shows, and `copy --wait-for-state` at the end."""
    return work_request_summary(work.document)


def work_request_summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `work-request list`."""
    shaped = _shaped(document, _WORK_REQUEST)
    shaped["resources"] = [_shaped(each, _RESOURCE) for each in _documents(shaped["resources"])]
    return shaped


def work_request_error(document: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `work-request-error list`."""
    return _shaped(document, _WORK_ERROR)


def work_request_log_entry(document: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `work-request-log-entry list`."""
    return _shaped(document, _LOG_ENTRY)


def namespace_metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    """`ns get-metadata`."""
    return _shaped(document, _NAMESPACE)


def lifecycle_policy(document: Mapping[str, Any]) -> dict[str, Any]:
    """`object-lifecycle-policy get`."""
    shaped = _shaped(document, _POLICY)
    shaped["items"] = [_lifecycle_rule(each) for each in _documents(shaped["items"])]
    return shaped


def _lifecycle_rule(document: Mapping[str, Any]) -> dict[str, Any]:
    shaped = _shaped(document, _LIFECYCLE_RULE)
    names = shaped["object-name-filter"]
    shaped["object-name-filter"] = _shaped(names, _NAME_FILTER) if _is_document(names) else None
    return shaped


def retention_rule(document: Mapping[str, Any]) -> dict[str, Any]:
    """`retention-rule get`, and one entry of `retention-rule list`."""
    shaped = _shaped(document, _RETENTION_RULE)
    duration = shaped["duration"]
    shaped["duration"] = _shaped(duration, _DURATION) if _is_document(duration) else None
    return shaped


def batch_deletion(document: Mapping[str, Any]) -> dict[str, Any]:
    """`object batch-delete`."""
    return {
        "deleted": [_shaped(each, _DELETED) for each in _documents(document.get("deleted"))],
        "failed": [_shaped(each, _NOT_DELETED) for each in _documents(document.get("failed"))],
    }


def object_version(each: "ListedObject") -> dict[str, Any]:
    """One entry of `object list-object-versions`."""
    return {
        **listed_object(each),
        "is-delete-marker": each.is_delete_marker,
        "version-id": each.version_id,
    }


def described(data: object, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """An answer as the official CLI shows it: its data, and some headers; None for neither."""
    shown: dict[str, Any] = {name: headers[name] for name in _HEADERS if name in headers}
    if data:
        shown["data"] = data
    return shown or None


def _is_document(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _documents(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if _is_document(each)] if isinstance(value, list) else []


def listing(items: Iterable[dict[str, Any]], following: str | None) -> dict[str, Any] | None:
    """A list as the official CLI prints it; None for an empty one, of which it prints nothing."""
    data = list(items)
    if not data:
        return None
    return {"data": data} if following is None else {"data": data, "opc-next-page": following}


def _shaped(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    shaped = {}
    for name in names:
        value = document.get(name)
        is_time = name in _TIMES and isinstance(value, str)
        shaped[dashed(name)] = time_text(value) if is_time else value
    return shaped
