"""What is there, in the same order on both sides: a directory's files, and the bucket's objects.

That is the order in which the service lists names, of the bytes of the whole path, so a directory
stands among its siblings as "name/". For files the system is asked in bytes: the locale has no part
in it. Memory: the names of the directories on the way down, and nothing else. Objects beside a walk
are found by name with as few pages of the list as possible.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ocihaul.directories.compare import in_order
from ocihaul.directories.names import sort_key
from ocihaul.directories.shards import WHOLE, Shard
from ocihaul.errors import ServiceError, SourceError, UsageError
from ocihaul.filesystem import from_disk
from ocihaul.storage.calls import endless
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PAGE, ListedObject, ObjectPage, Selection
from ocihaul.threads import Later, ahead


class Kind(Enum):
    """What was found."""

    FILE = "file"
    #: A directory with nothing in it; its path ends with "/".
    EMPTY = "empty directory"
    #: A file that cannot be looked at; `reason` says why.
    BROKEN = "broken"
    #: A directory that cannot be read: nothing is known of what is in it. Its path ends with "/".
    CLOSED = "closed"
    #: Something that has no bytes to send: `reason` says what.
    SPECIAL = "special"
    #: A file of another shard: only its name is known.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class WalkEntry:
    """One thing in the tree. `size` is bytes, `mtime_ns` nanoseconds since the epoch."""

    path: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    reason: str = ""


@dataclass(slots=True)
class _Level:
    """A directory on the way down: its path and what is left of its names, in order."""

    prefix: bytes
    names: Iterator[bytes]
    #: (device, inode) of this directory and all above it, where links are followed.
    above: frozenset[tuple[int, int]]


def check_root(root: str, *, parameter: str) -> None:
    """Raise UsageError that names `parameter` unless `root` is a directory that can be read."""
    try:
        with os.scandir(root):
            return
    except OSError as error:
        text = f"`{parameter}`: {root} cannot be read as a directory: {error.strerror}"
        if isinstance(error, FileNotFoundError):  # in the official CLI's words
            text = f"The specified `{parameter}` {root} (expanded to: {root}) does not exist"
        raise UsageError(
            text,
            hint="Correct the path; in a container, check the mount and the user it runs as.",
        ) from None


#: Whether what has this relative path is to be looked at.
Wanted = Callable[[bytes], bool]


def walk(
    root: str, *, follow_links: bool = True, empty: bool = False, wanted: Wanted | None = None
) -> Iterator[WalkEntry]:
    """Everything below `root`; its `path` is relative.

    Without `follow_links` symbolic links are as if they were not there. With `empty` directories
    that have nothing in them are told. Files that are not `wanted` are told, but not looked at,
    which is most of the time that a walk takes. Raises SourceError when `root` itself cannot be
    read.
    """
    base = os.fsencode(root)
    top, problem = _open(base, b"", frozenset(), follow_links=follow_links)
    if top is None:
        raise SourceError(f"{root} cannot be read: {problem}")
    stack = [top]
    while stack:
        level = stack[-1]
        name = next(level.names, None)
        if name is None:
            stack.pop()
            continue
        path = level.prefix + name
        if not name.endswith(b"/"):
            yield _file(base, path, wanted)
        else:
            below, problem = _open(base, path, level.above, follow_links=follow_links)
            if below is None:
                kind = Kind.SPECIAL if problem == _LOOP else Kind.CLOSED
                yield WalkEntry(from_disk(path), kind, reason=problem)
                continue
            first = next(below.names, None)
            if first is not None:
                below.names = _chain(first, below.names)
                stack.append(below)
            elif empty:
                yield WalkEntry(from_disk(path), Kind.EMPTY)


def size_of(root: str, *, follow_links: bool = True, wanted: Wanted | None = None) -> int:
    """The bytes of all files below that are `wanted`, in a walk of its own."""
    found = walk(root, follow_links=follow_links, wanted=wanted)
    return sum(each.size for each in found)


_LOOP = "a symbolic link to a directory above it"


def _open(
    root: bytes, prefix: bytes, above: frozenset[tuple[int, int]], *, follow_links: bool
) -> tuple[_Level | None, str]:
    """The directory with its names in order, or what is in the way."""
    path = os.path.join(root, prefix)  # noqa: PTH118
    try:
        if follow_links:
            status = os.stat(path)  # noqa: PTH116
            me = (status.st_dev, status.st_ino)
            if me in above:
                return None, _LOOP
            above |= {me}
        names = []
        with os.scandir(path) as entries:
            for entry in entries:
                if not follow_links and entry.is_symlink():
                    continue
                names.append(entry.name + b"/" if _is_directory(entry) else entry.name)
    except OSError as error:
        return None, error.strerror or "it cannot be read"
    names.sort(reverse=True)
    return _Level(prefix, iter(_consumed(names)), above), ""


def _is_directory(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into the unknown: looking at it will tell
        return False


def _consumed(names: list[bytes]) -> Iterator[bytes]:
    """The names from the end, each let go as it is told."""
    while names:
        yield names.pop()


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _file(base: bytes, path: bytes, wanted: Wanted | None) -> WalkEntry:
    if wanted is not None and not wanted(path):
        return WalkEntry(from_disk(path), Kind.ELSEWHERE)
    return _look(os.path.join(base, path), from_disk(path))  # noqa: PTH118  a million times


def _look(full: bytes, path: str) -> WalkEntry:
    try:
        status = os.stat(full)  # noqa: PTH116
    except OSError as error:
        reason = error.strerror or "it cannot be looked at"
        if os.path.islink(full):  # noqa: PTH114
            reason = f"a symbolic link that leads nowhere: {reason}"
        return WalkEntry(path, Kind.BROKEN, reason=reason)
    if stat.S_ISREG(status.st_mode):
        return WalkEntry(path, Kind.FILE, status.st_size, status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return WalkEntry(path + "/", Kind.CLOSED, reason="it became a directory while it was read")
    return WalkEntry(path, Kind.SPECIAL, reason=_special(status.st_mode))


def _special(mode: int) -> str:
    for test, name in (
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "no regular file"


#: What the comparison of directories needs to know of an object.
FIELDS = "name,size,etag,md5,timeModified,archivalState"

_SMALLEST_PAGE = 10


class BucketIndex:
    """One bucket, or what is under one prefix in it.

    `on_odd` is called with what is wrong with each entry of a list that has no usable name.
    """

    def __init__(
        self,
        storage: StorageClient,
        namespace: str,
        bucket: str,
        prefix: str = "",
        *,
        on_odd: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._storage = storage
        self._on_odd = on_odd
        self._where = (namespace, bucket)
        self._prefix = prefix

    def check(self) -> None:
        """Raise ServiceError when there is no such bucket."""
        self._storage.get_bucket(*self._where)

    def objects(self, *, delimiter: str | None = None) -> Iterator[ListedObject]:
        """All objects in the order of their names; raises ServiceError when they are not."""
        selection = Selection(prefix=self._prefix or None, fields=FIELDS, delimiter=delimiter)
        pages = self._storage.list_objects(*self._where, selection)
        return in_order(each for page in ahead(pages) for each in self.sound(page))

    def of_shard(self, shard: Shard, *, delimiter: str | None = None) -> Iterator[ListedObject]:
        """Those of the objects that are the shard's, in the order of their names."""
        objects = self.objects(delimiter=delimiter)
        return (each for each in objects if shard.holds(sort_key(each.name)))

    def size(self, shard: Shard = WHOLE, *, delimiter: str | None = None) -> int:
        """The bytes of the shard's objects, by a list of its own."""
        return sum(each.size or 0 for each in self.of_shard(shard, delimiter=delimiter))

    def finder(self, shard: Shard = WHOLE) -> "Finder":
        """Look-ups by name, in ascending order; only the shard's names are looked up."""
        return Finder(self, shard.count)

    def page_from(self, name: str, size: int) -> ObjectPage:
        """One page that begins at `name`; its odd entries are not told yet."""
        selection = Selection(prefix=self._prefix or None, start=name, fields=FIELDS)
        return next(self._storage.list_objects(*self._where, selection, page_size=size))

    def sound(self, page: ObjectPage) -> tuple[ListedObject, ...]:
        """The entries that have a name; the others are told."""
        for reason in page.odd:
            self._on_odd(reason)
        return page.objects


def odd_entry(reason: str) -> ServiceError:
    """The error for an entry of a list that cannot be used; `reason` says what is wrong with it."""
    return ServiceError(
        status=200,
        code=None,
        message=f"its entry in the list cannot be used: {reason}",
        operation="ListObjects",
    )


class Finder:
    """Looks names up, in ascending order only.

    Skips what lies between two names: a small directory in a large bucket costs no more pages
    than it has files. A page that was hardly used makes the next one smaller. Of a page that is of
    use to all `shards`, each uses its share: that is no reason to ask for less. The page after one
    that is of use is asked for while that one is looked through.
    """

    def __init__(self, bucket: BucketIndex, shards: int = 1) -> None:
        self._bucket = bucket
        self._shards = shards
        self._page: list[ListedObject] = []
        self._at = 0
        self._hits = 0
        self._following: str | None = ""
        self._size = PAGE
        self._next: tuple[str, Later[ObjectPage]] | None = None

    def find(self, name: str) -> ListedObject | None:
        """The object that has this name, or None."""
        key = sort_key(name)
        while True:
            while self._at < len(self._page):
                each = self._page[self._at]
                order = sort_key(each.name)
                if order == key:
                    self._hits += 1
                    return each
                if order > key:
                    return None
                self._at += 1
                self._look_ahead()
            if self._following is None or sort_key(self._following) > key:
                return None
            self._turn(max(self._following, name, key=sort_key))

    def _look_ahead(self) -> None:
        """In the middle of a page that is of use, ask for the page after it."""
        if self._next is None and self._at == len(self._page) // 2 and self._is_used(self._at):
            self._ask_ahead()

    def _ask_ahead(self) -> None:
        start = self._following
        if start is not None:
            self._next = start, Later(lambda: self._bucket.page_from(start, PAGE))

    def _is_used(self, entries: int) -> bool:
        return self._hits * self._shards * 4 >= entries

    def _turn(self, name: str) -> None:
        used = bool(self._page) and self._is_used(len(self._page))
        if self._page:
            self._size = PAGE if used else max(self._size // 4, _SMALLEST_PAGE)
        if self._next is None:
            start, page = name, self._bucket.page_from(name, self._size)
        else:
            start, later = self._next
            self._next = None
            page = later.result()
        if page.following is not None and page.following <= start:
            raise endless("ListObjects")
        self._following = page.following
        if used:  # the next one probably is, too
            self._ask_ahead()
        self._page = list(in_order(iter(self._bucket.sound(page))))
        self._at = self._hits = 0
