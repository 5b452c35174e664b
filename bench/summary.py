"""From samples to figures: medians, ranges, ratios; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.rounds import Sample
from bench.scenarios import Case, Scenario


@dataclass(frozen=True)
class Spread:
    """The median of several values, the least and the largest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """At least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One case in figures. CPU seconds per unit and start-up CPU seconds; wall seconds of the
    whole run; bytes; `read` and `ratio` are multiples of the source and of the limit.

    `trouble` says why there are no figures.
    """

    peer: str
    cpu: Spread | None = None
    start: Spread | None = None
    wall: Spread | None = None
    peak: int = 0
    anonymous: int = 0
    read: float | None = None
    ratio: Spread | None = None
    calls: float | None = None
    trouble: str | None = None


def rows(scenario: Scenario, samples: Sequence[Sample]) -> list[Row]:
    """The table of one scenario."""
    mine = [sample for sample in samples if sample.scenario == scenario.name]
    per_unit = {case.peer: _per_unit(case, mine) for case in scenario.cases}
    limit = per_unit.get(scenario.limit or "", {})
    return [_row(case, mine, per_unit[case.peer], limit) for case in scenario.cases]


def _of(samples: Sequence[Sample], case: Case, kind: str) -> list[Sample]:
    return [sample for sample in samples if sample.peer == case.peer and sample.kind == kind]


def _trouble(case: Case, samples: Sequence[Sample]) -> str | None:
    if not _of(samples, case, "whole"):
        starts = _of(samples, case, "start")
        return next((s.cost.trouble for s in starts if s.cost.trouble is not None), "not run")
    return next((s.cost.trouble for s in samples if s.peer == case.peer and s.cost.trouble), None)


def _start(case: Case, samples: Sequence[Sample], value: str = "cpu") -> float:
    """What the same command costs for one byte; 0 where that is not measured."""
    starts = [getattr(sample.cost, value) for sample in _of(samples, case, "start")]
    return float(median(starts)) if starts else 0.0


def _per_unit(case: Case, samples: Sequence[Sample]) -> dict[int, float]:
    """CPU seconds per unit, by round; empty after a failure."""
    if _trouble(case, samples) is not None:
        return {}
    start = _start(case, samples)
    wholes = _of(samples, case, "whole")
    return {sample.round: (sample.cost.cpu - start) / case.amount for sample in wholes}


def _row(
    case: Case, samples: Sequence[Sample], per_unit: dict[int, float], limit: dict[int, float]
) -> Row:
    trouble = _trouble(case, samples)
    if trouble is not None:
        return Row(case.peer, trouble=trouble)
    costs = [sample.cost for sample in _of(samples, case, "whole")]
    starts = [sample.cost.cpu for sample in _of(samples, case, "start")]
    both = [per_unit[n] / limit[n] for n in per_unit if limit.get(n, 0) > 0]
    read = None
    if case.source_size:
        more = median(cost.read for cost in costs) - _start(case, samples, "read")
        read = more / case.source_size
    return Row(
        peer=case.peer,
        cpu=Spread.of(list(per_unit.values())),
        start=Spread.of(starts) if starts else None,
        wall=Spread.of([cost.wall for cost in costs]),
        peak=max(cost.peak for cost in costs),
        anonymous=max(cost.anonymous for cost in costs),
        read=read,
        ratio=Spread.of(both) if both else None,
    )
