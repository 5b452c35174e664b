"""How a stream is cut: what is promised holds at every edge, for every length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.errors import UsageError
from ocihaul.transfer.plan import (
    MIB,
    ServiceLimits,
    StreamPlan,
    plan_stream,
    validate_part_size,
)

TIB = 2**40
LIMITS = ServiceLimits()
LARGEST_OBJECT, MOST_PARTS = LIMITS.largest_object, LIMITS.most_parts
FIRST_PART_SIZE = LIMITS.first_part
SMALLEST_PART, LARGEST_PART = LIMITS.smallest_part, LIMITS.largest_part


def growing() -> list[int]:
    schedule = StreamPlan(None)
    return [schedule.part_size(number) for number in range(1, MOST_PARTS + 1)]


def test_weakness_29_ten_tebibytes_of_unknown_length_fit_in_ten_thousand_parts() -> None:
    assert sum(growing()) >= LARGEST_OBJECT == StreamPlan(None).most


def test_it_begins_small_and_never_shrinks_and_every_part_is_allowed() -> None:
    sizes = growing()
    assert sizes[0] == FIRST_PART_SIZE == 16 * MIB
    assert sizes == sorted(sizes)
    assert sizes[0] >= SMALLEST_PART
    assert sizes[-1] <= LARGEST_PART


def test_the_table_in_the_documentation_is_right() -> None:
    sizes = growing()
    told = {100: 16, 500: 21, 1000: 43, 2000: 136, 3000: 296, 5000: 816, 10_000: 3283}
    assert {count: sizes[count - 1] // MIB for count in told} == told
    sums = {count: sum(sizes[:count]) for count in told}
    gibibytes = [round(sums[count] / 2**30, 1) for count in (100, 500, 1000, 2000, 3000)]
    assert gibibytes == [1.6, 8.7, 24.7, 111.2, 324.7]
    assert [round(sums[count] / TIB, 1) for count in (5000, 10_000)] == [1.4, 10.6]


@given(st.integers(1, LARGEST_OBJECT))
def test_an_expected_size_makes_equal_parts_as_small_as_will_do(size: int) -> None:
    schedule = plan_stream(part_size=None, expected_size=size)
    part = schedule.part_size(1)
    assert part == schedule.part_size(MOST_PARTS)
    assert part % MIB == 0
    assert part * MOST_PARTS >= size
    assert part == FIRST_PART_SIZE or (part - MIB) * MOST_PARTS < size


def test_a_part_size_of_ones_own_has_an_end_and_says_it() -> None:
    schedule = plan_stream(part_size=10 * MIB, expected_size=None)
    assert schedule.most == 10 * MIB * MOST_PARTS
    with pytest.raises(UsageError, match="10000 parts of 10 MiB hold 104857600000 bytes"):
        plan_stream(part_size=10 * MIB, expected_size=schedule.most + 1)
    plan_stream(part_size=10 * MIB, expected_size=schedule.most)


@pytest.mark.parametrize("part_size", [SMALLEST_PART - 1, LARGEST_PART + 1])
def test_part_sizes_outside_the_limits_are_refused(part_size: int) -> None:
    with pytest.raises(UsageError, match="1 MiB to 50 GiB"):
        validate_part_size(part_size, LIMITS)


def test_a_stream_longer_than_the_largest_object_is_refused() -> None:
    with pytest.raises(UsageError, match="10 TiB"):
        plan_stream(part_size=None, expected_size=LARGEST_OBJECT + 1)
