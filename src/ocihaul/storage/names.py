"""What paths, queries and headers of the API can carry; pure.

Whatever cannot be sent is a UsageError that names the parameter. Values are never quoted: one of
them may be a customer's key.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

from ocihaul.documents import is_utf8
from ocihaul.errors import UsageError

#: RFC 9110: what a header's name consists of.
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")


#: The service's limits, bytes of UTF-8 and characters:
#: https://docs.oracle.com/iaas/Content/Object/Tasks/managingobjects.htm and managingbuckets.htm.
LONGEST_NAME = 1024
LONGEST_BUCKET_NAME = 256


def check_object_name(name: str, what: str = "object name") -> None:
    """Raise UsageError when no object can be called so; which characters may be, the service
    says.
    """
    check_text(name, what)
    if len(name) * 4 > LONGEST_NAME and len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"{what}: {name[:40]!a}… has {len(name.encode())} bytes of UTF-8 (1 to {LONGEST_NAME} "
            "are allowed)",
            hint="Shorten it.",
        )
    if not name:
        raise UsageError(f"{what}: it is empty (1 to {LONGEST_NAME} bytes are allowed)")


def check_bucket_name(name: str) -> None:
    """Raise UsageError when no bucket can be called so, as far as its length says."""
    check_text(name, "bucket name")
    if not 1 <= len(name) <= LONGEST_BUCKET_NAME:
        shown = f"{name[:40]!a}… has {len(name)} characters" if name else "it is empty"
        raise UsageError(f"bucket name: {shown} (1 to {LONGEST_BUCKET_NAME} are allowed)")


def quoted(text: str, what: str) -> str:
    """`text` as one segment of a path; `what` names it in the error."""
    check_text(text, what)
    # Names that are all dots would vanish as path segments.
    return "".join("%2E" for _ in text) if text in {".", ".."} else quote(text, safe="")


def check_text(text: str, what: str) -> None:
    """Raise UsageError when `text` has no UTF-8 form: a file name in another encoding has none."""
    if not isinstance(text, str):  # callers of the library may give anything
        raise UsageError(f"{what}: {text!r} is not a text")
    if not is_utf8(text):
        # Escaped: a terminal could not show it either.
        raise UsageError(
            f"the {what} {text!a} is not valid UTF-8",
            hint="The service has no other names: rename the file, or upload it by itself with "
            "another `name`.",
        )


def fits_header(value: str) -> bool:
    """Whether a header can carry this value as it is."""
    return value.isascii() and value.isprintable() and value == value.strip()


def is_etag(value: str) -> bool:
    """Whether this can be sent back as a precondition."""
    return value.isascii() and value.isprintable() and value.strip() == value != ""


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise UsageError for a header that HTTP cannot carry as it is."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise UsageError(
                f"{name!a} cannot be the name of a header",
                hint="Metadata names have letters, digits and any of - . _ but no space.",
            )
        if not (value.isascii() and value.isprintable()):
            raise UsageError(
                f"the value of {name} has characters that a header cannot carry",
                hint="Only printable ASCII is possible; encode other text, for example as base64.",
            )
        if value != value.strip():
            raise UsageError(
                f"the value of {name} begins or ends with a space, which a header cannot carry",
            )


@lru_cache(maxsize=8)  # all files of a tree go to the same one
def bucket_path(namespace: str, bucket: str) -> str:
    """Of one bucket."""
    check_bucket_name(bucket)
    return f"/n/{quoted(namespace, 'namespace')}/b/{quoted(bucket, 'bucket name')}"


def object_path(namespace: str, bucket: str, name: str) -> str:
    """Of one object."""
    check_object_name(name)
    return f"{bucket_path(namespace, bucket)}/o/{quoted(name, 'object name')}"


def upload_path(namespace: str, bucket: str, name: str) -> str:
    """Of one multipart upload."""
    check_object_name(name)
    return f"{bucket_path(namespace, bucket)}/u/{quoted(name, 'object name')}"


def par_path(namespace: str, bucket: str, par_id: str) -> str:
    """Of one PAR."""
    return f"{bucket_path(namespace, bucket)}/p/{quoted(par_id, 'PAR id')}"
