"""How a file is cut into parts, and the documented limits; pure.

Limits: https://docs.oracle.com/iaas/Content/Object/Tasks/usingmultipartuploads.htm
"""

from dataclasses import dataclass

from ocihaul.errors import UsageError

MB = 10**6
MIB = 2**20
GIB = 2**30

#: The largest part that is chosen where the caller says nothing.
DEFAULT_PART_SIZE = 128 * MIB
SMALLEST_PART = 10 * MIB
#: A file has so many parts for each that goes at a time, where it is large enough: connections are
#: of unequal speed, and the last part of the slowest is what all wait for.
WAVES = 4
LARGEST_PART = 50 * GIB
MOST_PARTS = 10_000
LARGEST_OBJECT = 10 * 1024 * GIB
LARGEST_PUT = 50 * GIB
MOST_PARALLEL = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """`multipart` False means one PutObject; then `part_size` is the whole file."""

    size: int
    part_size: int
    multipart: bool

    @property
    def part_count(self) -> int:
        """How many requests carry the bytes; an empty file takes one."""
        return max(-(-self.size // self.part_size), 1) if self.part_size else 1

    def part(self, number: int) -> tuple[int, int]:
        """Offset and length of part `number`, counted from 1; bytes."""
        offset = (number - 1) * self.part_size
        return offset, min(self.part_size, self.size - offset)


def plan_upload(size: int, *, part_size: int | None, multipart: bool, parallel: int) -> Plan:
    """Cut `size` bytes by the stock CLI's rules.

    One PutObject when the file is empty, not larger than a part, or `multipart` is False; else
    parts of `part_size` (None: what `chosen_part_size` says), made larger, in whole MiB, when
    10,000 of them would not do. Raises UsageError when a documented limit is broken.
    """
    check_part_size(part_size)
    check_parallel(parallel)
    if size > LARGEST_OBJECT:
        raise UsageError(
            f"the file has {size} bytes; an object has at most 10 TiB",
            hint="Split it, for example with: split --bytes=5T",
        )
    chosen = part_size or chosen_part_size(size, parallel)
    least = chosen if part_size else 2 * chosen - 1
    if multipart and size > min(least, DEFAULT_PART_SIZE):
        smallest = -(-size // MOST_PARTS)
        return Plan(size, max(chosen, -(-smallest // MIB) * MIB), multipart=True)
    if size > LARGEST_PUT:
        raise UsageError(
            f"the file has {size} bytes; without multipart an object has at most 50 GiB",
            hint="Leave out --no-multipart.",
        )
    return Plan(size, size, multipart=False)


def chosen_part_size(size: int, parallel: int) -> int:
    """Bytes, in whole MiB, from 10 to 128 MiB: for some waves of parts, so many at a time."""
    wished = -(-size // (WAVES * parallel * MIB)) * MIB
    return min(max(wished, SMALLEST_PART), DEFAULT_PART_SIZE)


def check_part_size(part_size: int | None) -> None:
    """Raise UsageError for a part size that the service does not take."""
    if part_size is not None and not is_within(part_size, SMALLEST_PART, LARGEST_PART):
        raise UsageError(
            f"part size: {_mib(part_size)} is outside the service's limits "
            f"({SMALLEST_PART // MIB} to {LARGEST_PART // MIB} MiB)",
            hint="A number without a unit is MiB for --part-size, and bytes in Python.",
        )


def part_size_text(part_size: int) -> str:
    """A part size as --part-size takes it: MiB, or bytes with their unit."""
    return f"{part_size}B" if part_size % MIB else str(part_size // MIB)


def check_parallel(parallel: int) -> None:
    """Raise UsageError for a number of parts in flight that cannot be."""
    if not is_within(parallel, 1, MOST_PARALLEL):
        raise UsageError(
            f"{parallel} parts at a time cannot be",
            hint=f"--parallel-upload-count is 1 to {MOST_PARALLEL}.",
        )


def is_within(number: object, least: int, most: int) -> bool:
    """Whether this is a whole number in that range: callers of the library may give anything."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def _mib(size: object) -> str:
    return f"{size // MIB} MiB" if isinstance(size, int) and size % MIB == 0 else f"{size!r} bytes"
