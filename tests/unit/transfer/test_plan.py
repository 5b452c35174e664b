import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.errors import UsageError
from ocihaul.transfer.plan import (
    GIB,
    MIB,
    Plan,
    ServiceLimits,
    plan_upload,
    validate_parallel,
    validate_part_size,
)


def plan(size: int, *, part_size: int | None = None, multipart: bool = True) -> Plan:
    return plan_upload(size, part_size=part_size, multipart=multipart, parallel=10)


@pytest.mark.parametrize(
    ("size", "part_size", "multipart", "parts"),
    [
        (0, None, True, 1),
        (1, None, True, 1),
        (20 * MIB - 1, None, True, 1),
        (20 * MIB, None, True, 2),
        (128 * MIB, None, True, 13),
        (1000 * MIB, None, True, 40),
        (100 * 1024 * MIB, None, True, 800),
        (20 * MIB, 20 * MIB, True, 1),  # official compares bytes with MiB and goes multipart
        (20 * MIB + 1, 20 * MIB, True, 2),
        (50 * GIB, None, False, 1),
        (1463 * 128 * MIB, 128 * MIB, True, 1463),
    ],
)
def test_weakness_12_stock_rules(
    size: int, part_size: int | None, multipart: bool, parts: int
) -> None:
    result = plan(size, part_size=part_size, multipart=multipart)
    assert result.part_count == parts
    assert result.multipart == (parts > 1)


def test_finding_d02_the_size_of_parts_follows_that_of_the_file() -> None:
    # Ten parts advance side by side, and what is begun of them is lost at a stop.
    begun = {mib: 10 * plan(mib * MIB).part_size for mib in (300, 1280, 10_240)}
    assert begun[300] == 100 * MIB
    assert begun[1280] < 0.3 * 1280 * MIB, "it was all of it once"
    assert begun[10_240] <= 10 * 128 * MIB


def test_part_size_grows_when_ten_thousand_would_not_do() -> None:
    result = plan(10 * 1024 * GIB, part_size=10 * MIB)
    assert result.part_size == 1049 * MIB
    assert result.part_count <= 10_000


@given(st.integers(1, 10 * 1024 * GIB), st.integers(10, 51200))
def test_parts_cover_the_file_exactly(size: int, part_mib: int) -> None:
    result = plan(size, part_size=part_mib * MIB)
    if not result.multipart:
        return
    first, last = result.part(1), result.part(result.part_count)
    assert first[0] == 0
    assert last[0] + last[1] == size
    assert 0 < last[1] <= result.part_size
    assert result.part_count <= 10_000


@pytest.mark.parametrize("mib", [0, 60000, -1])
def test_weakness_12_part_sizes_outside_the_limits_name_the_limits(mib: int) -> None:
    with pytest.raises(UsageError, match="1 MiB to 50 GiB"):
        validate_part_size(mib * MIB, ServiceLimits())


def test_more_than_ten_tebibytes_is_refused() -> None:
    with pytest.raises(UsageError, match="10 TiB"):
        plan(10 * 1024 * GIB + 1)


def test_a_single_put_has_its_own_limit() -> None:
    with pytest.raises(UsageError, match="without parts"):
        plan(50 * GIB + 1, multipart=False)


@pytest.mark.parametrize("parallel", [0, 1001])
def test_parallel_limits(parallel: int) -> None:
    with pytest.raises(UsageError, match="1 to 1000"):
        validate_parallel(parallel)
