"""Checksums: in the service's notation, running, combined, of whole objects; and ours compared.

The service writes a checksum as base64 of its big-endian bytes. CRC32C values of parts combine
into that of the whole object; MD5 and SHA give a hash of hashes with `-N` for N parts
(https://docs.oracle.com/iaas/Content/Object/Tasks/object-integrity.htm). `Integrity` compares what
the service has with what was sent, part by part; `check_whole` compares the object.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener, Notice

CRC32C = "CRC32C"
MD5 = "MD5"
SHA256 = "SHA256"
SHA384 = "SHA384"

#: How long the digests are, bytes.
SIZES = {CRC32C: 4, MD5: 16, SHA256: 32, SHA384: 48}

_CONTENT_HEADERS = {name: f"opc-content-{name.lower()}" for name in SIZES}

#: What `opc-checksum-algorithm` may say.
DECLARABLE = (CRC32C, SHA256, SHA384)


class Running(Protocol):
    """A checksum in the making."""

    def update(self, data: memoryview, /) -> object:
        """Take in the next bytes."""

    def digest(self) -> bytes:
        """The value so far."""
        ...


@cache
def _crc32c() -> Callable[..., int]:
    from crc32c import crc32c  # noqa: PLC0415  start-up time: a sixth of it

    return crc32c


class _RunningCrc32c:
    def __init__(self) -> None:
        self._append = _crc32c()
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = self._append(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4)


def start(algorithm: str) -> Running:
    """A running checksum of one of the four algorithms."""
    if algorithm == CRC32C:
        return _RunningCrc32c()
    if algorithm == MD5:
        return hashlib.md5(usedforsecurity=False)
    return hashlib.new(algorithm.lower())


def digest(algorithm: str, data: bytes | bytearray) -> bytes:
    """The checksum of bytes in memory."""
    if algorithm == CRC32C:
        return _crc32c()(data).to_bytes(4)
    running = start(algorithm)
    running.update(memoryview(data))
    return running.digest()


def content_header(algorithm: str) -> str:
    """The header with the checksum of the bytes of one request, or of a whole object."""
    return _CONTENT_HEADERS[algorithm]


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


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the service has: its size, etag and our own digests of what was sent.

    `request_id` is the service's name for the request that brought it, where known.
    """

    size: int
    etag: str
    digests: Mapping[str, bytes]
    request_id: str | None = None


class Integrity:
    """Which checksums an upload computes and compares.

    `declared` is told to the service (`opc-checksum-algorithm`), which then computes it too. A
    service that does not give the value back is checked by MD5, which it always computes; from
    then on MD5 is computed while sending, and once by a second read for a part already sent.
    """

    def __init__(self, *, declared: str | None, want_md5: bool, listener: Listener) -> None:
        self.declared = declared or CRC32C
        self._listener = listener
        self._lock = threading.Lock()  # guards _algorithms and _fallen_back
        self._fallen_back = False
        # CRC32C costs next to nothing and proves the whole object, whatever is declared.
        self._algorithms = frozenset({self.declared, CRC32C} | ({MD5} if want_md5 else set()))

    @property
    def algorithms(self) -> frozenset[str]:
        """What to compute while sending."""
        return self._algorithms

    def request_headers(self) -> dict[str, str]:
        """The headers that declare the algorithm; MD5 is not declared, as it is always computed."""
        return {} if self.declared == MD5 else {"opc-checksum-algorithm": self.declared}

    def check_part(
        self,
        digests: Mapping[str, bytes],
        answer: Mapping[str, str],
        reread: Callable[[str], bytes],
    ) -> Mapping[str, bytes]:
        """The digests of a part that the service has right; ChecksumError otherwise.

        `reread` computes a digest from the source, for what was not computed while sending.
        """
        if content_header(self.declared) not in answer and MD5 not in digests:
            self._fall_back()
            digests = {**digests, MD5: reread(MD5)}
        ours = {content_header(name): encoded(d) for name, d in digests.items()}
        wrong = differing(ours, answer)
        if wrong is not None:
            raise ChecksumError(f"{wrong} is {answer[wrong]}, but what was sent has {ours[wrong]}")
        if not any(name in answer for name in ours):
            raise ChecksumError("the service returned no checksum at all")
        return digests

    def whole_headers(self, parts: Sequence[SentPart]) -> dict[str, str]:
        """The headers that the multipart object must have, as far as its parts tell them."""
        return {
            multipart_header(name): whole(name, ((part.digests[name], part.size) for part in parts))
            for name in self._algorithms | {MD5}
            if all(name in part.digests for part in parts)
        }

    def _fall_back(self) -> None:
        with self._lock:
            first = not self._fallen_back
            self._fallen_back = True
            self._algorithms |= {MD5}
        if first:
            self._listener(
                Notice(f"The service does not return {self.declared} values: checking by MD5.")
            )


def check_whole(expected: Mapping[str, str], answer: Mapping[str, str], name: str) -> bool:
    """Compare the committed object with what was sent.

    True when at least one checksum of the whole was compared, ChecksumError when one differs.
    """
    wrong = differing(expected, answer)
    if wrong is not None:
        kind = "md5" if wrong.endswith("md5") else wrong
        raise ChecksumError(
            f"{kind} checksum does not match [Local: {expected[wrong]}] "
            f"[Service: {answer[wrong]}]: the object {name!r} is not what was sent",
            hint="The object is there but wrong: upload it again with `existing=IfExists.REPLACE`.",
        )
    return any(header in answer for header in expected)
