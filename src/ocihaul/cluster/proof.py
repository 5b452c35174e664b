"""How a worker shows that it sees the same files as the driver."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import crc32c

from ocihaul.errors import LocalFileError

#: What a proof begins with, and how it is called.
_MARK = "ocihaul: a proof for workers: "
_NAME = re.compile(r"\.[0-9a-f]{16}\.ocihaul", re.ASCII)
#: A proof that old is of a driver that was killed, seconds; and none is larger, bytes.
_OLD = 2 * 86400.0
_SMALL = 100
#: Of both ends of a file, bytes.
_END = 2**20


@dataclass(frozen=True, slots=True)
class FileProof:
    """A file by its size (bytes), its time, and the CRC32C of its first and its last MiB."""

    path: str
    size: int
    mtime_ns: int
    ends: tuple[int, int]

    @classmethod
    def of(cls, path: str) -> "FileProof":
        """The file as this process sees it. Raises OSError."""
        with Path(path).open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            first = crc32c.crc32c(os.pread(file.fileno(), _END, 0))
            last = crc32c.crc32c(os.pread(file.fileno(), _END, max(0, status.st_size - _END)))
        return cls(path, status.st_size, status.st_mtime_ns, (first, last))

    def difference(self) -> str | None:
        """What this process sees instead; None where it is the same."""
        try:
            here = FileProof.of(self.path)
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        if here.size != self.size:
            return f"{self.path} has {here.size} bytes there, {self.size} here"
        if here.mtime_ns != self.mtime_ns:
            return f"{self.path} has another modification time there"
        if here.ends != self.ends:
            return f"{self.path} has other bytes there"
        return None


@dataclass(frozen=True, slots=True)
class DirectoryProof:
    """A directory that gets files: a file in it with a text that nobody can guess.

    Its name is one of those that unfinished downloads have, so that nothing else takes note of it.
    """

    directory: str
    name: str
    text: str

    def difference(self) -> str | None:
        """Why this process does not write to the same directory; None where it does."""
        path = Path(self.directory, self.name)
        try:
            if path.read_text(encoding="ascii") != self.text:
                return f"{self.directory} is another directory there"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return f"{self.directory} is another directory there: {path.name}: {reason}"
        if not os.access(self.directory, os.W_OK):
            return f"{self.directory} cannot be written there"
        return None


@contextmanager
def proved(directory: str) -> Iterator[DirectoryProof]:
    """Put a proof into the directory for as long as the context lasts. Raises LocalFileError."""
    _remove_old(directory)
    name = f".{secrets.token_hex(8)}.ocihaul"
    proof = DirectoryProof(directory, name, _MARK + secrets.token_hex(16))
    path = Path(directory, name)
    try:
        path.write_text(proof.text, encoding="ascii")
    except OSError as error:
        raise LocalFileError(f"{directory} cannot be written: {error.strerror}") from error
    try:
        yield proof
    finally:
        with suppress(OSError):
            path.unlink()


def _remove_old(directory: str) -> None:
    """Remove what drivers have left that were killed."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if not _NAME.fullmatch(entry.name):
                continue
            with suppress(OSError, ValueError):
                status = entry.stat(follow_symlinks=False)
                old = time.time() - status.st_mtime > _OLD and status.st_size < _SMALL
                if old and Path(entry.path).read_text(encoding="ascii").startswith(_MARK):
                    Path(entry.path).unlink()


def sees_directory(path: str) -> str | None:
    """Why a directory with files cannot be read by this process; None where it can."""
    try:
        with os.scandir(path):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
