"""How fast a person lets us be: one rate, or a rate for each time of the day; pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from ocihaul.config.found import Found
from ocihaul.config.quantities import size
from ocihaul.errors import UsageError

_CURE = "Write it as 200M (bytes per second), or by time of day: '08:00,50M 18:00,200M 23:00,off'."


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Rates by the minute of the day from which they hold, ascending; None is no limit.

    Before the first one the last one holds: it began yesterday.
    """

    steps: tuple[tuple[int, float | None], ...]

    def at(self, moment: datetime) -> float | None:
        """Bytes per second at this (local) time; None for no limit."""
        minute = moment.hour * 60 + moment.minute
        begun = [rate for start, rate in self.steps if start <= minute]
        return begun[-1] if begun else self.steps[-1][1]


def parse_bandwidth(found: Found) -> Bandwidth:
    """What `--bandwidth` says. Raises UsageError."""
    words = found.value.split()
    if len(words) == 1 and "," not in words[0]:
        return Bandwidth(((0, _rate(found, words[0])),))
    steps: dict[int, float | None] = {}
    for word in words:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d),(\S+)", word)
        if match is None:
            raise UsageError(f"{found.origin}: {word!r} is not a time and a rate", hint=_CURE)
        minute = int(match[1]) * 60 + int(match[2])
        if minute in steps:
            raise UsageError(f"{found.origin}: {match[1]}:{match[2]} is there twice", hint=_CURE)
        steps[minute] = _rate(found, match[3])
    if not steps:
        raise UsageError(f"{found.origin} is empty", hint=_CURE)
    return Bandwidth(tuple(sorted(steps.items())))


def _rate(found: Found, text: str) -> float | None:
    if text.lower() == "off":
        return None
    try:
        rate = size(Found(text, found.origin))
    except UsageError as error:
        raise UsageError(error.message, hint=_CURE) from None
    if rate < 1:
        raise UsageError(f"{found.origin}: a rate of {text} would never end", hint=_CURE)
    return rate
