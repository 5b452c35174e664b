"""The limit on bytes per second, on a clock of our own."""

import pytest

from ocihaul.wire.limiter import Limiter, unlimited

MIB = 2**20


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_all_flows_together_keep_to_the_rate() -> None:
    clock = Clock()
    limiter = Limiter(lambda: float(MIB), monotonic=clock)
    sent = 0
    while clock.now < 110.0:  # ten seconds, three flows that take turns
        for _ in range(3):
            clock.now += limiter.delay(50_000)
            sent += 50_000
    assert sent == pytest.approx(10 * MIB, rel=0.05)


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    clock = Clock()
    limiter = Limiter(lambda: float(MIB), monotonic=clock)
    limiter.delay(1000)
    clock.now += 3600.0
    delays = [limiter.delay(100_000) for _ in range(20)]
    assert sum(delay == 0.0 for delay in delays) <= 4  # a quarter of a second is let through


def test_a_rate_that_changes_holds_from_the_next_portion_on() -> None:
    clock, rates = Clock(), [1000.0]
    limiter = Limiter(lambda: rates[0], monotonic=clock)
    limiter.delay(1000)
    rates[0] = 1_000_000.0
    limiter.delay(1000)
    assert limiter.delay(1000) < 1.0


def test_large_blocks_go_in_portions_that_keep_a_slow_line_busy() -> None:
    block = memoryview(bytes(512 * 1024))
    slow = Limiter(lambda: 200_000.0)
    sizes = [len(portion) for portion in slow.portions(block)]
    assert sum(sizes) == len(block)
    assert max(sizes) == 10_000
    assert [bytes(p) for p in Limiter(unlimited).portions(block)] == [bytes(block)]
    assert Limiter(unlimited).delay(10**12) == 0.0


def test_an_empty_block_has_no_portions() -> None:
    assert list(Limiter(unlimited).portions(memoryview(b""))) == []
