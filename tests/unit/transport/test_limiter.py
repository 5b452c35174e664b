"""The limit on bytes per second, on a clock of our own."""

import pytest

from ocihaul.transport.flows import Limiter, unlimited

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


@pytest.mark.parametrize("rate", [1.0, 100.0, 1000.0, 16_000.0, 10 * MIB])
def test_no_flow_of_many_is_silent_until_a_server_gives_up(rate: float) -> None:
    """A server waits a minute for the next byte; 64 flows take turns."""
    limiter = Limiter(lambda: rate)
    sizes = {len(portion) for portion in limiter.portions(memoryview(bytes(5000)))}
    turn = 64 * max(sizes) / rate
    assert turn <= (64.0 if rate < 4 else 16.1)


def test_a_limit_that_ends_at_midnight_lets_go_what_waits_within_a_portion() -> None:
    clock = Clock()
    rates: list[float | None] = [1000.0]
    limiter = Limiter(lambda: rates[0], monotonic=clock)
    waits = [limiter.delay(250) for _ in range(15)]
    assert max(waits) < 4.0
    rates[0] = None
    assert limiter.delay(10**9) == 0.0


def test_an_empty_block_has_no_portions() -> None:
    assert list(Limiter(unlimited).portions(memoryview(b""))) == []
