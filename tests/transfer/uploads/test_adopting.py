"""The part size of an upload that somebody else has begun."""

import pytest

from ocihaul.errors import UsageError
from ocihaul.storage.types import PartSummary
from ocihaul.transfer.uploads.adopting import part_size_of
from tests.world import MIB


def parts(**sizes: int) -> list[PartSummary]:
    return [PartSummary(int(name[1:]), "e", "m", size) for name, size in sizes.items()]


@pytest.mark.parametrize(
    ("listed", "size", "given", "expected"),
    [
        ([], 500 * MIB, None, 128 * MIB),
        ([], 500 * MIB, 20 * MIB, 20 * MIB),
        ([], 2 * 2**40, None, 210 * MIB),
        (parts(p1=5 * MIB), 500 * MIB, None, 5 * MIB),
        (parts(p1=5 * MIB), 500 * MIB, 20 * MIB, 5 * MIB),
        (parts(p3=5 * MIB), 500 * MIB, None, 5 * MIB),
        (parts(p3=7), 20 * MIB + 7, None, 10 * MIB),
        (parts(p1=10 * MIB, p3=7), 20 * MIB + 7, None, 10 * MIB),
        (parts(p1=10 * MIB, p2=10 * MIB, p3=30 * MIB), 500 * MIB, None, 10 * MIB),
        (parts(p1=3), 3, None, 3),
    ],
)
def test_the_listed_parts_tell_it(
    listed: list[PartSummary], size: int, given: int | None, expected: int
) -> None:
    assert part_size_of(listed, size, given) == expected


def test_an_empty_file_has_nothing_to_go_on_with() -> None:
    with pytest.raises(UsageError, match="empty"):
        part_size_of([], 0, None)
