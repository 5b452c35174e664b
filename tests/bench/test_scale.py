"""The model of many workers: what it must say where the answer is known."""

import pytest

from bench.scale.model import Constants, Transfer, simulate
from bench.scale.predict import Measured, most_hosts, of_hosts

MIB = 2**20
FREE = Constants(
    driver_per_part=0.0, scheduler_per_task=0.0, start=0.0, per_part=0.0, worker_rate=MIB
)


def transfer(workers: int, *, parts: int = 64, threads: int = 1, **more: float) -> Transfer:
    given = {name: getattr(FREE, name) for name in FREE.__dataclass_fields__}
    return Transfer(
        size=parts * 8 * MIB,
        part_size=8 * MIB,
        workers=workers,
        threads=threads,
        constants=Constants(**(given | more)),
    )


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (2, 1), (4, 1), (8, 1), (1, 4), (4, 2)])
def test_where_only_lines_limit_the_time_is_that_of_the_lines(workers: int, threads: int) -> None:
    done = simulate(transfer(workers, threads=threads))
    assert done.seconds == pytest.approx(64 * 8 / workers, rel=0.07)
    assert done.limit == "line"
    assert done.line_busy == pytest.approx(1.0, abs=0.07)


def test_a_rest_that_fills_not_all_workers_costs_a_whole_part() -> None:
    assert simulate(transfer(8, parts=65)).seconds == pytest.approx(9 * 8)


def test_where_the_driver_limits_more_workers_do_not_help() -> None:
    few = simulate(transfer(8, driver_per_part=2.0))
    many = simulate(transfer(64, parts=512, driver_per_part=2.0))
    assert few.seconds == pytest.approx(64 * 2.0, rel=0.15)
    assert many.seconds == pytest.approx(512 * 2.0, rel=0.1)
    assert many.limit == "driver"
    assert many.driver_busy > 0.95


def test_the_services_rate_limits() -> None:
    done = simulate(transfer(64, parts=640, service_rate=4.0))
    assert done.seconds == pytest.approx(640 / 4, rel=0.1)


def test_what_comes_before_and_after_counts_once_and_the_rest_for_each_part() -> None:
    done = simulate(transfer(1, parts=10, start=3.0, per_part=0.5))
    assert done.seconds == pytest.approx(3.0 + 10 * 8.5)


def test_the_scheduler_limits_beside_the_driver_and_not_after_it() -> None:
    """They are two processes: the slower one counts, and not their sum."""
    done = simulate(transfer(64, parts=512, driver_per_part=0.5, scheduler_per_task=0.6))
    assert done.seconds == pytest.approx(512 * 0.6, rel=0.1)
    assert done.limit == "scheduler"
    assert done.driver_busy == pytest.approx(0.5 / 0.6, rel=0.1)


def test_what_breaks_first_is_told_from_the_constants() -> None:
    known = Measured(part=0.002, file=0.0002, task=0.001)
    hosts, limit = most_hosts(known, 128 * MIB)
    assert hosts == pytest.approx(128 * MIB / 0.002 / 1.25e9)
    assert limit == "the driver"
    assert most_hosts(known, 1024 * MIB)[0] == pytest.approx(8 * hosts)
    assert most_hosts(Measured(part=0.001, file=0.1, task=0.002), MIB)[1] == "the scheduler"
    few, many = (simulate(of_hosts(known, count, 128 * MIB)) for count in (10, 100))
    assert (few.limit, many.limit) == ("line", "driver")
