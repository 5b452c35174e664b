"""Which congestion control a connection has: the system's, or BBR where packets get lost.

Most systems have CUBIC, which takes every lost packet for a full line and slows down: at 80 ms and
1 % of loss that leaves a connection 1.6 Mbit/s of any line. BBR goes by what arrives. It is rude on
a line that is full (it fills the queue), so it is taken only where packets get lost while the queue
is short, or where the caller wants it. Linux lets a program choose per socket, among those that
`net.ipv4.tcp_allowed_congestion_control` names.
"""

import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocihaul.errors import UsageError

#: Leave it to the system, or to what is seen; any other name is that of an algorithm.
SYSTEM, AUTO = "system", "auto"
BBR = "bbr"
#: A connection that sends is looked at so often, seconds, and this many looks are remembered.
_INTERVAL = 0.25
_REMEMBERED = 8
#: So many looks with loss while the queue was short, and this part of all with loss: BBR is taken.
LOOKS = 4
LEAST_PART = 1 / 8
#: A queue is short while it adds no more than this to the least round trip, or than this part of
#: the longest queue that was seen.
SHORT_QUEUE = 0.15
HALF_FULL = 0.5

#: What a program without rights may choose.
_ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
_OPTION: int | None = getattr(socket, "TCP_CONGESTION", None)
# struct tcp_info of linux/tcp.h: rtt and total_retrans, min_rtt (4.6), data_segs_out (4.6).
_INFO = struct.Struct("<68xI28xI44xI4xI")


@dataclass(frozen=True, slots=True)
class Sent:
    """Of one connection: packets with data, those sent again; round trips in microseconds."""

    packets: int
    again: int
    round_trip: int
    least_round_trip: int


def has_random_loss(looks: Sequence[Sent], longest_ever: int) -> bool | None:
    """Whether packets got lost before the last look although the line had room; None for no loss.

    A queue that overflows is as long as ever in the round trips before: that tells both kinds
    apart. `longest_ever` is the longest round trip of this connection, microseconds.
    """
    if len(looks) < 2 or looks[-1].again <= looks[-2].again:
        return None
    least = looks[-1].least_round_trip
    queue = max(look.round_trip for look in looks) - least
    return queue <= max(SHORT_QUEUE * least, HALF_FULL * (longest_ever - least))


class Congestion:
    """What all connections of a pool have. Thread-safe."""

    def __init__(self, name: str = AUTO) -> None:
        self.name = name
        self._lock = threading.Lock()  # guards all below
        self._random = 0
        self._losses = 0
        self._lossy = False

    @property
    def lossy(self) -> bool:
        """Whether packets were seen to get lost although the line had room."""
        with self._lock:
            return self._lossy

    def apply(self, sock: socket.socket) -> None:
        """Give a new connection what it is to have by now."""
        if self.name not in {AUTO, SYSTEM}:
            choose(sock, self.name)
        elif self.name == AUTO and self.lossy:
            choose(sock, BBR)

    def note(self, *, random: bool) -> None:
        """A loss was seen: a `random` one, or that of a queue."""
        with self._lock:
            self._losses += 1
            self._random += random
            enough = self._random >= max(LOOKS, LEAST_PART * self._losses)
            self._lossy = self._lossy or enough


def chosen(name: str) -> Congestion:
    """What a caller asks for. Raises UsageError for an algorithm that the system does not offer."""
    if name not in {AUTO, SYSTEM}:
        with socket.socket() as trial:
            if not choose(trial, name):
                raise UsageError(
                    f"congestion control: {name!r} (this system lets a program choose "
                    f"{_offered()})",
                    hint="Leave `congestion_control` out, or have an administrator allow it: "
                    "net.ipv4.tcp_allowed_congestion_control",
                )
    return Congestion(name)


def _offered() -> str:
    try:
        return ", ".join(_ALLOWED.read_text().split())
    except OSError:
        return "none"


class CongestionWatch:
    """Looks at one connection while a body goes out, and lets it have BBR when that is better."""

    def __init__(
        self,
        congestion: Congestion,
        sock: socket.socket,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._congestion = congestion
        self._sock = sock
        self._monotonic = monotonic
        self._next = 0.0
        self._looks: deque[Sent] = deque(maxlen=_REMEMBERED)
        self._longest = 0
        self._settled = congestion.name != AUTO

    def look(self) -> None:
        """Look, four times a second at most."""
        now = self._monotonic()
        if self._settled or now < self._next:
            return
        self._next = now + _INTERVAL
        seen = sent(self._sock)
        if seen is None:
            self._settled = True
            return
        self._looks.append(seen)
        self._longest = max(self._longest, seen.round_trip)
        random = has_random_loss(self._looks, self._longest)
        if random is not None:
            self._congestion.note(random=random)
        if self._congestion.lossy:
            self._settled = True
            choose(self._sock, BBR)


def choose(sock: socket.socket, name: str) -> bool:
    """Whether the system lets this connection have that congestion control; it has it then."""
    if _OPTION is None:
        return False
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _OPTION, name.encode())
    except OSError:  # not in this kernel, not allowed, or no TCP
        return False
    return True


def sent(sock: socket.socket) -> Sent | None:
    """What a connection has sent so far; None where the system does not tell."""
    if _OPTION is None or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:
        return None
    if len(info) < _INFO.size:
        return None
    round_trip, again, least, packets = _INFO.unpack(info)
    return Sent(packets, again, round_trip, least)
