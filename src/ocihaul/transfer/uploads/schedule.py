"""How a stream is cut whose end nobody knows: small parts first, larger ones later; pure.

An object has at most 10,000 parts and 10 TiB. Equal parts would have to be 1049 MiB from the start
to get that far, although most streams end early and every part in flight is kept until the service
has it. So the parts grow: the k-th hundred of them (k = 0, 1, 2, …) is 16 + k²/3 MiB each, rounded
down to whole MiB.

    parts so far      100      500     1,000     2,000     3,000    5,000    10,000
    bytes so far  1.6 GiB  8.7 GiB  24.7 GiB   111 GiB   325 GiB  1.4 TiB  10.6 TiB
    part size      16 MiB   21 MiB    43 MiB   136 MiB   296 MiB  816 MiB  3283 MiB
"""

from dataclasses import dataclass

from ocihaul.errors import UsageError
from ocihaul.transfer.plan import (
    LARGEST_OBJECT,
    MIB,
    MOST_PARTS,
    check_parallel,
    check_part_size,
)

FIRST_PART_SIZE = 16 * MIB
#: So many parts in a row have the same size.
_STEP = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """The sizes of parts 1, 2, 3, …; all of `fixed` bytes, or growing where that is None."""

    fixed: int | None

    def part_size(self, number: int) -> int:
        """Bytes of part `number`; the last part of a stream has what is left."""
        if self.fixed is not None:
            return self.fixed
        hundred = (number - 1) // _STEP
        return FIRST_PART_SIZE + hundred * hundred // 3 * MIB

    @property
    def most(self) -> int:
        """The bytes that a stream can have."""
        if self.fixed is not None:
            return min(self.fixed * MOST_PARTS, LARGEST_OBJECT)
        return LARGEST_OBJECT


def plan_stream(*, part_size: int | None, expected_size: int | None, parallel: int) -> Schedule:
    """How to cut a stream; with an expected size the parts are equal and as small as will do.

    Raises UsageError when a documented limit is broken.
    """
    check_part_size(part_size)
    check_parallel(parallel)
    if part_size is None and expected_size is not None:
        smallest = -(-expected_size // MOST_PARTS)
        schedule = Schedule(max(FIRST_PART_SIZE, -(-smallest // MIB) * MIB))
    else:
        schedule = Schedule(part_size)
    if expected_size is not None and expected_size > schedule.most:
        raise UsageError(
            f"{expected_size} bytes are expected; {limit_text(schedule)}",
            hint="Leave --part-size away." if part_size else "Split it into several objects.",
        )
    return schedule


def limit_text(schedule: Schedule) -> str:
    """How far this schedule goes, in words."""
    if schedule.fixed is None or schedule.most == LARGEST_OBJECT:
        return "an object has at most 10 TiB"
    size = schedule.fixed / MIB
    return f"{MOST_PARTS} parts of {size:g} MiB hold {schedule.most} bytes"
