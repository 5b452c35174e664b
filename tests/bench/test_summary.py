"""Samples become figures, and a failure never becomes a zero."""

import pytest

from bench.peers import OURS, RAW, Command
from bench.probe import Cost
from bench.quick import judge
from bench.report import table
from bench.rounds import Sample
from bench.scenarios import Case, Run, Scenario
from bench.summary import Row, rows

SIZE = 1000


def cost(cpu: float, *, read: int = 0, trouble: str | None = None) -> Cost:
    return Cost(cpu, wall=1.0, peak=1, anonymous=1, read=read, user=cpu, system=0, trouble=trouble)


def sample(peer: str, kind: str, round_: int, of: Cost) -> Sample:
    return Sample("upload", peer, kind, round_, of)


def scenario(*peers: str) -> Scenario:
    run = Run(Command(("true",)), lambda: None)
    cases = tuple(Case(peer, run, amount=2.0, start=run, source_size=SIZE) for peer in peers)
    return Scenario("upload", "Upload", "GiB", cases, limit=RAW)


def test_start_up_is_subtracted_and_the_rest_is_per_unit() -> None:
    samples = [
        sample(OURS, "start", 0, cost(1.0, read=100)),
        sample(OURS, "whole", 0, cost(5.0, read=100 + 2 * SIZE)),
        sample(OURS, "start", 1, cost(1.0, read=100)),
        sample(OURS, "whole", 1, cost(7.0, read=100 + 2 * SIZE)),
    ]
    (row,) = rows(scenario(OURS), samples)
    assert row.cpu is not None
    assert (row.cpu.least, row.cpu.median, row.cpu.most) == (2.0, 2.5, 3.0)
    assert row.start is not None
    assert row.start.median == 1.0
    assert row.read == 2.0


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that becomes slower slows both."""
    samples = []
    for number, slowness in enumerate((1.0, 10.0)):
        for peer, cpu in ((OURS, 3.0), (RAW, 2.0)):
            samples += [
                sample(peer, "start", number, cost(0.0)),
                sample(peer, "whole", number, cost(cpu * slowness)),
            ]
    ours, limit = rows(scenario(OURS, RAW), samples)
    assert ours.ratio is not None
    assert (ours.ratio.least, ours.ratio.most) == (1.5, 1.5)
    assert limit.ratio is not None
    assert limit.ratio.median == 1.0


@pytest.mark.parametrize("failed", ["start", "whole"])
def test_a_case_that_failed_once_has_no_figures(failed: str) -> None:
    samples = [
        sample(OURS, "start", 0, cost(1.0)),
        sample(OURS, "whole", 0, cost(5.0)),
        sample(OURS, failed, 1, cost(0.0, trouble="the sink has no such object")),
    ]
    (row,) = rows(scenario(OURS), samples)
    assert row == Row(OURS, trouble="the sink has no such object")
    assert "**failed**: the sink has no such object" in table(scenario(OURS), [row])


def test_a_case_that_did_not_run_says_so() -> None:
    (row,) = rows(scenario(OURS), [])
    assert row.trouble == "not run"


def test_what_was_not_counted_is_called_so() -> None:
    samples = [sample(OURS, "start", 0, cost(1.0)), sample(OURS, "whole", 0, cost(5.0))]
    assert "not measured" in table(scenario(OURS), rows(scenario(OURS), samples))


def verdicts(ours: float, *, read: int = SIZE) -> list[bool]:
    samples = []
    for peer, cpu in ((OURS, ours), (RAW, 2.0)):
        samples += [
            sample(peer, "start", 0, cost(0.0)),
            sample(peer, "whole", 0, cost(cpu, read=read)),
        ]
    return [one.good for one in judge("https", rows(scenario(OURS, RAW), samples), 1.8)]


def test_the_quick_judgement_knows_good_from_bad() -> None:
    assert verdicts(3.5) == [True, True, True]
    assert verdicts(3.7) == [False, True, True]
    assert verdicts(3.5, read=2 * SIZE) == [True, False, True]


def test_the_quick_judgement_refuses_to_judge_a_failure() -> None:
    samples = [
        sample(OURS, "whole", 0, cost(0.0, trouble="exit status 1")),
        sample(RAW, "start", 0, cost(0.0)),
        sample(RAW, "whole", 0, cost(2.0)),
    ]
    with pytest.raises(RuntimeError, match="ocihaul over https failed: exit status 1"):
        judge("https", rows(scenario(OURS, RAW), samples), 1.8)
