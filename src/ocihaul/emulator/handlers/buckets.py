"""The namespace and buckets."""

from typing import Any

from ocihaul.emulator.auth import TENANCY, USER
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import TIERS, numbered_page
from ocihaul.emulator.objects import Bucket, StoredObject, Versioning, check_read
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service


def get_namespace(service: Service, _call: Call) -> Answer:
    """A JSON string."""
    return json_answer(service.store.namespace)


def get_namespace_metadata(service: Service, call: Call) -> Answer:
    """Where buckets land that are made through the other APIs: in the tenancy itself."""
    service.store.check_namespace(call.namespace)
    return json_answer(
        {
            "namespace": call.namespace,
            "defaultS3CompartmentId": TENANCY,
            "defaultSwiftCompartmentId": TENANCY,
        }
    )


def create_bucket(service: Service, call: Call) -> Answer:
    """A new bucket; 409 if its name is taken."""
    body = call.json()
    name, tier = body.get("name"), body.get("storageTier") or "Standard"
    if not isinstance(name, str) or not name or not body.get("compartmentId"):
        raise ApiError(400, "InvalidParameter", "The body names no bucket or no compartment")
    if tier not in TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier")
    versioning = _versioning(body.get("versioning") or "Disabled")
    with service.store.lock:
        service.store.check_namespace(call.namespace)
        if any(bucket.name == name for bucket in service.store.buckets()):
            raise ApiError(409, "BucketAlreadyExists", f"The bucket '{name}' already exists")
        bucket = service.store.create_bucket(name, tier, versioning)
    return json_answer(_describe(service, bucket), headers={"etag": bucket.etag})


def update_bucket(service: Service, call: Call) -> Answer:
    """Versioning on; nothing else can be changed here."""
    body = call.json()
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        wanted = _versioning(body.get("versioning") or bucket.versioning)
        if (bucket.versioning, wanted) == ("Enabled", "Disabled"):
            raise ApiError(400, "InvalidParameter", "Versioning cannot be taken back")
        bucket.versioning = wanted
    return json_answer(_describe(service, bucket), headers={"etag": bucket.etag})


def _versioning(wanted: str) -> Versioning:
    if wanted == "Enabled":
        return "Enabled"
    if wanted == "Disabled":
        return "Disabled"
    raise ApiError(400, "InvalidParameter", f"The versioning '{wanted}' is not known here")


def list_buckets(service: Service, call: Call) -> Answer:
    """By name, in pages; 400 without a compartment."""
    if not call.query.get("compartmentId"):
        raise ApiError(400, "MissingParameter", "The compartmentId is missing")
    with service.store.lock:
        service.store.check_namespace(call.namespace)
        buckets = service.store.buckets()
    shown = ["namespace", "name", "compartmentId", "createdBy", "timeCreated", "etag"]
    if call.query.get("fields") == "tags":
        shown += ["freeformTags", "definedTags"]
    described = [_describe(service, bucket) for bucket in buckets]
    values = [{key: each[key] for key in shown} for each in described]
    return numbered_page(service, call, values)


def get_bucket(service: Service, call: Call) -> Answer:
    """The bucket as JSON; its size and count only when they are asked for."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
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
        value["autoTiering"] = "Disabled"
    return json_answer(value, headers={"etag": bucket.etag})


def head_bucket(service: Service, call: Call) -> Answer:
    """Whether it exists."""
    bucket = service.store.bucket(call.namespace, call.bucket)
    check_read(bucket.etag, call.headers)
    return Answer(headers={"etag": bucket.etag})


def _describe(service: Service, bucket: Bucket) -> dict[str, Any]:
    return {
        "namespace": service.store.namespace,
        "name": bucket.name,
        "compartmentId": TENANCY,
        "createdBy": USER,
        "timeCreated": timestamp(bucket.created),
        "etag": bucket.etag,
        "metadata": {},
        "publicAccessType": "NoPublicAccess",
        "storageTier": bucket.storage_tier,
        "versioning": bucket.versioning,
        "objectEventsEnabled": False,
        "freeformTags": {},
        "definedTags": {},
    }
