"""Fields of the service's documents that have to be more than a text; pure.

Each raises DocumentError for a value that cannot be relied on later: times that are none, etags
that no header can carry, paths that no request can go to.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from ocihaul.documents import LAST_MOMENT, DocumentError, list_of, text
from ocihaul.storage.names import is_etag

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
