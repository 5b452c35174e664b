"""Single objects: put, get, head, delete."""

import re
from email.utils import formatdate

from ocihaul.emulator.blobs import Blob
from ocihaul.emulator.buckets import Bucket
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import (
    attributes_from_headers,
    check_checksums,
    check_customer_key,
    check_object_name,
    checksum_answer,
    declared_algorithm,
    object_headers,
    wanted_algorithms,
    written_headers,
)
from ocihaul.emulator.objects import (
    DeleteMarker,
    StoredObject,
    check_delete,
    check_none_match,
    check_read,
    check_write,
)
from ocihaul.emulator.responses import Answer, ApiError
from ocihaul.emulator.state import Service

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_OVERRIDES = {
    "httpResponseContentDisposition": "content-disposition",
    "httpResponseCacheControl": "cache-control",
    "httpResponseContentType": "content-type",
    "httpResponseContentLanguage": "content-language",
    "httpResponseContentEncoding": "content-encoding",
    "httpResponseExpires": "expires",
}


def put_object(service: Service, call: Call) -> Answer:
    """The object becomes visible, whole, after its body has arrived and been checked."""
    settings = service.settings
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        _check_write(service, bucket, call)
    if call.content_length > settings.max_object_put:
        raise ApiError(413, "RequestEntityTooLarge", "The object is larger than 50 GiB")
    attributes = attributes_from_headers(call.headers, bucket.storage_tier)
    intake = service.store.intake(settings, wanted_algorithms(call.headers))
    call.take_in(intake)
    told = checksum_answer(settings, intake.checksums, declared_algorithm(call.headers))
    shown = {name.replace("opc-content-md5", "content-md5"): told[name] for name in told}
    try:
        check_checksums(settings, call.headers, intake.checksums)
        with service.store.lock:
            _check_write(service, bucket, call)
            stored = StoredObject(
                name=call.name,
                blob=Blob([intake.segment]),
                attributes=attributes,
                checksums=intake.checksums,
                checksum_headers=shown,
            )
            bucket.put(stored)
    except ApiError:
        intake.drop()
        raise
    return Answer(headers={**written_headers(stored), **told})


def head_object(service: Service, call: Call) -> Answer:
    """Everything but the bytes."""
    with service.store.lock:
        stored = _readable(service, call)
        headers = object_headers(stored, service.now())
    return Answer(headers=headers, length=stored.size)


def get_object(service: Service, call: Call) -> Answer:
    """The bytes, or one range of them; an archived object must be restored first."""
    with service.store.lock:
        stored = _readable(service, call)
        headers = object_headers(stored, service.now())
        if headers.get("archival-state", "Restored") != "Restored":
            message = f"The object '{stored.name}' is archived; restore it before reading it"
            raise ApiError(409, "NotRestored", message)
        start, length, partial = _range(call.headers.get("range"), stored.size)
        release = stored.blob.open()
    for parameter, header in _OVERRIDES.items():
        if parameter in call.query:
            headers[header] = call.query[parameter]
    if partial:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{stored.size}"
    return Answer(
        status=206 if partial else 200,
        headers=headers,
        stream=stored.blob.read(start, length),
        length=length,
        cleanup=release,
    )


def bytes_asked_for(service: Service, call: Call) -> int:
    """How many bytes of an object a GetObject would answer with; 0 where it would be refused."""
    try:
        with service.store.lock:
            return _range(call.headers.get("range"), _readable(service, call).size)[1]
    except ApiError:
        return 0


def delete_object(service: Service, call: Call) -> Answer:
    """Gone at once, or hidden by a delete marker where the bucket keeps versions."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        version_id = call.query.get("versionId")
        if version_id is None:
            target: StoredObject | DeleteMarker = bucket.object(call.name)
        else:
            target = bucket.version(call.name, version_id)
        if isinstance(target, StoredObject):
            check_delete(target.etag, call.headers)
            if version_id is not None or bucket.versioning != "Enabled":
                bucket.check_retention(target, service.now())
        if version_id is None:
            deleted = bucket.delete(call.name)
        else:
            deleted = bucket.delete_version(call.name, version_id)
    headers = {"last-modified": formatdate(service.now(), usegmt=True)}
    if isinstance(deleted, DeleteMarker):
        headers["version-id"] = deleted.version_id
        headers["is-delete-marker"] = "true"
    return Answer(status=204, headers=headers)


def _check_write(service: Service, bucket: Bucket, call: Call) -> None:
    """What forbids to write an object: its name, a condition, a retention rule."""
    check_object_name(call.name)
    check_none_match(call.headers)
    check_write(bucket.etag_of(call.name), call.headers)
    if bucket.versioning != "Enabled":
        bucket.check_retention(bucket.objects.get(call.name), service.now())


def _readable(service: Service, call: Call) -> StoredObject:
    bucket = service.store.bucket(call.namespace, call.bucket)
    stored = bucket.object(call.name, call.query.get("versionId"))
    check_read(stored.etag, call.headers)
    key = stored.attributes.sse_key_sha256
    if key is not None or service.settings.unneeded_customer_key == "refused":
        check_customer_key(key, call.headers)
    return stored


def _range(header: str | None, size: int) -> tuple[int, int, bool]:
    """(start, length, partial); a header that is not one range is ignored, as HTTP has it."""
    match = _RANGE.fullmatch(header or "")
    if match is None or match.group(0) == "bytes=-":
        return 0, size, False
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last or size), size - 1) + 1
    if start >= size or end <= start:
        message = "The requested range is not in the object"
        raise ApiError(416, "InvalidRange", message, headers={"content-range": f"bytes */{size}"})
    return start, end - start, True
