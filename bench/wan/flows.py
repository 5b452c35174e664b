"""Which connection a packet belongs to, when each begins to carry bytes, and trouble; pure."""

from collections import Counter
from dataclasses import dataclass

_TCP = 6
_SYN_ONLY = 0x02
_SYN_ACK = 0x12
#: Flows are compared by what they carried in the last one to two windows of so many seconds.
_WINDOW = 1.0
#: What a connection carries before a body does, bytes at most.
_A_BODY = 8 * 1024
#: How soon the first connections are opened, seconds.
_AT_FIRST = 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """As much of a TCP segment as the line has to know; `payload` in bytes."""

    port: int
    payload: int
    opens: bool


def segment(packet: bytes, *, from_client: bool) -> Segment | None:
    """The TCP segment in an IPv4 packet; None for anything else. `port` is the client's."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None
    at = (packet[0] & 15) * 4
    place = at if from_client else at + 2
    port = packet[place] << 8 | packet[place + 1]
    payload = len(packet) - at - (packet[at + 12] >> 4) * 4
    return Segment(port, payload, packet[at + 13] & _SYN_ACK == _SYN_ONLY)


class Start:
    """How long it takes until all connections that are opened at first carry bytes.

    A handshake with its certificates and the heads of requests are less than `_A_BODY`.
    """

    def __init__(self) -> None:
        self._opened: dict[int, float] = {}
        self._carried: Counter[int] = Counter()
        self._carries: dict[int, float] = {}

    def count(self, now: float, found: Segment) -> None:
        """Take note of a segment."""
        if found.opens:
            self._opened.setdefault(found.port, now)
        self._carried[found.port] += found.payload
        if self._carried[found.port] > _A_BODY:
            self._carries.setdefault(found.port, now)

    @property
    def seconds(self) -> float | None:
        """From the first SYN on; None where no connection has carried a body."""
        if not self._carries:
            return None
        first = min(self._opened.values())
        at_first = {port for port, at in self._opened.items() if at - first < _AT_FIRST}
        return max(at for port, at in self._carries.items() if port in at_first) - first


class Flows:
    """Remembers what each connection carried, and which of them are in trouble."""

    def __init__(self) -> None:
        self._rates: dict[int, float] = {}  # packets per second of those in trouble
        self._next: dict[tuple[int, bool], float] = {}
        self._recent: Counter[int] = Counter()
        self._before: Counter[int] = Counter()
        self._began = 0.0

    def busiest(self) -> int:
        """The client's port of the connection that carried most of late; 0 where none did."""
        counted = self._recent + self._before
        healthy = {port: count for port, count in counted.items() if port not in self._rates}
        return max(healthy, key=lambda port: healthy[port], default=0)

    def trouble(self, port: int, packets_per_second: float) -> None:
        """Let so little of a connection through from now on; 0 is nothing at all."""
        self._rates[port] = packets_per_second

    def heal(self) -> None:
        """No connection is in trouble any more."""
        self._rates.clear()

    def passes(self, now: float, found: Segment, *, from_client: bool) -> bool:
        """Count a segment; whether it may pass."""
        if now - self._began > _WINDOW:
            self._before, self._recent, self._began = self._recent, Counter(), now
        self._recent[found.port] += found.payload
        rate = self._rates.get(found.port)
        if rate is None:
            return True
        key = (found.port, from_client)
        if rate == 0 or now < self._next.get(key, 0.0):
            return False
        self._next[key] = now + 1 / rate
        return True
