"""The namespace, buckets, and lists of objects."""

from typing import Any

from .answers import Answer, ApiError, json_answer
from .auth import TENANCY, USER
from .call import Call
from .handlers_common import timestamp
from .objects import Bucket, StoredObject, check_read
from .service import Service

_MAX_PAGE = 1000


def get_namespace(service: Service, _call: Call) -> Answer:
    """A JSON string."""
    return json_answer(service.store.namespace)


def list_buckets(service: Service, call: Call) -> Answer:
    """All of them, in one page."""
    if call.namespace != service.store.namespace:
        service.store.bucket(call.namespace, "")
    return json_answer([_describe(service, bucket) for bucket in service.store.buckets()])


def get_bucket(service: Service, call: Call) -> Answer:
    """The bucket as JSON."""
    bucket = service.store.bucket(call.namespace, call.bucket)
    check_read(bucket.etag, call.headers)
    return json_answer(_describe(service, bucket), headers={"etag": bucket.etag})


def head_bucket(service: Service, call: Call) -> Answer:
    """Whether it exists."""
    bucket = service.store.bucket(call.namespace, call.bucket)
    check_read(bucket.etag, call.headers)
    return Answer(headers={"etag": bucket.etag})


def list_objects(service: Service, call: Call) -> Answer:
    """Names in order, in pages that continue at `nextStartWith`."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        names, prefixes, following = _page(service, call, sorted(bucket.objects))
        fields = set(call.query.get("fields", "name").split(","))
        now = service.now()
        objects = [_summary(bucket.objects[name], fields, now) for name in names]
    value: dict[str, Any] = {"objects": objects, "prefixes": prefixes}
    if following is not None:
        value["nextStartWith"] = following
    return json_answer(value)


def list_object_versions(service: Service, call: Call) -> Answer:
    """As ListObjects, with the one version that each object has; pages by opc-next-page."""
    call.query.setdefault("start", call.query.get("page", ""))
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        names, prefixes, following = _page(service, call, sorted(bucket.objects))
        fields = set(call.query.get("fields", "name").split(","))
        now = service.now()
        items = [
            {
                **_summary(bucket.objects[name], fields | {"timeModified"}, now),
                "versionId": bucket.objects[name].version_id,
                "isDeleteMarker": False,
            }
            for name in names
        ]
    more = {"opc-next-page": following} if following is not None else {}
    return json_answer({"items": items, "prefixes": prefixes}, headers=more)


def _page(
    service: Service, call: Call, names: list[str]
) -> tuple[list[str], list[str], str | None]:
    """(names, prefixes, what the next page starts with); a prefix counts like a name."""
    query = call.query
    delimiter = query.get("delimiter", "")
    if delimiter not in ("", "/"):
        raise ApiError(400, "InvalidParameter", "The only delimiter is '/'")
    limit = min(call.integer("limit", _MAX_PAGE) or _MAX_PAGE, _MAX_PAGE)
    limit = min(limit, service.settings.page_limit or _MAX_PAGE)
    prefix = query.get("prefix", "")
    found: list[str] = []
    prefixes: list[str] = []
    for name in names:
        if not _wanted(name, query):
            continue
        cut = name.find("/", len(prefix)) if delimiter else -1
        group = name[: cut + 1] if cut >= 0 else None
        if group is not None and group in prefixes:
            continue
        if len(found) + len(prefixes) == limit:
            return found, prefixes, name
        if group is None:
            found.append(name)
        else:
            prefixes.append(group)
    return found, prefixes, None


def _wanted(name: str, query: dict[str, str]) -> bool:
    return (
        name.startswith(query.get("prefix", ""))
        and name >= query.get("start", "")
        and name > query.get("startAfter", "")
        and ("end" not in query or name < query["end"])
    )


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
        "versioning": "Disabled",
        "objectEventsEnabled": False,
        "freeformTags": {},
        "definedTags": {},
    }
