"""What has to happen to a file or an object, and the two sorted streams side by side; pure."""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeVar

from ocihaul.directories.names import sort_key
from ocihaul.errors import ServiceError
from ocihaul.storage.names import epoch
from ocihaul.storage.values import ListedObject

L = TypeVar("L")


class SyncMode(Enum):
    """What happens to what is there already."""

    REPLACE = "replace"
    KEEP = "keep"
    #: Where there is nobody to ask, what is there is a failure.
    ASK = "ask"
    #: Replace what has another size or time and another content, keep the rest.
    SYNC = "sync"
    #: The same without looking at the content, as the official CLI: what is newer is sent.
    SYNC_NEWER = "sync-newer"

    @property
    def syncs(self) -> bool:
        """Whether what is equal is kept."""
        return self in {SyncMode.SYNC, SyncMode.SYNC_NEWER}


class SyncAction(Enum):
    """What to do with one file or object."""

    SEND = "send"
    #: The size is the same: send it unless its content is, too.
    COMPARE = "compare"
    SKIP = "skip"
    ASK = "ask"


def judge_upload(
    mode: SyncMode, size: int, mtime_ns: int, there: ListedObject | None, *, checksum: bool = False
) -> SyncAction:
    """For a file and the object that has its name.

    The rule of `sync`: what has another size differs; what has the same size and is newer than
    the object is compared with it, or with `checksum` all that has the same size. The official
    CLI sends whatever is newer.
    """
    if there is None or mode is SyncMode.REPLACE:
        return SyncAction.SEND
    if mode.syncs:
        newer = checksum or mtime_ns > modified_ns(there)
        return _synced(mode, same_size=size == there.size, changed=newer)
    return SyncAction.SKIP if mode is SyncMode.KEEP else SyncAction.ASK


def judge_download(
    mode: SyncMode, there: ListedObject, size: int, mtime_ns: int, *, checksum: bool = False
) -> SyncAction:
    """For an object and the file that is in its place; the rule of `sync` as for uploads.

    The object's time counts in whole seconds, as the official CLI sets it on the file.
    """
    if mode is SyncMode.REPLACE:
        return SyncAction.SEND
    if mode.syncs:
        older = checksum or mtime_ns < whole_seconds(there) * 1_000_000_000
        return _synced(mode, same_size=size == there.size, changed=older)
    return SyncAction.SKIP if mode is SyncMode.KEEP else SyncAction.ASK


def _synced(mode: SyncMode, *, same_size: bool, changed: bool) -> SyncAction:
    if not same_size or (changed and mode is SyncMode.SYNC_NEWER):
        return SyncAction.SEND
    return SyncAction.COMPARE if changed else SyncAction.SKIP


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
