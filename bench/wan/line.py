"""Carries packets between two TUN devices as the weather has it. Linux, root.

Started as a program of its own: `python -m bench.wan.line PROCESS PROCESS SEED`, with the ids of a
process in either network namespace. It makes a device there, prints a line, and takes orders as
lines of JSON on standard input; each is answered by one. It ends, and its devices with it, when its
input does.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict

from bench.wan.flows import Flows, Start, segment
from bench.wan.weather import Counters, Shaper, Weather

#: The device's name in either namespace.
DEVICE = "line0"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 2048  # bytes of a packet: the kernel cuts to the MTU before it comes here
_BATCH = 64  # packets that are read before others are delivered
_IDLE = 0.25  # seconds
#: Packets are moved so often, seconds: little beside a delay, and many at a time cost less each.
_TICK = 0.001


class Line:
    """Both directions; `ends` are the devices of client and server."""

    def __init__(self, ends: tuple[int, int], seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        self._ends = ends
        self._shapers = (Shaper(Weather(), chance), Shaper(Weather(), chance))
        self._under_way: tuple[deque[tuple[float, bytes, int]], ...] = (deque(), deque())
        self._flows = Flows()
        self._start = Start()
        self._down = False

    def turn(self) -> None:
        """Wait for something to do, for a quarter of a second at most, and do it."""
        due = min((queue[0][0] for queue in self._under_way if queue), default=None)
        left = _IDLE if due is None else max(0.0, due - time.monotonic() - _TICK)
        time.sleep(_TICK)  # the line is a clock: what is due goes out at each tick
        ready, _, _ = select.select([*self._ends, 0], [], [], left)
        for side in (0, 1):
            if self._ends[side] in ready:
                self._take_in(side)
        for side in (0, 1):
            self._deliver(side)
        if 0 in ready:
            order = sys.stdin.readline()
            if not order:
                raise EOFError
            print(json.dumps(self._obey(json.loads(order))), flush=True)

    def _take_in(self, side: int) -> None:
        end, shaper, queue = self._ends[side], self._shapers[side], self._under_way[side]
        for _ in range(_BATCH):
            try:
                packet = os.read(end, _LARGEST)
            except BlockingIOError:
                return
            now = time.monotonic()
            found = segment(packet, from_client=side == 0)
            if found is None:
                continue
            shaper.counters.opened += found.opens
            self._start.count(now, found)
            if self._down or not self._flows.passes(now, found, from_client=side == 0):
                shaper.counters.blocked += 1
                continue
            at = shaper.arrival(now, len(packet))
            if at is not None:
                queue.append((at, packet, found.payload))

    def _deliver(self, side: int) -> None:
        queue, out, now = self._under_way[side], self._ends[1 - side], time.monotonic()
        counters = self._shapers[side].counters
        while queue and queue[0][0] <= now:
            _, packet, payload = queue.popleft()
            counters.payload += payload
            os.write(out, packet)

    def _obey(self, order: dict[str, object]) -> object:
        match order:
            case {"do": "weather", "weather": dict(fields)}:
                for shaper in self._shapers:
                    shaper.weather = Weather(**fields)
            case {"do": "trouble", "packets_per_second": float(rate)}:
                port = self._flows.busiest()
                self._flows.trouble(port, rate)
                return port
            case {"do": "down"}:
                self._down = True
            case {"do": "fair"}:
                self._down = False
                self._flows.heal()
            case {"do": "zero"}:
                self._start = Start()
                for shaper in self._shapers:
                    shaper.counters = Counters()
            case {"do": "start"}:
                return self._start.seconds
            case {"do": "counters"}:
                return [asdict(shaper.counters) for shaper in self._shapers]
            case _:
                raise ValueError(order)
        return None


def _device(namespace: str) -> int:
    """A TUN device in the namespace of that process."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    asked = struct.pack("16sH22x", b"ohline%d", _IFF_TUN | _IFF_NO_PI)
    name = fcntl.ioctl(end, _TUNSETIFF, asked)[:16].rstrip(b"\0").decode()
    # Bursts of a large window must not be dropped before they reach the line.
    move = ["ip", "link", "set", name, "netns", namespace, "name", DEVICE, "txqueuelen", "20000"]
    subprocess.run(move, check=True)
    return end


def main() -> int:
    """Carry packets until standard input ends."""
    ends = (_device(sys.argv[1]), _device(sys.argv[2]))
    with contextlib.suppress(OSError):  # it is more exact where it may
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    line = Line(ends, seed=int(sys.argv[3]))
    print("ready", flush=True)
    with contextlib.suppress(EOFError):
        while True:
            line.turn()
    return 0


if __name__ == "__main__":
    sys.exit(main())
