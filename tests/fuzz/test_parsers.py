"""Every parser returns a value or raises an error of our own, whatever it is given.

`make test` gives each the same 1,000 inputs in every run. `make test-fuzz` gives each 100,000, new
ones in every run: OCIHAUL_FUZZ_EXAMPLES says how many, OCIHAUL_FUZZ_SEED repeats a run.
"""

import os
import secrets
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.table import TARGETS
from tests.fuzz.target import Target

LONG = "OCIHAUL_FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("OCIHAUL_FUZZ_EXAMPLES", "1000"))
SEED = int(os.environ.get("OCIHAUL_FUZZ_SEED") or secrets.randbits(32))

_SETTINGS = settings(
    database=None,
    deadline=None,
    derandomize=not LONG,
    max_examples=EXAMPLES,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.timeout(36_000 if LONG else 300)
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_every_input_gives_a_value_or_an_error_of_our_own(target: Target) -> None:
    run = 0

    @settings(_SETTINGS, max_examples=EXAMPLES)
    @given(target.inputs)
    def check(value: object) -> None:
        nonlocal run
        run += 1
        target.check(value)

    if LONG:
        seed(SEED)(check)
    try:
        check()
    finally:
        if LONG:
            sys.stderr.write(f"{target.name}: {run} inputs, seed {SEED}\n")
