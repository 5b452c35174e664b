"""Checksums in the service's notation, running, combined, and of whole objects; pure.

The service writes a checksum as base64 of its big-endian bytes. CRC32C values of parts combine
into that of the whole object; MD5 and SHA give a hash of hashes with `-N` for N parts
(https://docs.oracle.com/iaas/Content/Object/Tasks/object-integrity.htm).
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Protocol

import crc32c

CRC32C = "CRC32C"
MD5 = "MD5"
SHA256 = "SHA256"
SHA384 = "SHA384"

#: How long the digests are, bytes.
SIZES = {CRC32C: 4, MD5: 16, SHA256: 32, SHA384: 48}

#: What `opc-checksum-algorithm` may say.
DECLARABLE = (CRC32C, SHA256, SHA384)


class Running(Protocol):
    """A checksum in the making."""

    def update(self, data: memoryview, /) -> object:
        """Take in the next bytes."""

    def digest(self) -> bytes:
        """The value so far."""
        ...


class _RunningCrc32c:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = crc32c.crc32c(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4)


def start(algorithm: str) -> Running:
    """A running checksum of one of the four algorithms."""
    if algorithm == CRC32C:
        return _RunningCrc32c()
    if algorithm == MD5:
        return hashlib.md5(usedforsecurity=False)
    return hashlib.new(algorithm.lower())


def digest(algorithm: str, data: bytes) -> bytes:
    """The checksum of bytes in memory."""
    if algorithm == CRC32C:
        return crc32c.crc32c(data).to_bytes(4)
    running = start(algorithm)
    running.update(memoryview(data))
    return running.digest()


def content_header(algorithm: str) -> str:
    """The header with the checksum of the bytes of one request, or of a whole object."""
    return f"opc-content-{algorithm.lower()}"


def multipart_header(algorithm: str) -> str:
    """The header with the checksum of a whole multipart object."""
    return (
        content_header(algorithm) if algorithm == CRC32C else f"opc-multipart-{algorithm.lower()}"
    )


def encoded(digest: bytes) -> str:
    """A digest as the service writes it."""
    return base64.b64encode(digest).decode()


def whole(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> str:
    """The checksum of a multipart object from the digests and sizes of its parts, in order."""
    if algorithm == CRC32C:
        value = 0
        for digest, size in parts:
            value = combine_crc32c(value, int.from_bytes(digest), size)
        return encoded(value.to_bytes(4))
    running = start(algorithm)
    count = 0
    for digest, _ in parts:
        running.update(memoryview(digest))
        count += 1
    return f"{encoded(running.digest())}-{count}"


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """The first header whose value both have and that differs."""
    return next((name for name, value in ours.items() if theirs.get(name, value) != value), None)


def combine_crc32c(first: int, second: int, second_length: int) -> int:
    """The CRC32C of A + B from those of A and B, where B is `second_length` bytes long.

    Appending n zero bytes to A is a linear map on its CRC over GF(2); the map for n is built by
    squaring the one for a single zero bit.
    """
    return _apply(_zeros_operator(second_length), first) ^ second


_POLYNOMIAL = 0x82F63B78  # Castagnoli, bit-reversed

#: A map on 32 bits: the images of the single bits, lowest first.
_Operator = tuple[int, ...]


def _apply(operator: _Operator, bits: int) -> int:
    result = 0
    for image in operator:
        if bits & 1:
            result ^= image
        bits >>= 1
    return result


def _compose(outer: _Operator, inner: _Operator) -> _Operator:
    return tuple(_apply(outer, image) for image in inner)


@lru_cache(maxsize=16)  # the parts of an upload have two lengths: all but the last, and the last
def _zeros_operator(length: int) -> _Operator:
    power: _Operator = (_POLYNOMIAL, *(1 << bit for bit in range(31)))  # one zero bit
    for _ in range(3):
        power = _compose(power, power)  # eight: one zero byte
    result: _Operator = tuple(1 << bit for bit in range(32))
    while length:
        if length & 1:
            result = _compose(power, result)
        power = _compose(power, power)
        length >>= 1
    return result
