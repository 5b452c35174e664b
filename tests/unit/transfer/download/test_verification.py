"""Whether what came is the object, by whatever checksum the service has of it."""

import base64
import hashlib
import random

import crc32c
import pytest

from ocihaul.errors import ChecksumError
from ocihaul.transfer.download.context import Digests
from ocihaul.transfer.download.verification import (
    ObjectChecksums,
    UnknownPartsError,
    check_provable,
    compare,
    part_sizes,
)

MIB = 2**20


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def md5_of_parts(data: bytes, size: int) -> str:
    parts = [md5(data[at : at + size]) for at in range(0, max(len(data), 1), size)]
    return f"{b64(md5(b''.join(parts)))}-{len(parts)}"


def judged(headers: dict[str, str], data: bytes, *, hint: int | None = None) -> str | None:
    """The verdict on `data`, hashed as it would be on its way."""
    promise = ObjectChecksums.of(headers)
    block = promise.block(len(data), hint)
    taken = Digests(block)
    taken.update(memoryview(data))

    def reread(size: int) -> tuple[bytes, ...]:
        again = Digests(size)
        again.update(memoryview(data))
        return again.blocks()

    return compare(
        promise,
        len(data),
        [(taken.crc32c, len(data))],
        block=block,
        blocks=taken.blocks(),
        hint=hint,
        reread=reread,
    )


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 * MIB)])
def test_each_kind_of_checksum(data: bytes) -> None:
    crc = b64(crc32c.crc32c(data).to_bytes(4))
    assert judged({"opc-content-crc32c": crc, "content-md5": "not looked at"}, data) == "CRC32C"
    assert judged({"content-md5": b64(md5(data))}, data) == "MD5"
    for size in (MIB, 2 * MIB, 5 * MIB):
        assert judged({"opc-multipart-md5": md5_of_parts(data, size)}, data) == "MD5"
    assert judged({}, data) is None


def test_ten_thousand_flipped_bits_are_all_seen() -> None:
    chance = random.Random(4)  # noqa: S311  the places of the bits
    data = bytearray(chance.randbytes(4096))
    kinds = [
        {"opc-content-crc32c": b64(crc32c.crc32c(data).to_bytes(4))},
        {"content-md5": b64(md5(bytes(data)))},
        {"opc-multipart-md5": md5_of_parts(bytes(data), 1000)},
    ]
    for number in range(10_000):
        bit = chance.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ChecksumError):
            judged(kinds[number % 3], bytes(data), hint=1000)
        data[bit // 8] ^= 1 << bit % 8
    for headers in kinds:
        assert judged(headers, bytes(data), hint=1000)


def test_a_wrong_checksum_says_both_values() -> None:
    with pytest.raises(ChecksumError, match=r"\[Local: .+\] \[Service: AAAA\]"):
        judged({"content-md5": "AAAA"}, b"x")


def test_parts_of_an_odd_size_need_a_hint() -> None:
    data = random.Random(1).randbytes(5 * MIB)  # noqa: S311  not a secret
    headers = {"opc-multipart-md5": md5_of_parts(data, 1_750_000)}
    with pytest.raises(UnknownPartsError, match="odd size"):
        judged(headers, data)
    assert judged(headers, data, hint=1_750_000) == "MD5"


@pytest.mark.parametrize("size", [1, MIB, 10 * MIB + 1, 1463 * 128 * MIB - 5, 10 * 2**40])
@pytest.mark.parametrize("part", [MIB, 10 * MIB, 100 * MIB, 128 * MIB, 1049 * MIB])
def test_the_part_size_is_among_those_that_are_tried(size: int, part: int) -> None:
    count = -(-size // part)
    sizes = list(part_sizes(size, count, None))
    assert all(-(-size // one) == count for one in sizes)
    assert len(sizes) == len(set(sizes))
    assert part in sizes or count == 1
    if part == 128 * MIB and count > 1:
        assert sizes[0] == part, "the most usual one first"
    if count > 1:
        assert next(part_sizes(size, count, part)) == part, "the hint before all"


@pytest.mark.parametrize("size", [10_000_001, 25 * 10**6 + 5, 180 * 10**9 + 7, 5 * 10**12])
@pytest.mark.parametrize(
    "part", [5_000_000, 8_000_000, 10_000_000, 16_000_000, 33_000_000, 10**8, 10**9]
)
def test_finding_e07_decimal_part_sizes_are_tried(size: int, part: int) -> None:
    count = -(-size // part)
    assert part in part_sizes(size, count, None) or count == 1


def test_finding_e07_parts_of_decimal_sizes_prove_the_bytes() -> None:
    data = random.Random(7).randbytes(11_000_000)  # noqa: S311  not a secret
    for part in (2_000_000, 3_000_000, 5_000_000, 10_000_000):
        assert judged({"opc-multipart-md5": md5_of_parts(data, part)}, data) == "MD5"


def test_finding_e07_what_cannot_be_proved_is_known_beforehand() -> None:
    size, part = 100 * 10**6, 1_234_567
    promise = ObjectChecksums.of({"opc-multipart-md5": f"abc-{-(-size // part)}"})
    with pytest.raises(UnknownPartsError, match="1219513 to 1234567 bytes") as caught:
        check_provable(promise, size, None)
    assert "`part_size`, in bytes" in str(caught.value.hint)
    with pytest.raises(UnknownPartsError):
        check_provable(promise, size, 10 * MIB)
    check_provable(promise, size, part)
    check_provable(ObjectChecksums.of({"opc-multipart-md5": "abc-10"}), size, None)
    check_provable(ObjectChecksums.of({"opc-multipart-md5": "abc-1"}), size, None)
    check_provable(ObjectChecksums.of({"content-md5": "abc"}), size, None)
    check_provable(ObjectChecksums(), size, None)
    known = {"opc-multipart-md5": f"abc-{-(-size // part)}", "opc-content-crc32c": "abc"}
    check_provable(ObjectChecksums.of(known), size, None)
    with pytest.raises(UnknownPartsError, match="no size makes so many"):
        check_provable(ObjectChecksums.of({"opc-multipart-md5": "abc-9"}), 3, None)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-3",
        "abc",
        "abc=-",
        "abc=-0",
        "abc=-03",
        "abc=-3-3",
        "a b=-3",
        "abc=-²",
        "abc=-" + "9" * 5000,
    ],
)
def test_rubbish_in_the_header_promises_nothing(value: str) -> None:
    assert ObjectChecksums.of({"opc-multipart-md5": value}).md5_of_parts is None


def test_a_count_of_parts_that_cannot_be_is_no_proof() -> None:
    with pytest.raises(ChecksumError):
        judged({"opc-multipart-md5": md5_of_parts(b"abc", 3).replace("-1", "-7")}, b"abc")
