"""Where a downloaded file goes: a name in a directory that is held open.

Everything is done relative to that directory, so renaming a directory on the way, or putting a
symbolic link in its place, redirects nothing.
"""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ocihaul.errors import TargetError
from ocihaul.filesystem import FileSystem, open_existing, open_own, sync_directory

#: Only names are looked up in it, which needs no right to read it.
_DIRECTORY = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)


def open_directory(
    name: str | bytes | Path, *, directory: int | None = None, follow: bool = False
) -> int:
    """A descriptor to look up names with; a symbolic link only if `follow`. Raises OSError."""
    return os.open(name, _DIRECTORY | (0 if follow else os.O_NOFOLLOW), dir_fd=directory)


@dataclass(frozen=True, slots=True)
class Place:
    """A file to be: its name in the open `directory`, and its `path`, without symbolic links.

    `mtime` is the time that the file gets (epoch seconds; None: that of its end). The names that
    the methods take are those of files beside it.
    """

    directory: int
    path: Path
    files: FileSystem
    mtime: int | None = None

    @classmethod
    def at(cls, path: Path, files: FileSystem) -> Self:
        """The place of `path`, which has no symbolic links in it. Raises TargetError."""
        try:
            return cls(open_directory(path.parent, follow=True), path, files)
        except OSError as error:
            raise TargetError(
                f"{path} cannot be written: {error.strerror} ({path.parent})",
                hint="Check that the directory is still there, and the rights on it.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self.directory)

    def open(self, name: str, flags: int = 0) -> tuple[int, bool]:
        """A file of ours alone, to read and write, and whether it is new. Raises OSError."""
        return open_own(name, os.O_RDWR | flags, directory=self.directory)

    def open_existing(self, name: str) -> int | None:
        """A file of ours alone, to read; None where there is none. Raises OSError."""
        return open_existing(name, os.O_RDONLY, directory=self.directory)

    def status(self, name: str | None = None) -> os.stat_result | None:
        """What is called so (None: the file itself), not through links; None for nothing."""
        try:
            return os.stat(name or self.path.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file beside it, as far as that can be."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.directory)

    def is_named(self, descriptor: int, name: str) -> bool:
        """Whether the name is that of the open file."""
        there = self.status(name)
        return there is not None and os.path.samestat(os.fstat(descriptor), there)

    def check_directory(self) -> None:
        """Raise OSError unless the path still leads to the directory, without links."""
        parent = str(self.path.parent)
        there = os.stat(parent)  # noqa: PTH116  beside fstat
        same = os.path.samestat(os.fstat(self.directory), there)
        if not same or os.path.realpath(parent) != parent:
            raise FileNotFoundError(errno.ENOENT, f"{parent} has been moved or replaced")

    def put(self, descriptor: int, name: str) -> None:
        """Give the whole file `name`, open as `descriptor`, this place, time and permissions.

        It is private until then. A file that is there is replaced, and its permissions stay.
        Raises OSError.
        """
        if self.mtime is not None:
            self.files.set_mtime(descriptor, self.mtime)
        before = self.status()
        replaces = before is not None and stat.S_ISREG(before.st_mode)
        mode = before.st_mode & 0o777 if before and replaces else self.files.new_mode
        self.files.set_mode(descriptor, mode)
        os.replace(name, self.path.name, src_dir_fd=self.directory, dst_dir_fd=self.directory)

    def sync(self) -> None:
        """Make the name as durable as the bytes. Raises OSError."""
        sync_directory(".", directory=self.directory)
