"""Lengths of time and sizes as people write them; pure."""

import re
from collections.abc import Mapping

from ocihaul.config.found import Found
from ocihaul.errors import UsageError

#: No length of time is longer than this: a hundred years of 365 days, seconds.
LONGEST = 36500 * 86400.0
#: No size is larger than this, nor a rate: 2 ** 60, an EiB.
LARGEST = 2.0**60

_SHOWN = 60

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40}


def duration(found: Found) -> float:
    """Seconds from `90`, `90s`, `15m`, `12h` or `1d`. Raises UsageError."""
    seconds = _number(found, _UNITS, "a length of time", "Write it as 90s, 15m, 12h or 1d.")
    if seconds > LONGEST:
        raise UsageError(
            f"{found.origin}: {_short(found)} (at most {LONGEST / 86400:.0f}d)",
            hint="Write it as 90s, 15m, 12h or 1d.",
        )
    return seconds


def size(found: Found) -> float:
    """Bytes from `1000`, `64k`, `50M`, `1.5G`, in steps of 1024. Raises UsageError."""
    count = _number(found, _SIZES, "a size", "Write it as 500k, 50M or 1.5G.")
    if count > LARGEST:
        raise UsageError(
            f"{found.origin}: {_short(found)} (at most {LARGEST / 2**40:.0f}T)",
            hint="Write it as 500k, 50M or 1.5G.",
        )
    return count


def whole_number(found: Found, least: int, most: int, what: str) -> int:
    """A whole number from `least` to `most`. Raises UsageError, which names the range."""
    text = found.value.strip()
    if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise UsageError(
            f"{found.origin}: {_short(found)} is not {what} ({least} to {most})",
            hint="Write it in digits.",
        )
    return int(text)


def _number(found: Found, units: Mapping[str, float], what: str, cure: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", found.value.strip().lower())
    if match is None or match[2] not in units:
        raise UsageError(f"{found.origin}: {_short(found)} is not {what}", hint=cure)
    return float(match[1]) * units[match[2]]


def _short(found: Found) -> str:
    """The value as an error shows it: a slip of the clipboard may be long."""
    return ascii(found.value if len(found.value) <= _SHOWN else found.value[:_SHOWN] + "…")
