"""Actions on a bucket's objects: restore, rename, delete in batches, copy."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import (
    SHORT_PAGE,
    TIERS,
    check_customer_key,
    check_object_name,
    customer_key_sha256,
    numbered_page,
    written_headers,
)
from ocihaul.emulator.objects import Attributes, StoredObject, check_write
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service, Work

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
    check_object_name(target)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        stored = bucket.object(source)
        _check(stored.etag, {"if-match": body.get("srcObjIfMatchETag")})
        _check(
            bucket.etag_of(target),
            {
                "if-match": body.get("newObjIfMatchETag"),
                "if-none-match": body.get("newObjIfNoneMatchETag"),
            },
        )
        if target != source:
            bucket.check_retention(stored, service.now())
            bucket.check_retention(bucket.objects.get(target), service.now())
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
    if not all(isinstance(each, dict) for each in wanted):
        raise ApiError(400, "InvalidParameter", "objects has an item that is not an object")
    deleted: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        keeps = bucket.versioning == "Enabled"
        for each in wanted:
            name = str(each.get("objectName", ""))
            try:
                stored = bucket.object(name)
                _check(stored.etag, {"if-match": each.get("ifMatch")})
                bucket.check_retention(None if keeps else stored, service.now())
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
    check_object_name(body["destinationObjectName"])
    if not isinstance(body.get("destinationObjectMetadata") or {}, dict):
        raise ApiError(400, "InvalidParameter", "destinationObjectMetadata is not an object")
    tier = body.get("destinationObjectStorageTier")
    if tier is not None and tier not in TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        service.store.bucket(body["destinationNamespace"], body["destinationBucket"])
        source = bucket.object(body["sourceObjectName"], body.get("sourceVersionId"))
        _check(source.etag, {"if-match": body.get("sourceObjectIfMatchETag")})
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
        name = body["destinationObjectName"]
        conditions = {
            "if-match": body.get("destinationObjectIfMatchETag"),
            "if-none-match": body.get("destinationObjectIfNoneMatchETag"),
        }
        try:
            target = service.store.bucket(body["destinationNamespace"], body["destinationBucket"])
            _check(target.etag_of(name), conditions)
            target.check_retention(target.objects.get(name), service.now())
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
    work = Work(
        accepted=now,
        due=now + service.settings.copy_seconds,
        resources=resources,
        compartment=bucket.compartment,
    )
    return _accepted(service, work, finish, blob.retire)


def update_storage_tier(service: Service, call: Call) -> Answer:
    """Move an object to another tier; what is archived has to be restored first."""
    body = call.json()
    tier = body.get("storageTier")
    if tier not in TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        stored = bucket.object(str(body.get("objectName") or ""), body.get("versionId"))
        if stored.archival_state(service.now()) in {"Archived", "Restoring"} and tier != "Archive":
            raise ApiError(409, "NotRestored", "The object is archived; restore it first")
        if tier != stored.attributes.storage_tier:
            stored.attributes = dataclasses.replace(stored.attributes, storage_tier=tier)
            stored.restored_at = stored.archived_again_at = None
    return Answer()


def reencrypt_object(service: Service, call: Call) -> Answer:
    """The same object under another key: of the customer, of the key service, or the default."""
    body = call.json()
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        stored = bucket.object(call.name, call.query.get("versionId"))
        check_customer_key(
            stored.attributes.sse_key_sha256, _key_headers(body, "sourceSseCustomerKey")
        )
        key = customer_key_sha256(_key_headers(body, "sseCustomerKey"))
        kms = body.get("kmsKeyId") or bucket.kms_key_id
        stored.attributes = dataclasses.replace(
            stored.attributes,
            sse_key_sha256=key,
            kms_key_id=None if key else kms,
        )
    return Answer()


def reencrypt_bucket(service: Service, call: Call) -> Answer:
    """Accept to encrypt the keys of all objects anew; objects with customer keys are left alone."""
    call.drain()
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
    now = service.now()

    def finish() -> None:
        for name in bucket.names():
            for stored in bucket.versions(name):
                if isinstance(stored, StoredObject) and not stored.attributes.sse_key_sha256:
                    stored.attributes = dataclasses.replace(
                        stored.attributes, kms_key_id=bucket.kms_key_id
                    )

    uri = f"/n/{call.namespace}/b/{call.bucket}"
    resource: dict[str, object] = {
        "actionType": "UPDATED",
        "entityType": "bucket",
        "identifier": uri,
        "entityUri": uri,
        "metadata": {"NAMESPACE": call.namespace, "BUCKET": call.bucket},
    }
    work = Work(
        accepted=now,
        due=now + service.settings.copy_seconds,
        resources=[resource],
        operation="REENCRYPT",
        compartment=bucket.compartment,
    )
    return _accepted(service, work, finish)


def _accepted(
    service: Service,
    work: Work,
    finish: Callable[[], None],
    on_cancel: Callable[[], None] | None = None,
) -> Answer:
    """202 with the id by which the work can be followed."""
    service.work.add(work, finish, on_cancel)
    return Answer(status=202, headers={"opc-work-request-id": work.work_id})


def _key_headers(body: Mapping[str, Any], name: str) -> dict[str, str]:
    """A customer key in a body, as headers bring it."""
    given = body.get(name)
    if not isinstance(given, dict):
        return {}
    prefix = "opc-sse-customer-"
    values = {
        "algorithm": given.get("algorithm"),
        "key": given.get("key"),
        "key-sha256": given.get("keySha256"),
    }
    return {f"{prefix}{key}": str(value) for key, value in values.items() if value}


def _check(etag: str | None, conditions: Mapping[str, Any]) -> None:
    check_write(etag, {name: str(value) for name, value in conditions.items() if value})


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


def get_work_request(service: Service, call: Call) -> Answer:
    """How far it is."""
    work = service.work.get(call.parameters["work"])
    return json_answer(work.document(service.now()))


def list_work_requests(service: Service, call: Call) -> Answer:
    """Those of a compartment, the newest first; 400 without a compartment."""
    compartment = call.query.get("compartmentId")
    if not compartment:
        raise ApiError(400, "MissingParameter", "The compartmentId is missing")
    now = service.now()
    values = [work.document(now) for work in service.work.of(compartment)]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def cancel_work_request(service: Service, call: Call) -> Answer:
    """Give it up; 409 when it is done."""
    service.work.cancel(service.work.get(call.parameters["work"]))
    return Answer(status=202)


def list_errors(service: Service, call: Call) -> Answer:
    """Why it failed."""
    work = service.work.get(call.parameters["work"])
    values = []
    if work.error is not None:
        moment = timestamp(work.due)
        values = [{"code": work.error.code, "message": work.error.message, "timestamp": moment}]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def list_logs(service: Service, call: Call) -> Answer:
    """What has happened."""
    work = service.work.get(call.parameters["work"])
    return numbered_page(service, call, work.log(), usual=SHORT_PAGE)
