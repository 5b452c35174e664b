"""How files and streams are cut into parts, and the documented limits; pure.

Limits: https://docs.oracle.com/iaas/Content/Object/Tasks/usingmultipartuploads.htm
"""

from dataclasses import dataclass

from ocihaul.errors import UsageError

MB = 10**6
MIB = 2**20
GIB = 2**30

#: The largest part that is chosen where the caller says nothing.
DEFAULT_PART_SIZE = 128 * MIB
#: A file has so many parts for each that goes at a time, where it is large enough: connections are
#: of unequal speed, and all wait for the last part of the slowest.
_WAVES = 4
#: The smallest part that is chosen where the caller says nothing, bytes: what the service advises.
_SMALLEST_CHOSEN = 10 * MIB
MOST_PARALLEL = 1000


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What the service takes, and the sizes that we choose within that; bytes.

    `default_part` is the largest that is chosen where the caller says nothing; `first_part` is that
    of a stream whose length is not known, of which so many in a row
    (`parts_of_a_size`) have the same size. Part sizes are raised in whole `unit`s.
    """

    smallest_part: int = MIB
    largest_part: int = 50 * GIB
    most_parts: int = 10_000
    largest_object: int = 10 * 1024 * GIB
    largest_put: int = 50 * GIB
    default_part: int = DEFAULT_PART_SIZE
    first_part: int = 16 * MIB
    parts_of_a_size: int = 100
    unit: int = MIB

    def fitting_part(self, size: int, least: int) -> int:
        """The part size for `size` bytes: `least`, or larger where the most parts would not do."""
        smallest = -(-size // self.most_parts)
        return max(least, -(-smallest // self.unit) * self.unit)

    def chosen_part(self, size: int, parallel: int) -> int:
        """The part size where the caller says nothing: some waves of parts, `parallel` at a time.

        Whole MiB, from 10 to 128 MiB.
        """
        wanted = -(-size // (_WAVES * max(parallel, 1) * MIB)) * MIB
        return min(max(wanted, _SMALLEST_CHOSEN), self.default_part)


#: The limits of requests that are not given others.
LIMITS = ServiceLimits()


def service_limits() -> ServiceLimits:
    """The limits of requests that are not given others."""
    return LIMITS


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


def plan_upload(
    size: int,
    *,
    part_size: int | None,
    multipart: bool,
    parallel: int,
    limits: ServiceLimits = LIMITS,
) -> Plan:
    """Cut `size` bytes by the rules of the official command line.

    One PutObject when the file is empty, not larger than a part, or `multipart` is False; else
    parts of `part_size` (None: `ServiceLimits.chosen_part`), made larger, in whole MiB, when 10,000
    of them would not do. Raises UsageError for a file that is too large.
    """
    if size > limits.largest_object:
        raise UsageError(
            f"the file has {size} bytes (an object has at most 10 TiB)",
            hint="Split it, for example into files of 5 TiB.",
        )
    chosen = part_size or limits.chosen_part(size, parallel)
    # Two connections pay from two parts on.
    least = chosen if part_size else min(2 * chosen - 1, limits.default_part)
    if multipart and size > least:
        return Plan(size, limits.fitting_part(size, chosen), multipart=True)
    if size > limits.largest_put:
        raise UsageError(
            f"the file has {size} bytes (without parts an object has at most 50 GiB)",
            hint="Leave out `multipart=False`.",
        )
    return Plan(size, size, multipart=False)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The sizes of parts 1, 2, 3, …; all of `fixed` bytes, or growing where that is None.

    An object has at most 10,000 parts and 10 TiB. Equal parts would have to be 1049 MiB from the
    start to get that far, although most streams end early and every part in flight is kept until
    the service has it. So the parts grow: the k-th hundred of them (k = 0, 1, 2, …) is 16 + k²/3
    MiB each, rounded down to whole MiB.

        parts so far      100      500     1,000     2,000     3,000    5,000    10,000
        bytes so far  1.6 GiB  8.7 GiB  24.7 GiB   111 GiB   325 GiB  1.4 TiB  10.6 TiB
        part size      16 MiB   21 MiB    43 MiB   136 MiB   296 MiB  816 MiB  3283 MiB
    """

    fixed: int | None
    limits: ServiceLimits = LIMITS

    def part_size(self, number: int) -> int:
        """Bytes of part `number`; the last part of a stream has what is left."""
        if self.fixed is not None:
            return self.fixed
        hundred = (number - 1) // self.limits.parts_of_a_size
        return self.limits.first_part + hundred * hundred // 3 * self.limits.unit

    @property
    def most(self) -> int:
        """The bytes that a stream can have."""
        largest = self.limits.largest_object
        return largest if self.fixed is None else min(self.fixed * self.limits.most_parts, largest)

    @property
    def limit_text(self) -> str:
        """How long a stream can be, in words."""
        if self.fixed is None or self.most == self.limits.largest_object:
            return "an object has at most 10 TiB"
        size = self.fixed / MIB
        return f"{self.limits.most_parts} parts of {size:g} MiB hold {self.most} bytes"


def plan_stream(
    *, part_size: int | None, expected_size: int | None, limits: ServiceLimits = LIMITS
) -> StreamPlan:
    """How to cut a stream; with an expected size the parts are equal and as small as will do.

    Raises UsageError when so many bytes do not fit.
    """
    if part_size is None and expected_size is not None:
        part_size_used: int | None = limits.fitting_part(expected_size, limits.first_part)
    else:
        part_size_used = part_size
    plan = StreamPlan(part_size_used, limits)
    if expected_size is not None and expected_size > plan.most:
        raise UsageError(
            f"`expected_size`: {expected_size} bytes ({plan.limit_text})",
            hint="Leave out `part_size`." if part_size else "Split it into several objects.",
        )
    return plan


def validate_part_size(part_size: int | None, limits: ServiceLimits) -> None:
    """Raise UsageError for a part size that the service does not take."""
    least, most = limits.smallest_part, limits.largest_part
    if part_size is not None and not is_within(part_size, least, most):
        given = size_text(part_size) if type(part_size) is int else f"{part_size!r} bytes"
        raise UsageError(f"`part_size`: {given} ({size_text(least)} to {size_text(most)})")


def validate_parallel(parallel: int) -> None:
    """Raise UsageError for a number of connections that is not allowed."""
    if not is_within(parallel, 1, MOST_PARALLEL):
        raise UsageError(f"`parallel`: {parallel!r} (1 to {MOST_PARALLEL})")


def size_text(size: int) -> str:
    """A round size in words, any other in bytes."""
    for unit, name in ((1024 * GIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def is_within(number: object, least: int, most: int) -> bool:
    """Whether this is a whole number in that range: callers of the library may give anything."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most
