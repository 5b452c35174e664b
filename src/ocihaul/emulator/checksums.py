"""Checksums as the service computes and writes them; pure. CRC32C values can be combined."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

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
