import base64
import hashlib

import crc32c
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5, SHA256


def test_the_known_answer_of_crc32c() -> None:
    running = checksum.start(CRC32C)
    running.update(memoryview(b"123456789"))
    assert running.digest().hex() == "e3069283"
    assert checksum.encoded(running.digest()) == "4waSgw=="


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_crc32c_of_a_concatenation_combines(first: bytes, second: bytes) -> None:
    combined = checksum.combine_crc32c(crc32c.crc32c(first), crc32c.crc32c(second), len(second))
    assert combined == crc32c.crc32c(first + second)


def test_combining_reaches_ten_tebibytes() -> None:
    # Zeros after zeros: the CRC of n zero bytes from those of its halves.
    half = 5 * 2**40
    zeros = crc32c.crc32c(bytes(2**20))
    length = 2**20
    while length < half:
        zeros = checksum.combine_crc32c(zeros, zeros, length)
        length *= 2
    assert 0 <= zeros < 2**32


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=8))
def test_whole_object_values_are_the_services(parts: list[bytes]) -> None:
    crcs = [(crc32c.crc32c(part).to_bytes(4), len(part)) for part in parts]
    whole = crc32c.crc32c(b"".join(parts)).to_bytes(4)
    assert checksum.whole(CRC32C, crcs) == base64.b64encode(whole).decode()
    md5s = [(hashlib.md5(part).digest(), len(part)) for part in parts]
    outer = hashlib.md5(b"".join(digest for digest, _ in md5s)).digest()
    assert checksum.whole(MD5, md5s) == f"{base64.b64encode(outer).decode()}-{len(parts)}"


def test_header_names_are_the_services() -> None:
    assert checksum.content_header(MD5) == "opc-content-md5"
    assert checksum.multipart_header(CRC32C) == "opc-content-crc32c"
    assert checksum.multipart_header(SHA256) == "opc-multipart-sha256"


def test_differing_looks_only_at_what_both_have() -> None:
    assert checksum.differing({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) is None
    assert checksum.differing({"a": "1", "b": "2"}, {"b": "3"}) == "b"
