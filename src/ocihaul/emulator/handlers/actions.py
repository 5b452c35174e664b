"""Actions on a bucket's objects: restore, rename, delete in batches, copy."""

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import (
    TIERS,
    check_customer_key,
    customer_key_sha256,
    written_headers,
)
from ocihaul.emulator.objects import Attributes, StoredObject, check_write
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service
from ocihaul.emulator.work_requests import Work

_MAX_BATCH = 1000


def restore_objects(service: Service, call: Call) -> Answer:
    """Make an archived object readable, a little later and for some hours.

    200 for one that was archived, 202 for one that is restored, or about to be, already.
    """
    body = call.json()
    hours = body.get("hours") or 24
    if not isinstance(hours, int) or not 1 <= hours <= 240:
        raise ApiError(400, "InvalidParameter", "hours is not a number from 1 to 240")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        stored = bucket.object(str(body.get("objectName", "")), body.get("versionId"))
        now = service.now()
        state = stored.archival_state(now)
        if state is None:
            raise ApiError(409, "NotArchived", "The object is not in the Archive tier")
        if state == "Archived":
            stored.restored_at = now + service.settings.restore_seconds
        stored.archived_again_at = (stored.restored_at or now) + hours * 3600
    return Answer(status=200 if state == "Archived" else 202)


def rename_object(service: Service, call: Call) -> Answer:
    """The same object under another name."""
    body = call.json()
    source, target = str(body.get("sourceName", "")), str(body.get("newName", ""))
    if not target:
        raise ApiError(400, "InvalidObjectName", "The body has no new name")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        stored = bucket.object(source)
        _check(stored, {"if-match": body.get("srcObjIfMatchETag")})
        _check(
            bucket.objects.get(target),
            {
                "if-match": body.get("newObjIfMatchETag"),
                "if-none-match": body.get("newObjIfNoneMatchETag"),
            },
        )
        if target != source:
            bucket.take(source)
            stored.name = target
            bucket.put(stored)
    return Answer(headers=written_headers(stored))


def batch_delete_objects(service: Service, call: Call) -> Answer:
    """Delete each of the objects that are named, and tell what became of it."""
    body = call.json()
    wanted = body.get("objects")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _MAX_BATCH:
        raise ApiError(400, "InvalidParameter", f"objects is not a list of 1 to {_MAX_BATCH}")
    deleted: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        for each in wanted:
            name = str(each.get("objectName", ""))
            try:
                _check(bucket.object(name), {"if-match": each.get("ifMatch")})
                bucket.delete(name)
            except ApiError as error:
                told = {"statusCode": error.status, "errorMessage": error.message}
                failed.append({"objectName": name, **told})
            else:
                moment = timestamp(service.now())
                deleted.append({"objectName": name, "timeLastModified": moment})
    shown = [] if body.get("isSkipDeletedResult") else deleted
    return json_answer({"deleted": shown, "failed": failed})


def copy_object(service: Service, call: Call) -> Answer:
    """Accept a copy; it is there, or has failed, `copy_seconds` later.

    One region only: the destination's is taken as it comes.
    """
    body = call.json()
    needed = (
        *("sourceObjectName", "destinationRegion", "destinationNamespace"),
        *("destinationBucket", "destinationObjectName"),
    )
    missing = [name for name in needed if not isinstance(body.get(name), str) or not body[name]]
    if missing:
        raise ApiError(400, "MissingParameter", f"The {missing[0]} is missing")
    tier = body.get("destinationObjectStorageTier")
    if tier is not None and tier not in TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        service.store.bucket(body["destinationNamespace"], body["destinationBucket"])
        source = bucket.object(body["sourceObjectName"], body.get("sourceVersionId"))
        _check(source, {"if-match": body.get("sourceObjectIfMatchETag")})
        prefix = "opc-source-"
        given = {
            name.replace(prefix, "opc-"): value
            for name, value in call.headers.items()
            if name.startswith(prefix)
        }
        check_customer_key(source.attributes.sse_key_sha256, given)
        if source.archival_state(service.now()) in {"Archived", "Restoring"}:
            raise ApiError(409, "NotRestored", "The object is archived; restore it first")
        attributes = _copied(source.attributes, body, call.headers)
        blob = source.blob.share()
    now = service.now()

    def finish() -> None:
        target = service.store.bucket(body["destinationNamespace"], body["destinationBucket"])
        name = body["destinationObjectName"]
        conditions = {
            "if-match": body.get("destinationObjectIfMatchETag"),
            "if-none-match": body.get("destinationObjectIfNoneMatchETag"),
        }
        try:
            _check(target.objects.get(name), conditions)
        except ApiError:
            blob.retire()
            raise
        target.put(
            StoredObject(
                name=name,
                blob=blob,
                attributes=attributes,
                checksums=source.checksums,
                checksum_headers=dict(source.checksum_headers),
                part_count=source.part_count,
            )
        )

    resources = [
        _resource("READ", call.namespace, call.bucket, body["sourceObjectName"], "source"),
        _resource(
            "WRITTEN",
            body["destinationNamespace"],
            body["destinationBucket"],
            body["destinationObjectName"],
            body["destinationRegion"],
        ),
    ]
    work = Work(accepted=now, due=now + service.settings.copy_seconds, resources=resources)
    service.work.add(work, finish)
    headers = {"opc-work-request-id": work.work_id, "date": formatdate(now, usegmt=True)}
    return Answer(status=202, headers=headers)


def get_work_request(service: Service, call: Call) -> Answer:
    """How far a copy is."""
    work = service.work.get(call.parameters["work"])
    return json_answer(work.document(service.now()))


def list_work_request_errors(service: Service, call: Call) -> Answer:
    """Why a copy failed."""
    work = service.work.get(call.parameters["work"])
    if work.error is None:
        return json_answer([])
    moment = timestamp(work.due)
    error = {"code": work.error.code, "message": work.error.message, "timestamp": moment}
    return json_answer([error])


def _check(existing: StoredObject | None, conditions: Mapping[str, Any]) -> None:
    check_write(existing, {name: str(value) for name, value in conditions.items() if value})


def _copied(source: Attributes, body: Mapping[str, Any], headers: Mapping[str, str]) -> Attributes:
    """The attributes of a copy: those of the source, but for what the request says."""
    metadata = body.get("destinationObjectMetadata")
    if metadata is None:
        shown = dict(source.metadata)
    else:
        shown = {
            str(key).lower().removeprefix("opc-meta-"): str(value)
            for key, value in metadata.items()
        }
    return Attributes(
        headers=dict(source.headers),
        metadata=shown,
        storage_tier=body.get("destinationObjectStorageTier") or source.storage_tier,
        algorithm=source.algorithm,
        sse_key_sha256=customer_key_sha256(headers),
        kms_key_id=headers.get("opc-sse-kms-key-id"),
    )


def _resource(
    action: str, namespace: str, bucket: str, name: str, region: str
) -> dict[str, object]:
    uri = f"/n/{namespace}/b/{bucket}/o/{name}"
    where = {"REGION": region, "NAMESPACE": namespace, "BUCKET": bucket, "OBJECT": name}
    return {
        "actionType": action,
        "entityType": "object",
        "identifier": uri,
        "entityUri": uri,
        "metadata": where,
    }
