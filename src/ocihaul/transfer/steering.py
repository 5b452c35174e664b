"""How many parts at a time, when nobody gave a number; pure.

It begins with a few and doubles while that pays: each step has to bring a tenth more bytes per
second, or it is taken back. So a line that others use, too, is not crowded with connections that
bring nothing. A 429 or 503 halves the number, and for a while nothing is tried.
"""

from dataclasses import dataclass, replace

#: Connections to begin with.
FIRST = 4
#: Never more than this, however fast the line is.
MOST = 64
#: What a step up has to bring.
_GAIN = 1.1
#: Windows to wait after a step that did not pay, and after the service asked for less.
_REST = 10
_REST_AFTER_THROTTLING = 20


@dataclass(frozen=True, slots=True)
class Steering:
    """The number now, and what led to it. `rate` is what `kept` brought, bytes per second.

    While `target` is above `kept`, a step is being tried. `cautious`: the service has asked for
    less once, so steps are of one.
    """

    target: int = FIRST
    kept: int = FIRST
    rate: float = 0.0
    rest: int = 0
    cautious: bool = False

    def after(self, rate: float, *, throttled: bool) -> "Steering":
        """The next state, after one window with this rate."""
        if throttled:
            fewer = max(1, self.target // 2)
            return Steering(fewer, fewer, 0.0, _REST_AFTER_THROTTLING, cautious=True)
        if self.rest:
            return replace(self, rate=rate, rest=self.rest - 1)
        if self.target > self.kept and rate < self.rate * _GAIN:
            return replace(self, target=self.kept, rest=_REST)
        # It paid, or this is the first window on this level.
        step = 1 if self.cautious else self.target
        return replace(self, kept=self.target, target=min(MOST, self.target + step), rate=rate)
