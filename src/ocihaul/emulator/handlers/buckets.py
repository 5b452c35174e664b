"""The namespace and buckets."""

import re
from collections.abc import Mapping
from typing import Any, cast

from ocihaul.emulator.auth import USER
from ocihaul.emulator.buckets import Bucket, Versioning
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import SHORT_PAGE, numbered_page
from ocihaul.emulator.objects import StoredObject, check_delete, check_match, check_read
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service

_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
_TIERS = ("Standard", "Archive")
_ACCESS = ("NoPublicAccess", "ObjectRead", "ObjectReadWithoutList")
_AUTO_TIERING = ("Disabled", "InfrequentAccess")
#: Key in the body → (attribute of the bucket, what it can be).
_CHOICES = {
    "publicAccessType": ("public_access", _ACCESS),
    "autoTiering": ("auto_tiering", _AUTO_TIERING),
}
_TAGS = {"freeformTags": "freeform_tags", "definedTags": "defined_tags"}


def get_namespace(service: Service, _call: Call) -> Answer:
    """A JSON string."""
    return json_answer(service.store.namespace)


def get_namespace_metadata(service: Service, call: Call) -> Answer:
    """Where buckets land that are made through the other APIs."""
    service.store.check_namespace(call.namespace)
    return json_answer(_namespace_metadata(service))


def update_namespace_metadata(service: Service, call: Call) -> Answer:
    """The compartments for buckets that are made through the other APIs."""
    body = call.json()
    with service.store.lock:
        service.store.check_namespace(call.namespace)
        for api in service.store.default_compartments:
            wanted = body.get(f"default{api}CompartmentId")
            if isinstance(wanted, str) and wanted:
                service.store.default_compartments[api] = wanted
        return json_answer(_namespace_metadata(service))


def _namespace_metadata(service: Service) -> dict[str, str]:
    compartments = service.store.default_compartments
    shown = {f"default{api}CompartmentId": compartments[api] for api in compartments}
    return {"namespace": service.store.namespace, **shown}


def create_bucket(service: Service, call: Call) -> Answer:
    """A new bucket; 409 if its name is taken."""
    body = call.json()
    name, tier = body.get("name"), body.get("storageTier") or "Standard"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"Invalid bucket name '{name}': letters, digits, '-', '_' and '.' are possible"
        raise ApiError(400, "InvalidBucketName", message)
    if not isinstance(body.get("compartmentId"), str) or not body["compartmentId"]:
        raise ApiError(400, "MissingCompartmentId", "The compartmentId is missing")
    if tier not in _TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier of a bucket")
    bucket = Bucket(
        name=name,
        compartment=body["compartmentId"],
        storage_tier=tier,
        suspended_replaces=service.settings.suspended_replaces_latest,
    )
    _set_versioning(bucket, body.get("versioning"), first=True)
    _set_attributes(bucket, body)
    with service.store.lock:
        service.store.check_namespace(call.namespace)
        service.store.add_bucket(bucket)
        value = _describe(service, bucket)
    scheme = "https" if service.settings.tls else "http"
    location = f"{scheme}://{call.headers.get('host', '')}/n/{call.namespace}/b/{name}"
    return json_answer(value, headers={"etag": bucket.etag, "location": location})


def update_bucket(service: Service, call: Call) -> Answer:
    """Change what the body names; each change gives the bucket another etag."""
    body = call.json()
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        check_match(bucket.etag, call.headers)
        renamed = body.get("name") not in (None, bucket.name)
        moved = body.get("namespace") not in (None, call.namespace)
        if renamed or moved:
            raise ApiError(400, "InvalidParameter", "A bucket keeps its name and namespace")
        bucket.suspended_replaces = service.settings.suspended_replaces_latest
        _set_versioning(bucket, body.get("versioning"))
        _set_attributes(bucket, body)
        if isinstance(body.get("compartmentId"), str) and body["compartmentId"]:
            bucket.compartment = body["compartmentId"]
        bucket.touched()
        value = {**_describe(service, bucket), "autoTiering": bucket.auto_tiering}
    return json_answer(value, headers={"etag": bucket.etag})


def _set_versioning(bucket: Bucket, wanted: Any, *, first: bool = False) -> None:
    if wanted is None or wanted == bucket.versioning:
        return
    possible = ("Enabled", "Disabled") if first else ("Enabled", "Suspended")
    if wanted not in possible:
        message = f"The versioning '{wanted}' is not one of {', '.join(possible)}"
        raise ApiError(400, "InvalidParameter", message)
    if wanted == "Suspended" and bucket.versioning == "Disabled":
        raise ApiError(400, "InvalidParameter", "There is no versioning that could be suspended")
    if wanted == "Enabled" and bucket.retention:
        message = "Versioning cannot be enabled on a bucket with retention rules"
        raise ApiError(409, "IncorrectState", message)
    bucket.versioning = cast("Versioning", wanted)


def _set_attributes(bucket: Bucket, body: Mapping[str, Any]) -> None:
    for key, (attribute, possible) in _CHOICES.items():
        wanted = body.get(key)
        if wanted is None:
            continue
        if wanted not in possible:
            message = f"The {key} '{wanted}' is not one of {', '.join(possible)}"
            raise ApiError(400, "InvalidParameter", message)
        setattr(bucket, attribute, wanted)
    for key, attribute in _TAGS.items():
        if body.get(key) is not None:
            setattr(bucket, attribute, _table(body, key))
    if body.get("metadata") is not None:
        changed = {**bucket.metadata, **_table(body, "metadata")}
        bucket.metadata = {key: value for key, value in changed.items() if value is not None}
    if isinstance(body.get("objectEventsEnabled"), bool):
        bucket.events = body["objectEventsEnabled"]
    if "kmsKeyId" in body and body["kmsKeyId"] is not None:
        # An empty one goes back to keys of the service.
        bucket.kms_key_id = str(body["kmsKeyId"]) or None


def _table(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body[key]
    if not isinstance(value, dict):
        raise ApiError(400, "InvalidParameter", f"The {key} is not an object")
    return value


def delete_bucket(service: Service, call: Call) -> Answer:
    """Gone, if it is empty and nothing replicates it."""
    with service.store.lock:
        bucket = _named(service, call)
        check_delete(bucket.etag, call.headers)
        if bucket.replication:
            message = f"Bucket named '{bucket.name}' has replication enabled. "
            raise ApiError(403, "BucketReplicationEnabled", message)
        service.store.remove_bucket(bucket)
    return Answer(status=204)


def list_buckets(service: Service, call: Call) -> Answer:
    """Those of a compartment by name, in pages; 400 without a compartment."""
    compartment = call.query.get("compartmentId")
    if not compartment:
        raise ApiError(400, "MissingParameter", "The compartmentId is missing")
    with service.store.lock:
        service.store.check_namespace(call.namespace)
        buckets = [each for each in service.store.buckets() if each.compartment == compartment]
    shown = ("namespace", "name", "compartmentId", "createdBy", "timeCreated", "etag")
    tags = "tags" in call.query.get("fields", "").lower().split(",")
    values = []
    for described in (_describe(service, bucket) for bucket in buckets):
        value = {key: described[key] for key in shown}
        values.append({**value, **{key: described[key] if tags else None for key in _TAGS}})
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def get_bucket(service: Service, call: Call) -> Answer:
    """The bucket as JSON; its size and count only when they are asked for."""
    with service.store.lock:
        bucket = _named(service, call)
        check_read(bucket.etag, call.headers)
        value = _describe(service, bucket)
        stored = [each for name in bucket.names() for each in bucket.versions(name)]
    fields = call.query.get("fields", "").split(",")
    objects = [each for each in stored if isinstance(each, StoredObject)]
    if "approximateCount" in fields:
        value["approximateCount"] = len(objects)
    if "approximateSize" in fields:
        value["approximateSize"] = sum(each.size for each in objects)
    if "autoTiering" in fields:
        value["autoTiering"] = bucket.auto_tiering
    return json_answer(value, headers={"etag": bucket.etag, "cache-control": "no-store"})


def head_bucket(service: Service, call: Call) -> Answer:
    """Whether it exists."""
    bucket = _named(service, call)
    check_read(bucket.etag, call.headers)
    return Answer(headers={"etag": bucket.etag})


def make_bucket_writable(service: Service, call: Call) -> Answer:
    """The destination of a replication becomes a bucket like any other."""
    with service.store.lock:
        bucket = _named(service, call)
        bucket.read_only = False
        for source in service.store.buckets():
            stale = [
                each for each in source.replication.values() if each.destination == bucket.name
            ]
            for policy in stale:
                del source.replication[policy.policy_id]
    return Answer(status=204)


def _named(service: Service, call: Call) -> Bucket:
    """The bucket of the path; what asks for the bucket itself is answered in other words."""
    try:
        return service.store.bucket(call.namespace, call.bucket)
    except ApiError as error:
        if error.code != "BucketNotFound":
            raise
        message = f"The bucket '{call.bucket}' does not exist in namespace '{call.namespace}'"
        raise ApiError(404, "BucketNotFound", message) from None


def _describe(service: Service, bucket: Bucket) -> dict[str, Any]:
    value = {
        "namespace": service.store.namespace,
        "name": bucket.name,
        "id": f"ocid1.bucket.oc1..{service.store.namespace}.{bucket.name}",
        "compartmentId": bucket.compartment,
        "createdBy": USER,
        "timeCreated": timestamp(bucket.created),
        "metadata": bucket.metadata,
        "etag": bucket.etag,
        "publicAccessType": bucket.public_access,
        "storageTier": bucket.storage_tier,
        "meterFlagSet": {"empty": not bucket.objects},
        "objectLevelAuditMode": "Disabled",
        "freeformTags": bucket.freeform_tags,
        "definedTags": bucket.defined_tags,
        "kmsKeyId": bucket.kms_key_id,
        "approximateCount": None,
        "approximateSize": None,
        "approximateSizeMultipartUploads": None,
        "objectEventsEnabled": bucket.events,
        "replicationEnabled": bool(bucket.replication),
        "isReadOnly": bucket.read_only,
        "versioning": bucket.versioning,
        "autoTiering": None,
    }
    if bucket.lifecycle is not None:
        value["objectLifecyclePolicyEtag"] = bucket.lifecycle.etag
    return value
