"""A value and where it was found."""

from typing import NamedTuple


class Found(NamedTuple):
    """A value and the place it came from, for errors."""

    value: str
    origin: str
