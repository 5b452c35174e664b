"""A directory as a stream, in the order in which the service lists names.

That is the order of the bytes of the whole path, so a directory stands among its siblings as
"name/". The system is asked in bytes: the locale has no part in it. Memory: the names of the
directories on the way down, and nothing else.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ocihaul.errors import SourceError, UsageError
from ocihaul.filesystem import from_disk


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
