"""What a storm decides beforehand: which command, when it is killed, when faults are off; pure.

All of it comes from one seed. Which request meets which fault depends on timing, too.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

#: The moments of the kills of one kind of command are spread evenly over so many equal stretches.
STRATA = 10
#: A run that has done part of the work already is shorter; some kills come after its usual end.
_BEYOND = 1.05
#: So many runs of a hundred are not killed, and so many have no faults.
_SPARED = 0.12
_CALM = 0.1
#: Of so many transfers, one has its journal on a disk that is nearly full.
_FULL_DISKS = 6


@dataclass(frozen=True, slots=True)
class Run:
    """One run: `kill_at` is a share of the usual duration (None: it may end), `calm`: no faults."""

    kill_at: float | None
    calm: bool


@dataclass
class Plan:
    """The decisions of one storm; `kinds` are the names of the commands."""

    seed: int
    kinds: Sequence[str]
    killed: Counter[str] = field(default_factory=Counter)
    _attempts: Counter[str] = field(default_factory=Counter)
    _orders: dict[str, list[int]] = field(default_factory=dict)

    def chance(self, trial: int) -> random.Random:
        """The decisions of one transfer, whatever happened in those before it."""
        return random.Random(f"{self.seed}/{trial}")  # noqa: S311  no secret

    def next_kind(self, trial: int) -> str:
        """The kind that was killed least so far; one of them at random."""
        least = min(self.killed[kind] for kind in self.kinds)
        behind = [kind for kind in self.kinds if self.killed[kind] == least]
        return self.chance(trial).choice(behind)

    def next_run(self, kind: str, chance: random.Random) -> Run:
        """How the next run of a transfer goes."""
        calm = chance.random() < _CALM
        if chance.random() < _SPARED:
            return Run(None, calm)
        if kind not in self._orders:
            order = list(range(STRATA))
            random.Random(f"{self.seed}/{kind}").shuffle(order)  # noqa: S311  no secret
            self._orders[kind] = order
        stratum = self._orders[kind][self._attempts[kind] % STRATA]
        self._attempts[kind] += 1
        return Run((stratum + chance.random()) / STRATA * _BEYOND, calm)

    @staticmethod
    def disk_is_full(trial: int) -> bool:
        """Whether the journal of this transfer is on a disk that is nearly full."""
        return trial % _FULL_DISKS == _FULL_DISKS - 1
