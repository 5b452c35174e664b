"""What paths, queries and headers of the API can carry, and fields that are more than a text; pure.

Whatever cannot be sent is a UsageError that names the parameter. Values are never quoted: one of
them may be a customer's key. Readers of fields raise DocumentError for a value that cannot be
relied on later: times that are none, etags that no header can carry, paths that no request can go
to.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

from ocihaul.documents import LAST_MOMENT, DocumentError, is_utf8, list_of, text
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


@lru_cache(maxsize=8)  # all files of a directory go to the same one
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


Document = Mapping[str, Any]
T = TypeVar("T")

#: What goes into a request as it is: visible ASCII that begins with a slash.
_URL_PATH = re.compile(r"/[!-~]*")


def entries(listed: object, reader: Callable[[Any], T]) -> tuple[list[T], list[str]]:
    """What `reader` makes of each entry of a list, and what is wrong with the odd ones.

    One odd entry costs that entry. Raises DocumentError when `listed` is no list.
    """
    sound, odd = [], []
    for each in list_of(listed):
        try:
            sound.append(reader(each))
        except DocumentError as error:
            odd.append(str(error))
    return sound, odd


def epoch(moment: str) -> float:
    """Seconds since 1970 of a time that the service wrote; ValueError when it is none.

    A time without a zone is UTC.
    """
    found = datetime.fromisoformat(moment)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def time(document: Document, key: str) -> str:
    """The text of a field that has to be a time of the years 1970 to 9999."""
    given = text(document, key)
    try:
        found = datetime.fromisoformat(given)
        # A zone matters at the ends only. A list may have a million of them.
        sound = 1970 < found.year < 9999 or 0 <= epoch(given) <= LAST_MOMENT
    except (ValueError, OverflowError):
        sound = False
    if not sound:
        raise DocumentError(f"{key} is not a time")
    return given


def time_or_none(document: Document, key: str) -> str | None:
    """The same for a field that may be missing or null."""
    return None if document.get(key) is None else time(document, key)


def etag_or_none(document: Document) -> str | None:
    """The etag, which has to fit a header, as preconditions send it back."""
    etag = document.get("etag")
    if etag is not None and not (type(etag) is str and is_etag(etag)):
        raise DocumentError("etag is not one that a header can carry")
    return etag


def access_path(document: Document) -> str:
    """The path of a PAR's URL: a secret, never quoted in an error."""
    uri = text(document, "accessUri")
    if not is_url_path(uri):
        raise DocumentError("accessUri is not the path of a URL")
    return uri


def is_url_path(uri: str) -> bool:
    """Whether a request can go to this path as it is."""
    return _URL_PATH.fullmatch(uri) is not None


def truth_or_none(document: Document, key: str) -> bool | None:
    """Whether a field says yes; None where it is missing or null."""
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise DocumentError(f"{key} is neither true nor false")
