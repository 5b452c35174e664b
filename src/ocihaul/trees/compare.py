"""What has to happen to a file or an object, and the two sorted streams side by side; pure."""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar

from ocihaul.errors import ServiceError
from ocihaul.storage.fields import epoch
from ocihaul.storage.listing import ListedObject
from ocihaul.trees.names import sort_key

L = TypeVar("L")


class Mode(Enum):
    """What happens to what is there already."""

    REPLACE = "replace"
    KEEP = "keep"
    #: Where there is nobody to ask, what is there is a failure.
    ASK = "ask"
    #: Replace what differs, keep the rest.
    SYNC = "sync"


class Verdict(Enum):
    """What to do with one file or object."""

    SEND = "send"
    SKIP = "skip"
    ASK = "ask"


def judge_upload(mode: Mode, size: int, mtime_ns: int, there: ListedObject | None) -> Verdict:
    """For a file and the object that has its name.

    The rule of `sync` is the stock CLI's: the size differs, or the file is newer than the object.
    """
    if there is None or mode is Mode.REPLACE:
        return Verdict.SEND
    if mode is Mode.SYNC:
        newer = mtime_ns > modified_ns(there)
        return Verdict.SEND if newer or size != there.size else Verdict.SKIP
    return Verdict.SKIP if mode is Mode.KEEP else Verdict.ASK


def judge_download(mode: Mode, there: ListedObject, size: int, mtime_ns: int) -> Verdict:
    """For an object and the file that is in its place.

    For `sync` the object's time counts in whole seconds, as the stock CLI sets it on the file.
    """
    if mode is Mode.REPLACE:
        return Verdict.SEND
    if mode is Mode.SYNC:
        older = mtime_ns < whole_seconds(there) * 1_000_000_000
        return Verdict.SEND if older or size != there.size else Verdict.SKIP
    return Verdict.SKIP if mode is Mode.KEEP else Verdict.ASK


def modified_ns(there: ListedObject) -> int:
    """When the object was last written: nanoseconds since the epoch."""
    return round(epoch(there.time_modified or "1970-01-01T00:00:00Z") * 1000) * 1_000_000


def whole_seconds(there: ListedObject) -> int:
    """When the object was last written: seconds since the epoch, rounded down."""
    return modified_ns(there) // 1_000_000_000


def in_order(objects: Iterator[ListedObject]) -> Iterator[ListedObject]:
    """The same, if the names ascend; else ServiceError: nothing could be concluded from a gap."""
    last = b""
    for each in objects:
        key = sort_key(each.name)
        if key <= last:
            raise ServiceError(
                status=200,
                code=None,
                message="the list of objects is not in the order of their names",
                operation="ListObjects",
            )
        last = key
        yield each


def side_by_side(
    local: Iterator[L], remote: Iterator[ListedObject], key: Callable[[L], bytes]
) -> Iterator[tuple[L | None, ListedObject | None]]:
    """Two ascending streams as pairs of what has the same name; one side may be None."""
    ours, theirs = next(local, None), next(remote, None)
    while ours is not None or theirs is not None:
        if ours is None or theirs is None:
            order = 1 if ours is None else -1
        else:
            left, right = key(ours), sort_key(theirs.name)
            order = (left > right) - (left < right)
        yield (ours if order <= 0 else None), (theirs if order >= 0 else None)
        if order <= 0:
            ours = next(local, None)
        if order >= 0:
            theirs = next(remote, None)
