"""What is routine waits in the first seconds: a transfer that is over by then says none of it.

Where nobody looks at a terminal, stderr of a moment's transfer is what the official CLI writes
there, so scripts can read it. What goes on for longer is a log, from its first line. Its owner
takes care of locking; times are monotonic seconds.
"""

import math
from collections.abc import Sequence

#: Where nobody looks at a terminal, a transfer that is over so soon needs no lines, seconds.
SHORT = 2.0


class QuietStart:
    """Lines that wait. `until` 0.0 lets everything pass, `math.inf` never lets routine pass."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._held: list[str] = []
        self._official: list[str] = []
        self._said = False

    @property
    def is_forever(self) -> bool:
        """Whether nothing routine is ever said."""
        return self._until == math.inf

    def is_on(self, at: float) -> bool:
        """Whether what is routine still waits."""
        return at < self._until

    def said(self) -> None:
        """Note that something else was said: how it ended may not be missing then."""
        self._said = True

    def is_silent(self, at: float) -> bool:
        """Whether it is over so soon, and with so little, that its end is not said either."""
        return self.is_on(at) and not self._said

    def lines(self, lines: list[str], at: float, *, routine: bool) -> list[str]:
        """The lines to say now."""
        if self.is_on(at) and (routine or not lines):
            self._held += lines
            return []
        return lines if self.is_forever else [*self.end(), *lines]

    def hold_official(self, lines: Sequence[str]) -> None:
        """Keep the official CLI's own lines for `official`; the same wait with time and object."""
        self._official += lines

    def official(self) -> list[str]:
        """The official CLI's own lines, for a transfer that has ended while this was on."""
        held, self._official = self._official, []
        return held

    def end(self) -> list[str]:
        """Let everything pass from now on; returns what has waited."""
        held, self._held, self._until = self._held, [], 0.0
        self._official.clear()
        return held
