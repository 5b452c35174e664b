"""Compare the bytes that came with the checksums that the service has of the object; pure.

An object has a CRC32C if its writer declared it, and always an MD5: of all bytes, or of the MD5
values of its parts with `-N` for N parts. No answer tells the size of those parts, so it
has to be found out (https://docs.oracle.com/iaas/Content/Object/Tasks/object-integrity.htm).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ocihaul.errors import ChecksumError
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.plan import MB, MIB

#: Part sizes in MiB that tools use by default or are round, the most usual first.
_USUAL = (128, 64, 100, 10, 50, 256, 512, 1024, 5, 8, 16, 20, 32, 2048, 4096)
#: The same in MB: SDKs take bytes, and round numbers are usual.
_USUAL_DECIMAL = (10, 100, 5, 8, 16, 20, 50, 128, 64, 256, 1000, 500, 25, 32, 200)
#: How much may be read for finding out a part size: bytes, and times the object.
_READING = 16 * 2**30
_READINGS = 4

_OF_PARTS = re.compile(r"([A-Za-z0-9+/]+=*)-([1-9][0-9]{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ObjectChecksums:
    """The checksums of an object by its headers; `parts` is the number in `md5_of_parts`."""

    crc32c: str | None = None
    md5: str | None = None
    md5_of_parts: str | None = None
    parts: int = 0

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "ObjectChecksums":
        """From the headers of HeadObject, in lower case."""
        of_parts = headers.get("opc-multipart-md5")
        match = _OF_PARTS.fullmatch(of_parts or "")
        return cls(
            crc32c=headers.get("opc-content-crc32c"),
            md5=headers.get("content-md5"),
            md5_of_parts=of_parts if match else None,
            parts=int(match.group(2)) if match else 0,
        )

    def block(self, size: int, hint: int | None) -> int | None:
        """How many bytes each MD5 computed on the way should cover; None: none is needed.

        `hint` is a part size to try first.
        """
        if self.crc32c is not None or not size:
            return None
        if self.md5_of_parts is not None:
            return next(iter(part_sizes(size, self.parts, hint)), None)
        return size if self.md5 is not None else None


def part_sizes(size: int, count: int, hint: int | None) -> Iterator[int]:
    """The part sizes that make `count` parts of `size` bytes, likeliest first; bytes.

    Whole MiB, as all tools have them, whole MB, and `hint`.
    """
    if count == 1:
        yield max(size, 1)
        return
    smallest, largest = _limits(size, count)
    usual = [hint, *(mib * MIB for mib in _USUAL), *(mb * MB for mb in _USUAL_DECIMAL)]
    every = (range(-(-smallest // unit) * unit, largest + 1, unit) for unit in (MIB, MB))
    tried = set()
    for one in (*usual, *chain.from_iterable(every)):
        if one is not None and smallest <= one <= largest and one not in tried:
            tried.add(one)
            yield one


def _limits(size: int, count: int) -> tuple[int, int]:
    """The smallest and the largest size that makes `count` parts (2 or more) of `size` bytes."""
    return -(-size // count), (size - 1) // (count - 1)


#: CRC32C and length of each range, in order.
Ranges = Sequence[tuple[bytes, int]]


class UnknownPartsError(ChecksumError):
    """No part size that was tried gives the object's MD5: damaged, or parts of an odd size."""


def check_provable(expected: ObjectChecksums, size: int, hint: int | None) -> None:
    """Raise UnknownPartsError when it is known before the first byte that nothing can be proved.

    That is so when the only checksum is the MD5 of parts, and no usual size makes so many of them.
    """
    if expected.crc32c is not None or expected.md5_of_parts is None or not size:
        return
    if next(part_sizes(size, expected.parts, hint), None) is not None:
        return
    smallest, largest = _limits(size, expected.parts)
    possible = f"they have {smallest} to {largest} bytes"
    raise UnknownPartsError(
        f"what comes could not be compared: the object was uploaded in {expected.parts} parts of "
        f"an odd size ({possible if smallest <= largest else 'no size makes so many'}), and its "
        "only checksum is made of theirs",
        hint=f"Nothing was fetched. {_NAME_IT}",
    )


def compare(
    expected: ObjectChecksums,
    size: int,
    ranges: Ranges,
    *,
    block: int | None,
    blocks: Iterable[bytes],
    hint: int | None,
    reread: Callable[[int], Sequence[bytes]],
) -> str | None:
    """The name of the checksum that proves the bytes, None when the service has none.

    `blocks` are the MD5 values that were taken on the way, of `block` bytes each; `reread` takes
    them again, for another size. Raises ChecksumError when the bytes are wrong, UnknownPartsError
    when they cannot be judged.
    """
    if not size:
        block, blocks = 0, (checksum.start(MD5).digest(),)
    if expected.crc32c is not None:
        _equal(CRC32C, checksum.whole(CRC32C, ranges), expected.crc32c)
        return CRC32C
    if expected.md5_of_parts is not None:
        _find(expected, size, block=block, blocks=blocks, hint=hint, reread=reread)
        return MD5
    if expected.md5 is None:
        return None
    (digest,) = tuple(blocks) if block == size else reread(size)
    _equal(MD5, checksum.encoded(digest), expected.md5)
    return MD5


def _equal(name: str, ours: str, theirs: str) -> None:
    if ours != theirs:
        raise ChecksumError(
            f"{name} checksum does not match [Local: {ours}] [Service: {theirs}]: what came is not "
            "the object",
            hint="Run the same command again; if it stays, check this machine's memory and disk, "
            "and the proxies on the way.",
        )


def of_parts(blocks: Iterable[bytes]) -> str:
    """The MD5 of MD5 values, as the service writes it."""
    return checksum.whole(MD5, ((digest, 0) for digest in blocks))


def _find(
    expected: ObjectChecksums,
    size: int,
    *,
    block: int | None,
    blocks: Iterable[bytes],
    hint: int | None,
    reread: Callable[[int], Sequence[bytes]],
) -> None:
    if block is not None and of_parts(blocks) == expected.md5_of_parts:
        return
    allowance = max(_READING, _READINGS * size)
    for candidate in part_sizes(size, expected.parts, hint):
        if candidate == block:
            continue
        if allowance < size:
            break
        allowance -= size
        if of_parts(reread(candidate)) == expected.md5_of_parts:
            return
    raise unknown_parts(expected)


def unknown_parts(expected: ObjectChecksums) -> UnknownPartsError:
    """No part size gives the object's MD5."""
    return UnknownPartsError(
        f"no usual part size gives the object's MD5 ({expected.md5_of_parts}): what came is "
        "damaged, or the object was uploaded in parts of an odd size",
        hint=f"{_NAME_IT} `restart` fetches it anew.",
    )


_NAME_IT = (
    "If you know the size of its parts, pass it as `part_size`, in bytes. "
    "`verify=False` takes the object as it is."
)
