"""The file that a download makes: beside its target until it is whole, then in its place.

Its checkpoint says which ranges are in the file, as lines of JSON beside it. A line is written when
a range is in the file, and now and then while it comes. It is believed only as far as the file has
those bytes: after a power failure a line may be there, and the bytes it speaks of not. It never
holds a token, a key or a URL.
"""

import contextlib
import errno
import json
import os
import shutil
import stat
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from ocihaul.documents import read_json, read_object
from ocihaul.errors import LocalFileError, UsageError
from ocihaul.events import Listener, Notice
from ocihaul.filesystem import FileSystem, open_existing, open_own, preallocate, sync_directory
from ocihaul.transfer.download.request import RangePlan
from ocihaul.transfer.plan import MOST_PARALLEL

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
        """The place of `path`, which has no symbolic links in it. Raises LocalFileError."""
        try:
            return cls(open_directory(path.parent, follow=True), path, files)
        except OSError as error:
            raise LocalFileError(
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


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def resolved(path: Path) -> Path:
    """The file that `path` means, through symbolic links. Raises UsageError for what is no file.

    The links themselves stay: what they point to is replaced.
    """
    try:
        real = path.resolve()
        if real.is_dir():
            raise UsageError(
                f"{path} is a directory",
                hint="Name the file in it; many objects come with: ocihaul os object bulk-download",
            )
        if not real.parent.is_dir():
            raise UsageError(
                f"{real.parent} is no directory", hint="Make it, or name another file."
            )
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before 3.13
        raise UsageError(
            f"{path} cannot be looked at: {error}",
            hint="Check the rights on the directories above it, and its symbolic links.",
        ) from error
    return real


def is_special(path: Path) -> bool:
    """Whether there is something at `path` that bytes go through: a pipe, a device."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def opened(path: Path) -> BinaryIO:
    """A pipe or a device, to be written in order. Raises LocalFileError."""
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise LocalFileError(
            f"{path} cannot be written: {error.strerror}",
            hint="Check the name and the rights on it.",
        ) from error


class LocalFile:
    """A temporary file beside its target. Writes are positional, so threads share it.

    The target is not touched before `complete`. `is_new` says that nothing was there to go on
    with.
    """

    def __init__(self, place: Place, temporary: str) -> None:
        """Make the temporary file, or open the one that is there. Raises LocalFileError."""
        self._place = place
        self._target = place.path
        self._temporary = temporary
        try:
            descriptor, self.is_new = place.open(temporary)
        except OSError as error:
            raise LocalFileError(
                f"{self._target} cannot be written: {error.strerror} ({self._target.parent})",
                hint="The file is made beside it first: check the rights on that directory.",
            ) from error
        self._file: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    @property
    def target(self) -> Path:
        """Where the file will be."""
        return self._target

    @property
    def temporary(self) -> str:
        """What it is called beside that until then."""
        return self._temporary

    def sync(self) -> None:
        """Have on disk what was written. Raises LocalFileError."""
        try:
            self._place.files.sync(self._file.fileno())
        except OSError as error:
            raise self._broken("written", error) from error

    def reserve(self, size: int, *, keep: bool) -> None:
        """Take the space for `size` bytes, so that a full disk is known now. Raises LocalFileError.

        What is in the file stays if `keep` says so.
        """
        try:
            if not keep:
                self._file.truncate(0)
            disk = shutil.disk_usage(self._file.fileno())
            # Some file systems in user space tell nothing of it: not even a size.
            if disk.total and disk.free < size - _taken(os.fstat(self._file.fileno())):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            preallocate(self._file.fileno(), size)
            self._file.truncate(size)
        except OSError as error:
            if not keep:
                self.drop()
            raise self._no_room(size, error, keep=keep) from error

    def _no_room(self, size: int, error: OSError, *, keep: bool) -> LocalFileError:
        full = error.errno in _FULL
        what = f"has no room for {size} bytes" if full else "cannot be written"
        cure = "Make room" if full else "Check the disk"
        hint = f"Nothing was fetched. {cure}, or name a file on another disk."
        if keep:
            hint = (
                f"Nothing more was fetched. {cure}, then run the same command again: it goes on "
                "with what is there."
            )
        return LocalFileError(
            f"{self._target.parent} {what}: {error.strerror}", hint=hint, resumable=keep
        )

    def write(self, data: memoryview, offset: int) -> None:
        """Raises LocalFileError."""
        try:
            while data:
                count = self._write_some(data, offset)
                data, offset = data[count:], offset + count
        except OSError as error:
            raise self._broken("written", error) from error

    def _write_some(self, data: memoryview, offset: int) -> int:
        return os.pwrite(self._file.fileno(), data, offset)

    def read_into(self, view: memoryview, offset: int) -> bool:
        """Fill `view`; False when the file ends before that. Raises LocalFileError."""
        try:
            while view:
                count = os.preadv(self._file.fileno(), [view], offset)
                if not count:
                    return False
                view, offset = view[count:], offset + count
        except OSError as error:
            raise self._broken("read back", error) from error
        return True

    def complete(self) -> None:
        """Put the file in its target's place, on disk when this returns. Raises LocalFileError."""
        place, descriptor = self._place, self._file.fileno()
        try:
            place.files.sync(descriptor)
            self._check_name()
            place.put(descriptor, self._temporary)
            place.sync()
        except OSError as error:
            raise self._broken("put in place", error) from error

    def _check_name(self) -> None:
        """Raise OSError unless the names are still those of the file with the bytes in it."""
        self._place.check_directory()
        if not self._place.is_named(self._file.fileno(), self._temporary):
            raise FileNotFoundError(errno.ENOENT, f"{self._temporary} has been replaced")

    def drop(self) -> None:
        """Remove the file: its bytes are of no use."""
        self._place.remove(self._temporary)

    def _broken(self, what: str, error: OSError) -> LocalFileError:
        full = error.errno in _FULL
        return LocalFileError(
            f"{self._target} cannot be {what}: {error.strerror}",
            hint=f"{'Make room' if full else 'Check the disk'}, then run the same command again: "
            "it goes on with what is there.",
            resumable=True,
        )


def _taken(status: os.stat_result) -> int:
    """The bytes on disk that a file has already."""
    return status.st_blocks * 512


_VERSION = 1
#: The smallest ranges are of a MiB, the largest objects of 10 TiB.
_MOST_RANGES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class FinishedRange:
    """A range that is in the file: the CRC32C of its bytes, and the MD5 of each block of it."""

    crc32c: bytes
    blocks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BegunRange:
    """A range of which so many bytes, from its start, are in the file; and their CRC32C."""

    length: int
    crc32c: bytes


class DownloadCheckpoint:
    """The finished ranges of one download, and how far the others are. Thread-safe.

    A checkpoint that cannot be written costs the resumption, not the download.
    """

    def __init__(self, place: Place, name: str, listener: Listener) -> None:
        self._place = place
        self._name = name
        self._listener = listener
        self._lock = threading.Lock()  # guards the two below
        self._broken = False
        self._descriptor: int | None = None

    def load(
        self, etag: str | None, size: int
    ) -> tuple[RangePlan, dict[int, FinishedRange], dict[int, BegunRange]]:
        """The plan of an earlier run of the same object, and its finished and begun ranges.

        Raises LookupError when there is none, or it was another object.
        """
        try:
            lines = self._lines()
            head = read_object(lines[0])
            if [head[key] for key in ("version", "etag", "size")] != [_VERSION, etag, size]:
                raise LookupError("it was another object")
            plan = RangePlan(**head["plan"])
            numbers = [
                plan.start,
                plan.end,
                plan.part_size,
                plan.block or plan.part_size,
                plan.workers + 1,
            ]
            sound = all(type(each) is int for each in numbers) and plan.block != 0
            sound = sound and 0 <= plan.start <= plan.end <= size and min(numbers[2:]) > 0
            # Before the ranges are cut, as that may take as much memory as there are.
            sound = sound and plan.workers <= MOST_PARALLEL
            sound = sound and plan.size <= plan.part_size * _MOST_RANGES
            if not (sound and plan.part_count <= _MOST_RANGES):
                raise ValueError("the plan is not sound")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LookupError("nothing to go on with") from error
        finished: dict[int, FinishedRange] = {}
        begun: dict[int, BegunRange] = {}
        for line in lines[1:]:
            # The last one may be cut; the others may hold anything.
            with contextlib.suppress(ValueError, TypeError):
                number, crc32c, rest = read_json(line)
                if type(number) is not int or not 1 <= number <= plan.part_count:
                    continue
                if type(rest) is not int:
                    finished[number] = FinishedRange(
                        bytes.fromhex(crc32c), tuple(bytes.fromhex(block) for block in rest)
                    )
                elif 0 < rest < plan.part(number)[1]:
                    begun[number] = BegunRange(rest, bytes.fromhex(crc32c))
        return plan, finished, begun

    def _lines(self) -> list[str]:
        """What is there. Raises FileNotFoundError, also where only another user's file is."""
        descriptor = self._place.open_existing(self._name)
        if descriptor is None:
            raise FileNotFoundError(self._name)
        with os.fdopen(descriptor, encoding="ascii", errors="replace", newline="") as file:
            return file.read().split("\n")

    def resume(self) -> None:
        """Append to what is there, on a new line: the last one may be cut."""
        self._open(keep=True)
        self._write("\n")

    def begin(self, etag: str | None, size: int, plan: RangePlan) -> None:
        """Begin anew with this object and plan."""
        self._open(keep=False)
        head = {"version": _VERSION, "etag": etag, "size": size, "plan": asdict(plan)}
        self._write(json.dumps(head) + "\n")

    def record(self, number: int, finished: FinishedRange) -> None:
        """Note a range that is in the file."""
        line: list[Any] = [number, finished.crc32c.hex(), [each.hex() for each in finished.blocks]]
        self._write(json.dumps(line) + "\n")

    def record_begun(self, number: int, begun: BegunRange) -> None:
        """Note how much of a range is in the file."""
        self._write(json.dumps([number, begun.crc32c.hex(), begun.length]) + "\n")

    def forget(self) -> None:
        """Remove the checkpoint: the download has ended."""
        self.close()
        self._place.remove(self._name)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self, *, keep: bool) -> None:
        self.close()
        try:
            self._descriptor, _ = self._place.open(self._name, os.O_APPEND)
            if not keep:
                os.ftruncate(self._descriptor, 0)
        except OSError as error:
            self._give_up(error)

    def _write(self, text: str) -> None:
        with self._lock:
            if self._descriptor is None or self._broken:
                return
            try:
                line = text.encode("ascii")
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        self._listener(Notice(f"From here on nothing can be remembered: {error}."))
