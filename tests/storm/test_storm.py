"""kill -9 at random moments, over every way of moving bytes, while a lot goes wrong by chance.

OCIHAUL_STORM_KILLS says how many kills (2,000 with `make test-storm`), OCIHAUL_STORM_SEED gives
another storm, OCIHAUL_STORM_REPORT names a file for the figures as JSON.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.storm.storm import storm
from tests.storm.tally import FINDINGS

KILLS = int(os.environ.get("OCIHAUL_STORM_KILLS", "40"))
SEED = int(os.environ.get("OCIHAUL_STORM_SEED", "12"))
#: From so many kills on every kind of fault has to have happened.
LONG = 1000


@pytest.mark.slow
@pytest.mark.timeout(120 + 5 * KILLS)
def test_a_storm_costs_nothing(tmp_path: Path) -> None:
    with storm(tmp_path, seed=SEED, tmpfs=KILLS >= LONG) as blowing:
        blowing.blow(KILLS, sys.stdout.write)
    tally = blowing.tally
    sys.stdout.write(f"\n{tally.table()}\n")
    if report := os.environ.get("OCIHAUL_STORM_REPORT"):
        tally.write(Path(report))
    assert tally.kills.total() == KILLS
    assert tally.faults.total() > 0
    if KILLS >= LONG:
        assert tally.unfired() == [], "every kind of fault has to happen"
    assert {kind: tally.findings[kind] for kind in FINDINGS} == dict.fromkeys(FINDINGS, 0)
