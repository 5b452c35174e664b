"""The directory that gets the objects: nothing is ever written outside of it.

Object names come from others. Paths with ".." never get here (see `names`); what is left is a
symbolic link below the directory that leads out of it, and two names for one file. Others may also
have rights in the directory, and put a link in the place of a directory while a run goes on: so
each directory is opened by its name in the one above it, and no link is followed that way.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Self

from ocihaul.directories.names import disk_path, folded
from ocihaul.errors import LocalFileError, UsageError
from ocihaul.events import Listener, ignore
from ocihaul.filesystem import FileSystem, from_disk, on_disk
from ocihaul.transfer.download.local_file import Place, open_directory

#: As many symbolic links as Linux follows in a path.
_MOST_LINKS = 40
#: Made and removed again to see whether its name is found in another case, too. Always the same
#: one: what a killed run leaves, the next one removes.
_PROBE = ".ocihaul-É"
_TRIES = 10


def check_root(root: str, *, parameter: str) -> None:
    """Raise UsageError unless `root` (a `parameter`) is or can be a directory to write to."""
    if os.path.exists(root):  # noqa: PTH110
        sound = os.path.isdir(root) and os.access(root, os.W_OK)  # noqa: PTH112
        if not sound:
            raise UsageError(
                f"`{parameter}`: {root} is not a directory that can be written to",
                hint="Correct the path, or the rights on it.",
            )


class Destination:
    """A directory and what is below it; paths are relative, with "/". Thread-safe.

    No descriptors are kept but that of the directory itself: opening those below it anew for each
    file costs microseconds, and sees what has been moved.
    """

    def __init__(self, root: str, *, make: bool = True, listener: Listener = ignore) -> None:
        """Raises LocalFileError when the directory cannot be made."""
        self.root = root
        self.descriptor: int | None = None
        self._real = os.path.realpath(root)
        self._files = FileSystem(listener)
        self._folds = False
        try:
            if make:
                os.makedirs(root, exist_ok=True)  # noqa: PTH103
                self._folds = _ignores_case(root)
            if make or os.path.isdir(root):  # noqa: PTH112
                self.descriptor = open_directory(self._real, follow=True)
        except OSError as error:
            raise LocalFileError(
                f"{root} cannot be made or written: {error.strerror}",
                hint="Check the path, the space and the rights there.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor = None

    @property
    def folds(self) -> bool:
        """Whether names that differ in case or Unicode form are the same file here."""
        return self._folds

    def key(self, path: str) -> str:
        """What a path shares with every other path of the same file here."""
        return folded(path) if self._folds else path

    def full(self, path: str) -> str:
        """The path as the system takes it."""
        return disk_path(self.root, path)

    def status(self, path: str) -> os.stat_result | None:
        """What is there, through links; None for nothing. Raises LocalFileError."""
        try:
            return os.stat(self.full(path))  # noqa: PTH116
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None  # making the directory will tell
        except OSError as error:
            raise LocalFileError(
                f"{self.full(path)} cannot be looked at: {error.strerror}"
            ) from error

    def place(self, path: str, *, mtime: int | None = None) -> Place:
        """Where to write the file, which gets the time `mtime`; the directories are there then.

        The caller closes it. Raises LocalFileError when that is outside, or below something that is
        no directory.
        """
        inside = path
        for _ in range(_MOST_LINKS):
            parent, _, name = inside.rpartition("/")
            real, descriptor = self._opened(parent)
            try:
                linked = is_link(name, descriptor)
            except OSError as error:
                os.close(descriptor)
                raise LocalFileError(
                    f"{self.full(path)} cannot be written: {error.strerror}"
                ) from error
            if not linked:
                full = disk_path(self._real, _joined(real, name))
                return Place(descriptor, Path(full), self._files, mtime)
            os.close(descriptor)
            inside = self._behind(_joined(real, name))
        raise self._circle(path)

    def directory(self, path: str) -> None:
        """Make a directory and those above it. Raises LocalFileError as `place` does."""
        _, descriptor = self._opened(path.removesuffix("/"))
        os.close(descriptor)

    def _opened(self, path: str) -> tuple[str, int]:
        """A directory, made if need be: its path without links, and a descriptor of it."""
        at, left = "", path.split("/")[::-1] if path else []
        links = 0
        descriptor = self._root()
        try:
            while left:
                segment = left.pop()
                below = _enter(segment, descriptor, self.full(_joined(at, segment)))
                if below is not None:
                    os.close(descriptor)
                    at, descriptor = _joined(at, segment), below
                    continue
                links += 1
                if links > _MOST_LINKS:
                    raise self._circle(path)
                behind, root = self._behind(_joined(at, segment)), self._root()
                left += behind.split("/")[::-1] if behind else []
                os.close(descriptor)
                at, descriptor = "", root
        except BaseException:
            os.close(descriptor)
            raise
        return at, descriptor

    def _root(self) -> int:
        if self.descriptor is None:
            raise LocalFileError(f"{self.root} is not there")
        return os.dup(self.descriptor)

    def _behind(self, path: str) -> str:
        """Where a symbolic link leads, from the root on; raises LocalFileError for outside."""
        full = self.full(path)
        real = os.path.realpath(disk_path(self._real, path))
        if os.path.commonpath([self._real, real]) != self._real:
            raise LocalFileError(
                f"{full} is a symbolic link that leads out of {self.root}",
                hint="Remove the link, or download to where it leads.",
            )
        if real == self._real:
            return ""
        return from_disk(os.fsencode(os.path.relpath(real, self._real)))

    def _circle(self, path: str) -> LocalFileError:
        return LocalFileError(
            f"{self.full(path)}: too many symbolic links", hint="Look for a link to itself."
        )


def _enter(name: str, directory: int, full: str) -> int | None:
    """Open a directory by its name in another, made if it is not there; None for a link."""
    there = on_disk(name)
    try:
        try:
            return open_directory(there, directory=directory)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(there, dir_fd=directory)
            return open_directory(there, directory=directory)
    except OSError as error:
        if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
            if is_link(name, directory):
                return None
            raise LocalFileError(
                f"{full} is a file, so nothing can be below it",
                hint="Rename it, or download to another directory.",
            ) from None
        raise LocalFileError(f"{full} cannot be made: {error.strerror}") from error


def is_link(name: str, directory: int) -> bool:
    """Whether a name in an open directory is that of a symbolic link. Raises OSError."""
    try:
        status = os.stat(on_disk(name), dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISLNK(status.st_mode)


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _ignores_case(root: str) -> bool:
    """Whether the file system takes names for the same that differ in case or Unicode form."""
    probe, other = disk_path(root, _PROBE), disk_path(root, _PROBE.swapcase())
    for _ in range(_TRIES):
        with contextlib.suppress(FileExistsError):  # of a run that was killed, or that is at it
            os.mkdir(probe, 0o700)  # noqa: PTH102
        try:
            before = os.lstat(probe)
            same = os.path.exists(other)  # noqa: PTH110
            after = os.lstat(probe)
        except FileNotFoundError:
            continue  # the other run has removed it: what was seen says nothing
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(probe)  # noqa: PTH106
        if same or (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            return same
    return True  # the careful answer: names that differ in case only are not overwritten
