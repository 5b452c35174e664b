"""The emulator's own CRC32C arithmetic."""

import crc32c
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.emulator.objects import combine_crc32c


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_combined_values_are_those_of_the_whole(first: bytes, second: bytes) -> None:
    combined = combine_crc32c(crc32c.crc32c(first), crc32c.crc32c(second), len(second))
    assert combined == crc32c.crc32c(first + second)


def test_a_known_value() -> None:
    assert crc32c.crc32c(b"123456789") == 0xE3069283
    half = combine_crc32c(crc32c.crc32c(b"12345"), crc32c.crc32c(b"6789"), 4)
    assert half == 0xE3069283
