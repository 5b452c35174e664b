"""Lists of objects and of their versions."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from ocihaul.emulator.buckets import Bucket
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import page_size, page_token, read_page_token
from ocihaul.emulator.objects import DeleteMarker, StoredObject
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service


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
