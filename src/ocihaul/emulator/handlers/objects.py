"""Objects: put, get, head, delete, and the lists of them and of their versions."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, unquote

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
    page_size,
    page_token,
    read_page_token,
    wanted_algorithms,
    written_headers,
)
from ocihaul.emulator.objects import (
    Blob,
    DeleteMarker,
    StoredObject,
    check_delete,
    check_none_match,
    check_read,
    check_write,
)
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
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


@dataclass(slots=True)
class Page:
    """Names and prefixes in order; the next page begins with the name or prefix `following`."""

    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    following: str | None = None


def page_of(names: Sequence[str], query: Mapping[str, str], limit: int) -> Page:
    """A page of the sorted `names`, as the query of ListObjects wants it.

    A prefix counts like a name towards `limit`. 400 for a delimiter that is not "/".
    """
    delimiter, prefix = query.get("delimiter", ""), query.get("prefix", "")
    if delimiter not in ("", "/"):
        raise ApiError(400, "InvalidParameter", "The only delimiter is '/'")
    page = Page()
    at = bisect_left(names, max(query.get("start", ""), prefix))
    if "startAfter" in query:
        at = max(at, bisect_right(names, query["startAfter"]))
    while at < len(names):
        name = names[at]
        if not name.startswith(prefix) or ("end" in query and name >= query["end"]):
            break
        cut = name.find("/", len(prefix)) if delimiter else -1
        if len(page.names) + len(page.prefixes) == limit:
            page.following = name if cut < 0 else name[: cut + 1]
            break
        if cut < 0:
            page.names.append(name)
            at += 1
        else:
            page.prefixes.append(name[: cut + 1])
            # "0" is the character after "/": the first name behind the group.
            at = bisect_left(names, name[:cut] + "0", at)
    return page


_FIELDS = (
    *("name", "size", "etag", "md5", "timeCreated", "timeModified"),
    *("storageTier", "archivalState"),
)


def list_objects(service: Service, call: Call) -> Answer:
    """Names in order, in pages that continue at `nextStartWith`."""
    fields = _fields(call)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        page = page_of(bucket.sorted_names(), call.query, page_size(service, call))
        now = service.now()
        objects = [_summary(bucket.objects[name], fields, now) for name in page.names]
    value: dict[str, Any] = {"objects": objects}
    if call.query.get("delimiter"):
        value["prefixes"] = page.prefixes
    if page.following is not None:
        value["nextStartWith"] = page.following
    return json_answer(value)


def list_object_versions(service: Service, call: Call) -> Answer:
    """All versions and delete markers, by name and the newest first; pages by opc-next-page."""
    fields = _fields(call) | {"timeModified"}
    limit = page_size(service, call)
    start, before = _position(read_page_token(call.query.get("page")))
    query = {**call.query, "start": max(call.query.get("start", ""), start)}
    more: dict[str, str] = {}
    items: list[dict[str, Any]] = []
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        page = page_of(sorted(bucket.names()), query, limit)
        now = service.now()
        room = limit - len(page.prefixes)
        if page.following is not None:
            more = {"opc-next-page": page_token(quote(page.following, safe=""))}
        for version in _versions(bucket, page.names, start, before):
            if len(items) == room:
                # The names that follow, and the prefixes among them, come on the next page.
                page.prefixes = [each for each in page.prefixes if each <= version.name]
                position = f"{quote(version.name, safe='')};{version.sequence}"
                more = {"opc-next-page": page_token(position)}
                break
            items.append(_version(version, fields, now))
    value: dict[str, Any] = {"items": items}
    if call.query.get("delimiter"):
        value["prefixes"] = page.prefixes
    return json_answer(value, headers=more)


def _position(page: str | None) -> tuple[str, int | None]:
    """(name, newest version of it) where a page begins: one that goes in between loses nothing."""
    name, semicolon, sequence = (page or "").partition(";")
    return unquote(name), int(sequence) if semicolon else None


def _versions(
    bucket: Bucket, names: list[str], start: str, before: int | None
) -> list[StoredObject | DeleteMarker]:
    return [
        version
        for name in names
        for version in bucket.versions(name)
        if name != start or before is None or version.sequence <= before
    ]


def _version(version: StoredObject | DeleteMarker, fields: set[str], now: float) -> dict[str, Any]:
    if isinstance(version, DeleteMarker):
        shown: dict[str, Any] = {
            "name": version.name,
            "timeModified": timestamp(version.modified),
            "isDeleteMarker": True,
        }
        if "timeCreated" in fields:
            shown["timeCreated"] = timestamp(version.modified)
    else:
        shown = {**_summary(version, fields, now), "isDeleteMarker": False}
    return {**shown, "versionId": version.version_id}


def _fields(call: Call) -> set[str]:
    known = {name.lower(): name for name in _FIELDS}
    wanted = [name for name in call.query.get("fields", "").split(",") if name.strip()]
    unknown = [name for name in wanted if name.strip().lower() not in known]
    if unknown:
        raise ApiError(400, "InvalidParameter", f"'{unknown[0]}' is no field of an object")
    return {known[name.strip().lower()] for name in wanted}


def _summary(stored: StoredObject, fields: set[str], now: float) -> dict[str, Any]:
    shown = stored.checksum_headers
    values = {
        "name": stored.name,
        "size": stored.size,
        "etag": stored.etag,
        "md5": shown.get("content-md5", shown.get("opc-multipart-md5")),
        "timeCreated": timestamp(stored.created),
        "timeModified": timestamp(stored.modified),
        "storageTier": stored.attributes.storage_tier,
        "archivalState": stored.archival_state(now),
    }
    wanted = fields | {"name"}
    return {key: value for key, value in values.items() if key in wanted and value is not None}
