"""What a line does to packets: rate, delay, a queue that overflows, loss; pure."""

import random
from dataclasses import dataclass

#: What Ethernet adds to a packet, bytes: header and checksum (18), preamble and gap (20).
FRAMING = 38
#: A full segment has 1448 bytes for TCP to carry (MTU 1500, timestamps), so this is the largest
#: share of a line that a file can have.
LIMIT = 1448 / (1500 + FRAMING)


@dataclass(frozen=True, slots=True)
class Weather:
    """One state of a line, the same in both directions.

    `rate` is bits per second, `delay` seconds one way, `loss` the probability of each packet to be
    lost, `queue` the seconds that a packet waits at most before it is dropped at the tail.
    """

    rate: float = 60e6
    delay: float = 0.04
    loss: float = 0.0
    queue: float = 0.05


@dataclass(slots=True)
class Counters:
    """Packets of one direction, and the bytes of TCP that were delivered."""

    packets: int = 0
    lost: int = 0
    overflowed: int = 0
    blocked: int = 0
    payload: int = 0
    opened: int = 0


class Shaper:
    """One direction of a line: tells each packet's time of arrival, or that it does not arrive."""

    def __init__(self, weather: Weather, chance: random.Random) -> None:
        self.weather = weather
        self.counters = Counters()
        self._chance = chance
        self._free_at = 0.0
        self._last = 0.0

    def arrival(self, now: float, length: int) -> float | None:
        """When a packet of `length` bytes arrives that is sent `now`, seconds; None: never.

        Packets do not overtake each other. A packet that is lost takes its time on the line.
        """
        weather, counters = self.weather, self.counters
        counters.packets += 1
        start = max(self._free_at, now)
        if start - now > weather.queue:
            counters.overflowed += 1
            return None
        self._free_at = start + (length + FRAMING) * 8 / weather.rate
        if weather.loss and self._chance.random() < weather.loss:
            counters.lost += 1
            return None
        self._last = max(self._last, self._free_at + weather.delay)
        return self._last
