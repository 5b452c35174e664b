"""Which bytes are fetched, and in which ranges."""

import pytest

from ocihaul.errors import UsageError
from ocihaul.transfer.download.request import plan_download, validate_options, wanted_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-10", (2, 11)),
        ("bytes=2-", (2, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-1000", (99, 100)),
        (" bytes=1-2 ", (1, 3)),
    ],
)
def test_ranges_as_http_has_them(text: str | None, expected: tuple[int, int]) -> None:
    assert wanted_bytes(text, 100) == expected


@pytest.mark.parametrize(
    "text",
    [
        "bytes=100-",
        "bytes=-0",
        "bytes=0-" + "9" * 5000,
        "bytes=5-4",
        "bytes=-",
        "bytes=",
        "1-2",
        "bytes=1-2,4-5",
        "bytes=²-",
    ],
)
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="`byte_range`"):
        wanted_bytes(text, 100)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 19, 20, 21, 30, 31, 1000])
@pytest.mark.parametrize("start", [0, 7])
def test_ranges_cover_every_byte_once(size: int, start: int) -> None:
    plan = plan_download(
        (start, start + size), part_size=10, threshold=0, multipart=True, block=None
    )
    at = 0
    for number in range(1, plan.part_count + 1):
        offset, length = plan.part(number)
        assert offset == at
        assert 0 < length <= 10
        at += length
    assert at == plan.size == size


@pytest.mark.parametrize(
    ("size", "block", "part_size", "kept"),
    [
        (1000, None, 128, None),
        (1000, 10, 120, 10),  # whole parts of the object
        (1000, 128, 128, 128),
        (1000, 300, 300, 300),  # larger ones, as long as it is bearable
        (9000, 600, 128, None),  # too large: read again instead
        (1000, 1000, 128, None),  # the MD5 of all of it, which no range has
    ],
)
def test_ranges_follow_the_parts_of_the_object(
    size: int, block: int | None, part_size: int, kept: int | None
) -> None:
    plan = plan_download((0, size), part_size=128, threshold=0, multipart=True, block=block)
    assert (plan.part_size, plan.block) == (part_size, kept)


@pytest.mark.parametrize(
    ("size", "threshold", "multipart", "count"),
    [(100, 100, True, 1), (101, 100, True, 11), (101, 100, False, 1), (10, 0, True, 1)],
)
def test_one_piece_or_many(size: int, threshold: int, multipart: bool, count: int) -> None:
    plan = plan_download(
        (0, size), part_size=10, threshold=threshold, multipart=multipart, block=None
    )
    assert plan.part_count == count


@pytest.mark.parametrize(("part_size", "parallel"), [(0, 1), (-1, 1), (None, 0), (None, 1001)])
def test_numbers_that_cannot_be(part_size: int | None, parallel: int) -> None:
    with pytest.raises(UsageError):
        validate_options(part_size=part_size, parallel=parallel)
