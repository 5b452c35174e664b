"""The directory that gets the objects: nothing is ever written outside of it.

Object names come from others. Paths with ".." never get here (see `names`); what is left is a
symbolic link below the directory that leads out of it, and two names for one file.
"""

import os
import tempfile
import threading
from pathlib import Path

from ocihaul.errors import TargetError, UsageError
from ocihaul.trees.names import disk_path, folded, from_disk, on_disk

#: Directories that are known to be inside; enough for a tree in the order of its names.
_MOST_KNOWN = 4096


def check_root(root: str, *, flag: str) -> None:
    """Raise UsageError unless `root` is a directory to write to, or can become one."""
    if os.path.exists(root):  # noqa: PTH110
        sound = os.path.isdir(root) and os.access(root, os.W_OK)  # noqa: PTH112
        if not sound:
            raise UsageError(
                f"{flag}: {root} is no directory that can be written to",
                hint="Correct the path, or the rights on it.",
            )


class Destination:
    """A directory and what is below it; paths are relative, with "/". Thread-safe."""

    def __init__(self, root: str, *, make: bool = True) -> None:
        """Raises TargetError when the directory cannot be made."""
        self.root = root
        self._real = os.path.realpath(root)
        self._lock = threading.Lock()  # guards _known
        self._known: set[str] = set()
        self._folds = False
        if make:
            try:
                os.makedirs(root, exist_ok=True)  # noqa: PTH103
                self._folds = _ignores_case(root)
            except OSError as error:
                raise TargetError(f"{root} cannot be made or written: {error.strerror}") from error

    def key(self, path: str) -> str:
        """What a path shares with every other path of the same file here."""
        return folded(path) if self._folds else path

    def full(self, path: str) -> str:
        """The path as the system takes it."""
        return disk_path(self.root, path)

    def status(self, path: str) -> os.stat_result | None:
        """What is there, through links; None for nothing. Raises TargetError."""
        try:
            return os.stat(self.full(path))  # noqa: PTH116
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None  # making the directory will tell
        except OSError as error:
            raise TargetError(f"{self.full(path)} cannot be looked at: {error.strerror}") from error

    def place(self, path: str) -> Path:
        """Where to write the file; the directories above it are there then.

        Raises TargetError when that is outside, or below something that is no directory.
        """
        full = self.full(path)
        self.directory(os.path.dirname(path))  # noqa: PTH120
        if not os.path.islink(full):  # noqa: PTH114
            return Path(full)
        real = os.path.realpath(full)
        self._check_inside(full, real)
        return Path(real)

    def directory(self, path: str) -> None:
        """Make a directory and those above it. Raises TargetError as `place` does."""
        path = path.removesuffix("/")
        with self._lock:
            if path in self._known:
                return
        at = ""
        for segment in path.split("/") if path else ():
            at = f"{at}/{segment}" if at else segment
            self._make(at)
        with self._lock:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(path)

    def _make(self, path: str) -> None:
        full = self.full(path)
        try:
            os.mkdir(full)  # noqa: PTH102
        except FileExistsError:
            if os.path.islink(full):  # noqa: PTH114
                self._check_inside(full, os.path.realpath(full))
            if not os.path.isdir(full):  # noqa: PTH112
                raise TargetError(
                    f"{full} is a file, so nothing can be below it",
                    hint="Rename it, or download to another directory.",
                ) from None
        except OSError as error:
            raise TargetError(f"{full} cannot be made: {error.strerror}") from error

    def _check_inside(self, full: str, real: str) -> None:
        if os.path.commonpath([self._real, real]) != self._real:
            raise TargetError(
                f"{full} is a symbolic link that leads out of {self.root}",
                hint="Remove the link, or download to where it leads.",
            )


def _ignores_case(root: str) -> bool:
    """Whether the file system takes names for the same that differ in case or Unicode form."""
    base = os.fsencode(root)
    with tempfile.TemporaryDirectory(prefix=on_disk(".ocihaul-É-"), dir=base) as probe:
        changed = from_disk(os.path.basename(probe)).swapcase()  # noqa: PTH119
        return os.path.exists(disk_path(root, changed))  # noqa: PTH110
