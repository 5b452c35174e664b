"""Runs the cases of a scenario in turn, several rounds, and keeps every sample."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.ground import Ground
from bench.probe import Cost, measure, system_calls
from bench.scenarios import Case, Run, Scenario


@dataclass(frozen=True)
class Sample:
    """One measured run. `kind` is "whole", or "start" for the one that moves a byte."""

    scenario: str
    peer: str
    kind: str
    round: int
    cost: Cost


def run(
    ground: Ground, scenario: Scenario, rounds: int, say: Callable[[str], None]
) -> Iterator[Sample]:
    """Measure the scenario's cases, interleaved, in another order each round.

    After a failure a case is not run again: it would only fail more often.
    """
    failed: set[str] = set()
    for number in range(rounds):
        cases = list(scenario.cases)
        random.Random(number).shuffle(cases)  # noqa: S311
        for case in cases:
            for kind, one in (("start", case.start), ("whole", case.whole)):
                if one is None or case.peer in failed:
                    continue
                cost = _cost(ground, one)
                say(f"  {number + 1}/{rounds} {case.peer} {kind}: {_brief(cost)}")
                if cost.trouble is not None:
                    failed.add(case.peer)
                yield Sample(scenario.name, case.peer, kind, number, cost)


def _cost(ground: Ground, one: Run) -> Cost:
    ground.forget()
    ground.log_in(one.life)
    cost = measure(ground, one.command)
    return replace(cost, trouble=one.check()) if cost.trouble is None else cost


def _brief(cost: Cost) -> str:
    return cost.trouble or f"{cost.cpu:.2f} s CPU, {cost.wall:.2f} s"


def calls(ground: Ground, case: Case, strace: str) -> tuple[float | None, str]:
    """System calls per unit of a case, start-up subtracted, and strace's table."""
    counts = []
    table = ""
    for one in (case.start, case.whole):
        if one is None:
            counts.append(0)
            continue
        ground.forget()
        ground.log_in(one.life)
        count, table = system_calls(ground, one.command, strace)
        if count is None:
            return None, table
        if (wrong := one.check()) is not None:
            return None, wrong
        counts.append(count)
    return (counts[1] - counts[0]) / case.amount, table
