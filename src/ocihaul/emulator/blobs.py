"""Bodies: taken in a chunk at a time, hashed on the way, kept in files and read back."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import crc32c

from ocihaul.emulator.settings import MIB

ALGORITHMS = ("CRC32C", "SHA256", "SHA384")

#: The reflected Castagnoli polynomial.
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True, slots=True)
class Checksums:
    """What was computed over a body; None where it was not asked for."""

    crc32c: int
    md5: bytes | None = None
    sha256: bytes | None = None
    sha384: bytes | None = None

    def value(self, algorithm: str) -> str | None:
        """Base64, as in the opc-content-* headers; CRC32C big-endian."""
        if algorithm == "CRC32C":
            return b64(self.crc32c.to_bytes(4, "big"))
        digest = {"MD5": self.md5, "SHA256": self.sha256, "SHA384": self.sha384}[algorithm]
        return None if digest is None else b64(digest)


def b64(data: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(data).decode()


def digest_of_digests(algorithm: str, digests: Sequence[bytes | None]) -> str | None:
    """`base64(hash(d1 + d2 + …))-N`, or None when one of them is missing."""
    known = [digest for digest in digests if digest is not None]
    if len(known) != len(digests):
        return None
    whole = hashlib.new(algorithm, b"".join(known), usedforsecurity=False).digest()
    return f"{b64(whole)}-{len(known)}"


def combine_crc32c(first: int, second: int, second_size: int) -> int:
    """The CRC32C of A followed by B, from those of A and B: A's is moved over B's zeros."""
    return _multiply(_zeros(second_size), first) ^ second


def _multiply(a: int, b: int) -> int:
    """a·b modulo the polynomial, over GF(2), in reflected bit order."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@cache
def _zeros(size: int) -> int:
    """x^(8·size) modulo the polynomial, by repeated squaring."""
    result = 1 << 31  # x^0
    square = 1 << 23  # x^8: one byte
    while size:
        if size & 1:
            result = _multiply(square, result)
        square = _multiply(square, square)
        size >>= 1
    return result


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of bytes in a file; `path` None: the bytes were discarded."""

    path: Path | None
    size: int


class Intake:
    """Takes one body in. `close` ends it; then `checksums` and `segment` are final."""

    def __init__(self, path: Path | None, *, md5: bool, algorithms: frozenset[str]) -> None:
        self._path = path
        self._file = None if path is None else path.open("xb", buffering=0)
        self._crc32c = 0
        self._hashes: dict[str, Any] = {}
        if md5:
            self._hashes["md5"] = hashlib.md5(usedforsecurity=False)
        for name in ("SHA256", "SHA384"):
            if name in algorithms:
                self._hashes[name.lower()] = hashlib.new(name)
        self.size = 0

    def write(self, chunk: memoryview) -> None:
        """Take the next bytes; the buffer may be reused afterwards."""
        self._crc32c = crc32c.crc32c(chunk, self._crc32c)
        for hasher in self._hashes.values():
            hasher.update(chunk)
        if self._file is not None:
            left = chunk
            while left:
                left = left[self._file.write(left) :]
        self.size += len(chunk)

    def close(self) -> None:
        """No more bytes."""
        if self._file is not None:
            self._file.close()

    def drop(self) -> None:
        """Forget the body: it was refused or never arrived whole."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def checksums(self) -> Checksums:
        """Over all bytes so far."""
        digests = {name: hasher.digest() for name, hasher in self._hashes.items()}
        return Checksums(crc32c=self._crc32c, **digests)

    @property
    def segment(self) -> Segment:
        """Where the bytes are."""
        return Segment(self._path, self.size)


class Blob:
    """The bytes of an object: segments in order.

    Files go when every object that has them is retired and no reader is left.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)
        self.size = sum(segment.size for segment in segments)
        self._lock = threading.Lock()  # guards the two below
        self._readers = 0
        self._owners = 1

    @property
    def discarded(self) -> bool:
        """Whether there is something that cannot be read back."""
        return any(segment.path is None and segment.size for segment in self.segments)

    def share(self) -> "Blob":
        """The same bytes for one more object."""
        with self._lock:
            self._owners += 1
        return self

    def retire(self) -> None:
        """The object is gone or replaced."""
        with self._lock:
            self._owners -= 1
            self._sweep()

    def open(self) -> Callable[[], None]:
        """Keep the files until the returned function is called."""
        with self._lock:
            self._readers += 1
        return self._close

    def _close(self) -> None:
        with self._lock:
            self._readers -= 1
            self._sweep()

    def _sweep(self) -> None:
        if self._owners <= 0 and not self._readers:
            for segment in self.segments:
                if segment.path is not None:
                    segment.path.unlink(missing_ok=True)

    def rot(self, at: int) -> bool:
        """Turn one bit of byte `at` over in its file; False when no file has that byte."""
        bit = 1 << at % 8
        for segment in self.segments:
            if at < segment.size:
                return segment.path is not None and _turn_over(segment.path, at, bit)
            at -= segment.size
        return False

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start`, in pieces of at most 1 MiB; discarded ones are zeros."""
        for segment in self.segments:
            if length <= 0:
                return
            if start >= segment.size:
                start -= segment.size
                continue
            wanted = min(length, segment.size - start)
            yield from _read(segment, start, wanted)
            start = 0
            length -= wanted


def _turn_over(path: Path, at: int, bit: int) -> bool:
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ bit]))
    return True


def _read(segment: Segment, start: int, length: int) -> Iterator[bytes]:
    if segment.path is None:
        while length:
            piece = min(MIB, length)
            yield bytes(piece)
            length -= piece
        return
    with segment.path.open("rb", buffering=0) as file:
        file.seek(start)
        while length:
            data = file.read(min(MIB, length))
            if not data:
                raise EOFError(f"{segment.path} is shorter than it was")
            yield data
            length -= len(data)
