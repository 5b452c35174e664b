"""What handlers share: attributes from requests, checksums, customer keys, headers, pages."""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any

from ocihaul.emulator.call import Call
from ocihaul.emulator.objects import ALGORITHMS, Attributes, Checksums, StoredObject
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.settings import Settings
from ocihaul.emulator.state import Service

_CUSTOMER_KEY = (
    "opc-sse-customer-algorithm",
    "opc-sse-customer-key",
    "opc-sse-customer-key-sha256",
)


def customer_key_sha256(headers: Mapping[str, str]) -> str | None:
    """Base64 SHA-256 of the key in the request, None if there is none; 400 if it is malformed."""
    given = [headers.get(name) for name in _CUSTOMER_KEY]
    if not any(given):
        return None
    algorithm, key, claimed = given
    try:
        raw = base64.b64decode(key or "", validate=True)
    except ValueError:
        raw = b""
    actual = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    if algorithm != "AES256" or len(raw) != 32 or claimed != actual:
        message = "The customer encryption key, its algorithm or its SHA-256 is not valid"
        raise ApiError(400, "InvalidSSECustomerKey", message)
    return actual


def check_customer_key(stored: str | None, headers: Mapping[str, str]) -> None:
    """400 unless the request brings exactly the key that the object was written with."""
    given = customer_key_sha256(headers)
    if given == stored:
        return
    if given is None:
        message = "The object is encrypted with a customer key, and the request brings none"
        raise ApiError(400, "MissingSSECustomerKey", message)
    if stored is None:
        message = "The object is not encrypted with a customer key, and the request brings one"
        raise ApiError(400, "InvalidSSECustomerKey", message)
    message = "The customer key is not the one that the object was written with"
    raise ApiError(403, "IncorrectSSECustomerKey", message)


def customer_key_headers(stored: str | None) -> dict[str, str]:
    """What answers say about the key."""
    if stored is None:
        return {}
    return {
        "opc-sse-customer-algorithm": "AES256",
        "opc-sse-customer-key-sha256": stored,
    }


MAX_PAGE = 1000
#: The page of buckets, PARs and the like where no limit is given.
SHORT_PAGE = 25
MAX_NAME = 1024
TIERS = ("Standard", "InfrequentAccess", "Archive")
_DECLARED = "opc-checksum-algorithm"
_META = "opc-meta-"

#: Header of PutObject → key in the body of CreateMultipartUpload.
CONTENT_HEADERS = {
    "content-type": "contentType",
    "content-language": "contentLanguage",
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "cache-control": "cacheControl",
}


def check_object_name(name: object) -> str:
    """400 unless an object can have this name: 1 to 1,024 bytes, without NUL."""
    if not isinstance(name, str) or not 1 <= len(name.encode(errors="replace")) <= MAX_NAME:
        raise ApiError(400, "InvalidObjectName", f"An object's name has 1 to {MAX_NAME} bytes")
    if "\0" in name:
        raise ApiError(400, "InvalidObjectName", "An object's name has no NUL")
    if any("\ud800" <= each <= "\udfff" for each in name):
        raise ApiError(400, "InvalidObjectName", "An object's name is UTF-8")
    return name


def declared_algorithm(headers: Mapping[str, str]) -> str | None:
    """The checksum algorithm that the request declares; 400 for one that does not exist.

    An empty header is none: the Go SDK, and so rclone, sends it where nothing was chosen.
    """
    algorithm = headers.get(_DECLARED) or None
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise ApiError(400, "InvalidParameter", f"'{algorithm}' is no checksum algorithm")
    return algorithm


def wanted_algorithms(headers: Mapping[str, str]) -> frozenset[str]:
    """The declared algorithm, and those of which the request brings a value."""
    wanted = {name for name in ALGORITHMS if f"opc-content-{name.lower()}" in headers}
    declared = declared_algorithm(headers)
    return frozenset(wanted | {declared} if declared else wanted)


def check_checksums(settings: Settings, headers: Mapping[str, str], actual: Checksums) -> None:
    """400 when a checksum that the request brings is not that of the body."""
    if not settings.checks_bodies:
        return
    claims = {name: f"opc-content-{name.lower()}" for name in ALGORITHMS}
    for algorithm, header in {"MD5": "content-md5", **claims}.items():
        computed = actual.value(algorithm)
        if header in headers and computed is not None and headers[header] != computed:
            shown = "Content-MD5" if algorithm == "MD5" else header
            message = (
                f"The value of the {shown} header '{headers[header]}' does not match the computed "
                f"{algorithm} of the request body '{computed}'"
            )
            raise ApiError(400, f"UnmatchedContent{algorithm}", message)


def checksum_answer(settings: Settings, actual: Checksums, algorithm: str | None) -> dict[str, str]:
    """The checksums that the answer to PutObject or UploadPart tells."""
    values = {"opc-content-md5": actual.value("MD5")}
    if settings.checksums != "never" and algorithm is not None:
        values[f"opc-content-{algorithm.lower()}"] = actual.value(algorithm)
    if settings.checksums == "always":
        values["opc-content-crc32c"] = actual.value("CRC32C")
    return {name: value for name, value in values.items() if value is not None}


def attributes_from_headers(headers: Mapping[str, str], default_tier: str) -> Attributes:
    """As PutObject says them."""
    content = {name: headers[name] for name in CONTENT_HEADERS if name in headers}
    metadata = {
        name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)
    }
    return _attributes(headers, content, metadata, headers.get("storage-tier", default_tier))


def attributes_from_body(
    headers: Mapping[str, str], body: Mapping[str, Any], default_tier: str
) -> Attributes:
    """As CreateMultipartUpload says them."""
    content = {name: str(body[key]) for name, key in CONTENT_HEADERS.items() if body.get(key)}
    given = body.get("metadata") or {}
    if not isinstance(given, dict):
        raise ApiError(400, "InvalidParameter", "metadata is not an object")
    metadata = {str(name).lower().removeprefix(_META): str(value) for name, value in given.items()}
    return _attributes(headers, content, metadata, body.get("storageTier") or default_tier)


def _attributes(
    headers: Mapping[str, str], content: dict[str, str], metadata: dict[str, str], tier: str
) -> Attributes:
    if tier not in TIERS:
        raise ApiError(400, "InvalidParameter", f"'{tier}' is no storage tier")
    return Attributes(
        headers=content,
        metadata=metadata,
        storage_tier=tier,
        algorithm=declared_algorithm(headers),
        sse_key_sha256=customer_key_sha256(headers),
        kms_key_id=headers.get("opc-sse-kms-key-id"),
    )


def object_headers(stored: StoredObject, now: float) -> dict[str, str]:
    """What HEAD and GET tell about an object, beside content-length."""
    attributes = stored.attributes
    headers = {
        "etag": stored.etag,
        "last-modified": formatdate(stored.modified, usegmt=True),
        "version-id": stored.version_id,
        "accept-ranges": "bytes",
        "content-type": "application/octet-stream",
        **attributes.headers,
        **{f"{_META}{name}": value for name, value in attributes.metadata.items()},
        **stored.checksum_headers,
        **customer_key_headers(attributes.sse_key_sha256),
        "storage-tier": attributes.storage_tier,
    }
    if attributes.kms_key_id:
        headers["opc-sse-kms-key-id"] = attributes.kms_key_id
    state = stored.archival_state(now)
    if state is not None:
        headers["archival-state"] = state
    if state == "Restored" and stored.archived_again_at is not None:
        headers["time-of-archival"] = timestamp(stored.archived_again_at)
    return headers


def written_headers(stored: StoredObject) -> dict[str, str]:
    """What every answer to a write tells."""
    headers = {
        "etag": stored.etag,
        "last-modified": formatdate(stored.modified, usegmt=True),
        "version-id": stored.version_id,
        **customer_key_headers(stored.attributes.sse_key_sha256),
    }
    if stored.attributes.kms_key_id:
        headers["opc-sse-kms-key-id"] = stored.attributes.kms_key_id
    return headers


def page_size(service: Service, call: Call, usual: int = MAX_PAGE) -> int:
    """How many items the page may have: what is asked for, and no more than the service has."""
    wanted = call.integer("limit", usual) or 0
    if wanted < 1:
        raise ApiError(400, "InvalidParameter", "The limit is not a number from 1 on")
    return min(wanted, MAX_PAGE, service.settings.page_limit or MAX_PAGE)


def numbered_page(
    service: Service, call: Call, values: Sequence[Any], *, usual: int = MAX_PAGE
) -> Answer:
    """The page of `values` that the query asks for; pages are named by where they begin."""
    start = page_number(call)
    end = start + page_size(service, call, usual)
    more = {"opc-next-page": page_token(str(end))} if end < len(values) else {}
    return json_answer(values[start:end], headers=more)


def page_number(call: Call) -> int:
    """Where a numbered page begins; 400 for the page of a list that has names instead."""
    position = read_page_token(call.query.get("page")) or "0"
    if not (position.isascii() and position.isdecimal() and len(position) < 10):
        raise ApiError(400, "InvalidPage", "The page is not one that this list has named")
    return int(position)


def page_token(position: str) -> str:
    """Opaque, as the service's: `1:` and base64url that ends with `==`, to be quoted."""
    data = position.encode()
    data = _page_tag(data) + data
    data += bytes((1 - len(data)) % 3)
    return f"1:{base64.urlsafe_b64encode(data).decode()}"


def read_page_token(token: str | None) -> str | None:
    """The position in a token that was given out here; 400 for any other."""
    if token is None:
        return None
    try:
        data = base64.urlsafe_b64decode(token.removeprefix("1:").encode("ascii"))
    except ValueError:
        data = b""
    position = data[8:].rstrip(bytes(1))
    if not token.startswith("1:") or data[:8] != _page_tag(position):
        raise ApiError(400, "InvalidPage", "The page is not one that a list has named")
    return position.decode()


def _page_tag(position: bytes) -> bytes:
    return hashlib.sha256(position).digest()[:8]


def request_id() -> str:
    """The service's name for one request: the region, and 64 characters of base64url."""
    return f"fra-1:{secrets.token_urlsafe(48)}"
