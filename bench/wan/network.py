"""Two network namespaces with a line between them, gone with the process that made them.

A namespace has no name: it lives as long as its holder, a process that ends with its input. So
nothing is left behind even by a kill.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.ground import ROOT
from bench.wan.line import DEVICE
from bench.wan.weather import Weather

CLIENT, SERVER = "10.66.0.1", "10.66.0.2"
SUBNET = "10.66.0.0/24"
#: What most systems begin with, and the same on every one that measures.
CONGESTION_CONTROL = "cubic"
#: Buffers as most systems have them. Nothing is remembered between connections: each run begins as
#: the first.
_SETTINGS = {
    "tcp_no_metrics_save": "1",
    "tcp_wmem": "4096 16384 4194304",
    "tcp_rmem": "4096 131072 6291456",
}


class Network:
    """The line between client and server. Orders raise RuntimeError once the line has ended."""

    def __init__(self, line: "subprocess.Popen[str]", holders: tuple[int, int]) -> None:
        self._line = line
        self._holders = holders

    @property
    def client(self) -> tuple[str, ...]:
        """Words to put before a command that is to run on the client's side."""
        return _entering(self._holders[0])

    @property
    def server(self) -> tuple[str, ...]:
        """Words to put before a command that is to run on the server's side."""
        return _entering(self._holders[1])

    def weather(self, weather: Weather) -> None:
        """Have this weather from now on, in both directions, and begin to count anew."""
        self._order(do="fair")
        self._order(do="weather", weather=asdict(weather))
        self._order(do="zero")

    def blackhole(self) -> int:
        """Let nothing of the busiest connection through any more; its port, 0 for none."""
        return self.trickle(0.0)

    def trickle(self, packets_per_second: float) -> int:
        """Let so little of the busiest connection through; its port, 0 for none."""
        port = self._order(do="trouble", packets_per_second=packets_per_second)
        return port if isinstance(port, int) else 0

    def down(self) -> None:
        """Let nothing through."""
        self._order(do="down")

    def fair(self) -> None:
        """End an outage, and the trouble of all connections."""
        self._order(do="fair")

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """What was counted since the weather was set: client to server, and back."""
        counted = self._order(do="counters")
        if not isinstance(counted, list):
            raise TypeError(f"the line answers with {counted!r}")
        return counted[0], counted[1]

    def start(self) -> float | None:
        """Seconds until all the first connections carried bytes; None where none has."""
        found = self._order(do="start")
        return found if isinstance(found, float) else None

    def _order(self, **order: object) -> object:
        return json.loads(_ask(self._line, json.dumps(order)))


@contextmanager
def network(seed: int = 1) -> Iterator[Network]:
    """Make the namespaces and the line. `seed` decides which packets are lost.

    Raises RuntimeError where that is not possible; `obstacle` says why before.
    """
    with ExitStack() as stack:
        holders = (_holder(stack), _holder(stack))
        words = [sys.executable, "-m", "bench.wan.line", *map(str, holders), str(seed)]
        line = _started(stack, words)
        if (line.stdout is None) or line.stdout.readline() != "ready\n":
            raise RuntimeError("the line did not start")
        for holder, address in zip(holders, (CLIENT, SERVER), strict=True):
            _configure(holder, address)
        yield Network(line, holders)


def obstacle() -> str | None:
    """Why there can be no such line here; None when there can be one."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces and TUN devices need root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    try:
        with network():
            return None
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"no network namespaces: {error}"


def _holder(stack: ExitStack) -> int:
    """The process id of a new namespace's holder."""
    return _ready(_started(stack, ["unshare", "--net", "sh", "-c", "echo ready; exec cat"]))


def _ready(holder: "subprocess.Popen[str]") -> int:
    if holder.stdout is None or holder.stdout.readline() != "ready\n":
        raise RuntimeError("a network namespace cannot be made")
    return holder.pid


def _started(stack: ExitStack, words: list[str]) -> "subprocess.Popen[str]":
    # A session of its own: Ctrl-C is for us, and the end of its input is the sign for it.
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stack.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _ask(line: "subprocess.Popen[str]", order: str) -> str:
    if line.stdin is None or line.stdout is None:
        raise RuntimeError("the line has no pipes")
    line.stdin.write(f"{order}\n")
    line.stdin.flush()
    answer = line.stdout.readline()
    if not answer:
        raise RuntimeError("the line has ended")
    return answer


def _configure(holder: int, address: str) -> None:
    enter = _entering(holder)
    for words in (
        ("link", "set", "lo", "up"),
        ("link", "set", DEVICE, "up", "mtu", "1500"),
        ("addr", "add", f"{address}/24", "dev", DEVICE),
        # Of the route, because a namespace may not choose what is not allowed in the first one.
        ("route", "replace", SUBNET, "dev", DEVICE, "src", address, "congctl", CONGESTION_CONTROL),
    ):
        subprocess.run([*enter, "ip", *words], check=True)
    for name, value in _SETTINGS.items():
        # The file is that of the namespace of the process that opens it.
        script = f"echo '{value}' > /proc/sys/net/ipv4/{name}"
        subprocess.run([*enter, "sh", "-c", script], check=True)


def _entering(holder: int) -> tuple[str, ...]:
    return (shutil.which("nsenter") or "nsenter", f"--net=/proc/{holder}/ns/net", "--")
