"""Whether a body moves so slowly that it is better asked for on a new connection; pure.

A connection may trickle for ever, a byte now and then, and no timeout between bytes ends it. What
is slow is told by comparison, because a slow line is no reason to begin anew:

* With others beside it: it has moved less than a twentieth of what each of them has on average,
  in two windows in a row, each of at least 10 s and so long that its fair share would have been
  4 MiB. Where all are equally slow (the line, `--bandwidth`, a service under load), none is behind.
  One window may lie across the moment when all became slow. Where the system tells exactly what
  has arrived, half of the window and a quarter of that share are enough.
* Silent, with others beside it: nothing at all has moved for 5 s, and nothing was heard from the
  other side, while others went on. TCP has sent the same bytes four times by then. What would have
  to be sent again is worth a longer wait: a quarter of the time that it takes.
* Alone: it has moved less than 1 KiB/s over 30 s (less still where `--bandwidth` allows less than
  ten times that). A download, whose bytes are kept, is also compared with what it brought before,
  or others just before it: a fiftieth of that. An upload is not, as it would have to be sent again.

And it has to pay: to go on must take twice as long as to begin anew at the rate of the others.
"""

from dataclasses import dataclass
from enum import Enum

#: The shortest window with others beside, and alone, seconds.
WINDOW = 10.0
ALONE = 30.0
#: So many windows in a row have to show that it is behind the others.
IN_A_ROW = 2
#: Silence beside others that go on, seconds, and what these have to move meanwhile, bytes.
SILENCE = 5.0
GOING_ON = 256 * 1024
#: A fair share below this proves nothing, bytes: so much may wait in the buffers on the way.
GRAIN = 4 * 2**20
#: How many times slower than the others, and than before, is far behind.
BEHIND_OTHERS = 20
BEHIND_PAST = 50
#: Alone, this is always too slow, bytes per second.
FLOOR = 1024
#: How many times one call may be moved to a new connection: a service that is truly slow ends well.
MOST_REPLACEMENTS = 3


class Verdict(Enum):
    """What one look says."""

    TOO_EARLY = "too early"
    MOVING = "moving"
    BEHIND_THE_OTHERS = "behind the others"
    BEHIND_ITS_PAST = "behind its past"
    BELOW_THE_FLOOR = "below the floor"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Look:
    """One body over one window. Sizes are bytes, times seconds, rates bytes per second.

    `moved` of it passed, `left` are still to come, `again` is what a new connection would have to
    move. `others_moved` passed over other connections, which were at it for `others_seconds`,
    summed up. `past` is the rate to compare with when it is alone, None for none; `limit` what all
    together are allowed, None for no limit. `exact`: these are bytes that have arrived, whatever
    buffers hold. It has been `silent` for so many seconds, 0 where that is not known, in which
    `others_meanwhile` passed over other connections, its first moment left out.
    """

    seconds: float
    moved: int
    left: int
    again: int
    others_seconds: float
    others_moved: int
    past: float | None = None
    limit: float | None = None
    exact: bool = False
    silent: float = 0.0
    others_meanwhile: int = 0

    @property
    def rate(self) -> float:
        """Of this body."""
        return self.moved / self.seconds if self.seconds else 0.0

    @property
    def accompanied(self) -> bool:
        """Whether others were moving for at least half of the window."""
        return self.others_seconds >= self.seconds / 2 and self.others_seconds > 0

    @property
    def share(self) -> float:
        """What each of the others has got."""
        return self.others_moved / self.others_seconds if self.others_seconds else 0.0


def judge(look: Look) -> Verdict:
    """What the window says; nothing but TOO_EARLY and MOVING lets the body go on."""
    if _is_silent(look):
        return Verdict.SILENT
    if look.accompanied:
        share = look.share
        window, grain = (WINDOW / 2, GRAIN / 4) if look.exact else (WINDOW, GRAIN)
        if look.seconds < window or share * look.seconds < grain:
            return Verdict.TOO_EARLY
        if look.rate * BEHIND_OTHERS < share and _pays(look, share):
            return Verdict.BEHIND_THE_OTHERS
        return Verdict.MOVING
    if look.seconds < ALONE:
        return Verdict.TOO_EARLY
    floor = FLOOR if look.limit is None else min(FLOOR, look.limit / 10)
    if look.rate < floor:
        return Verdict.BELOW_THE_FLOOR
    keeps = look.again <= look.left
    if keeps and look.past is not None and look.rate * BEHIND_PAST < look.past:
        return Verdict.BEHIND_ITS_PAST
    return Verdict.MOVING


def _is_silent(look: Look) -> bool:
    if look.silent < SILENCE or look.others_meanwhile < GOING_ON or not look.left:
        return False
    twice = max(0, look.again - look.left)
    return 4 * look.silent * look.share >= twice


def _pays(look: Look, share: float) -> bool:
    return look.left * share > 2 * look.again * look.rate
