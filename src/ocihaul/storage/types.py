"""What goes into and comes out of the Object Storage API, as values."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocihaul.documents import DocumentError, object_of, text, text_or_none, whole_number
from ocihaul.errors import UsageError
from ocihaul.redaction import hold_key_bytes


@dataclass(frozen=True, slots=True)
class SseCustomerKey:
    """A customer-provided AES-256 key (SSE-C); never shown by repr."""

    base64_key: str = field(repr=False)

    def __post_init__(self) -> None:
        hold_key_bytes(base64.b64decode(self.base64_key))

    @classmethod
    def from_text(cls, encoded: str, *, where: str) -> "SseCustomerKey":
        """Read the base64 text of a 256-bit key; `where` names its origin in the error."""
        try:
            raw = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 32:
            raise UsageError(
                f"{where} does not hold a base64-encoded 256-bit key",
                hint="Make one with: openssl rand -base64 32",
            )
        return cls(base64.b64encode(raw).decode())

    def headers(self) -> dict[str, str]:
        """The three headers that every request on such an object needs."""
        digest = hashlib.sha256(base64.b64decode(self.base64_key)).digest()
        return {
            "opc-sse-customer-algorithm": "AES256",
            "opc-sse-customer-key": self.base64_key,
            "opc-sse-customer-key-sha256": base64.b64encode(digest).decode(),
        }


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """What HeadObject tells; `headers` has lower-case names."""

    size: int
    etag: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One part as ListMultipartUploadParts tells it; `md5` is base64."""

    number: int
    etag: str
    md5: str | None
    size: int

    @classmethod
    def read(cls, document: object) -> "PartSummary":
        """From the service's JSON. Raises DocumentError."""
        given = object_of(document)
        return cls(
            _part_number(given),
            text(given, "etag"),
            text_or_none(given, "md5"),
            whole_number(given, "size"),
        )


def _part_number(document: Mapping[str, object]) -> int:
    number = whole_number(document, "partNumber")
    if not 1 <= number <= 10_000:
        raise DocumentError(f"partNumber is {number}, not a number from 1 to 10000")
    return number
