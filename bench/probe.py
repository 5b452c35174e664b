"""One command, measured: through `measure.py`, in the environment_and_home of the ground."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.ground import ROOT, Ground
from bench.peers import Command

#: Seconds after which a command is killed, and has failed.
TIMEOUT = 600


@dataclass(frozen=True)
class Cost:
    """What a command cost. Seconds; bytes; `trouble` says why it does not count."""

    cpu: float
    wall: float
    peak: int
    anonymous: int
    read: int
    user: float
    system: float
    trouble: str | None = None


def measure(ground: Ground, command: Command, timeout: float = TIMEOUT) -> Cost:
    """Run it and tell what it cost; a command that fails has a `trouble`.

    One that takes more than `timeout` seconds is killed.
    """
    output = ground.home / "output"
    order = {
        "argv": [*ground.place.here, *command.argv],
        "env": ground.environ() | dict(command.environ),
        "output": str(output),
        "timeout": timeout,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "bench" / "measure.py")],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    return Cost(
        cpu=told["user"] + told["system"],
        wall=told["wall"],
        peak=told["peak"],
        anonymous=told["anonymous"],
        read=told["read"],
        user=told["user"],
        system=told["system"],
        trouble=_trouble(told["exit"], output, ground),
    )


def _trouble(code: int, output: Path, ground: Ground) -> str | None:
    if code == 0:
        return None
    text = output.read_text(errors="replace")
    for path, name in ((ground.home, "GROUND"), (ROOT, ".")):
        text = text.replace(str(path), name)
    lines = text.strip().splitlines()
    return f"exit status {code}: {' / '.join(lines[-5:])[:500]}"


def system_calls(ground: Ground, command: Command, strace: str) -> tuple[int | None, str]:
    """How many system calls it makes, and strace's table of them; None when it failed."""
    table = ground.home / "strace"
    words = (strace, "-f", "-c", "-U", "calls,name", "-o", str(table), *command.argv)
    cost = measure(ground, Command(words, command.environ))
    if cost.trouble is not None:
        return None, cost.trouble
    rows = [line.split() for line in table.read_text().splitlines()]
    total = next(int(row[0]) for row in rows if len(row) == 2 and row[1] == "total")
    return total, table.read_text()
