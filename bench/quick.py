"""`make bench-quick`: does the engine still cost what it may cost? Under two minutes.

It judges nothing but ratios between programs that ran in turn on the same machine, with margins
that noise does not reach: the best of several rounds on either side, and a second try before it
says no.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import peers
from bench.ground import MIB, ground
from bench.peers import Programs
from bench.rounds import run
from bench.scenarios import Scale, upload
from bench.summary import Row, rows

_SIZE = 512 * MIB
_SCALE = Scale(part_size=32 * MIB)
_ROUNDS = 5
#: CPU per GiB, as a multiple of the raw limit's.
_MOST_CPU = {"http": 5.0, "https": 1.8}
#: Bytes read from the source, as a multiple of its size.
_MOST_READ = 1.01
#: Resident memory at its peak, bytes.
_MOST_MEMORY = 96 * MIB


@dataclass(frozen=True)
class Verdict:
    """One figure against its bound."""

    what: str
    found: float
    most: float

    @property
    def good(self) -> bool:
        """Whether it is within the bound."""
        return self.found <= self.most

    def __str__(self) -> str:
        word = "ok" if self.good else "TOO MUCH"
        return f"{word:8} {self.what}: {self.found:.2f} (at most {self.most:g})"


def judge(scheme: str, table: Sequence[Row], most_cpu: float) -> list[Verdict]:
    """What is said of one scenario. Raises RuntimeError when a program failed."""
    by_peer: Mapping[str, Row] = {row.peer: row for row in table}
    ours, limit = by_peer[peers.OURS], by_peer[peers.RAW]
    for row in (ours, limit):
        if row.trouble is not None or row.cpu is None:
            raise RuntimeError(f"{row.peer} over {scheme} failed: {row.trouble}")
    if ours.cpu is None or limit.cpu is None or ours.read is None:
        raise RuntimeError(f"{scheme}: there are no figures")
    ratio = ours.cpu.least / limit.cpu.least
    return [
        Verdict(f"{scheme}: CPU per GiB, times the raw limit", ratio, most_cpu),
        Verdict(f"{scheme}: source read, times its size", ours.read, _MOST_READ),
        Verdict(f"{scheme}: peak memory, MiB", ours.peak / MIB, _MOST_MEMORY / MIB),
    ]


def main() -> int:
    """Measure uploads, plain and TLS; 1 when a bound is broken twice."""
    programs = Programs(Path(sys.argv[1]).absolute())
    worst = 0
    with ground(_SIZE) as here:
        for scheme, most in _MOST_CPU.items():
            for rounds in (_ROUNDS, _ROUNDS):
                scenario = upload(here, programs, _SCALE, scheme)
                samples = list(run(here, scenario, rounds, lambda _: None))
                verdicts = judge(scheme, rows(scenario, samples), most)
                bad = not all(verdict.good for verdict in verdicts)
                print("\n".join(map(str, verdicts)), flush=True)
                if not bad:
                    break
            worst = max(worst, int(bad))
    return worst


if __name__ == "__main__":
    sys.exit(main())
