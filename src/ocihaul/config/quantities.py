"""Lengths of time and sizes as people write them; pure."""

import re
from collections.abc import Mapping

from ocihaul.config.found import Found
from ocihaul.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30, "t": 2.0**40}


def duration(found: Found) -> float:
    """Seconds from `90`, `90s`, `15m`, `12h` or `1d`."""
    return _number(found, _UNITS, "a length of time", "Write it as 90s, 15m, 12h or 1d.")


def size(found: Found) -> float:
    """Bytes from `1000`, `64k`, `50M`, `1.5G`, in steps of 1024."""
    return _number(found, _SIZES, "a size", "Write it as 500k, 50M or 1.5G.")


def _number(found: Found, units: Mapping[str, float], what: str, cure: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", found.value.strip().lower())
    if match is None or match[2] not in units:
        raise UsageError(f"{found.origin}: {found.value!r} is not {what}", hint=cure)
    return float(match[1]) * units[match[2]]
