"""Runs one command and tells what it cost. A program of its own, and a small one.

A child that was forked by a large process starts with that process's peak memory, so commands are
started from here. The order comes as JSON on standard input:
`{"argv": [...], "env": {...}, "output": path, "timeout": seconds}`; the answer is JSON, too:
CPU and wall time in seconds, memory and bytes read in bytes. Children that the command has waited
for are in the CPU seconds and the bytes read. Linux only.
"""

import json
import os
import select
import signal
import sys
import time

#: Seconds between two looks at the anonymous memory.
_INTERVAL = 0.1


def main() -> int:
    """Measure one command."""
    order = json.load(sys.stdin)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(order)
    try:
        anonymous = _watch(child, deadline=started + order["timeout"])
    except BaseException:
        os.killpg(child, signal.SIGKILL)  # nobody wants its figures any more
        raise
    # It has ended, but has not been waited for: its accounts can still be read.
    wall = time.monotonic() - started
    read = _field(f"/proc/{child}/io", "rchar:")
    _, status, usage = os.wait4(child, 0)
    answer = {
        "exit": os.waitstatus_to_exitcode(status),
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "wall": wall,
        "peak": usage.ru_maxrss * 1024,
        "anonymous": anonymous,
        "read": read,
    }
    print(json.dumps(answer))
    return 0


def _become(order: dict[str, object]) -> None:
    try:
        argv, env, output = order["argv"], order["env"], order["output"]
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        to = os.open(str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for target, source in ((0, nothing), (1, to), (2, to)):
            os.dup2(source, target)
        os.execve(argv[0], argv, env)  # type: ignore[index,arg-type]  # noqa: S606  JSON of ours
    finally:
        os._exit(127)


def _watch(child: int, *, deadline: float) -> int:
    """Wait for the end of `child`; the most anonymous memory that was seen."""
    most, parent = 0, os.getppid()
    end = os.pidfd_open(child)
    while not select.select([end], [], [], _INTERVAL)[0]:
        try:
            most = max(most, _field(f"/proc/{child}/smaps_rollup", "Anonymous:") * 1024)
        except OSError:
            continue  # it is ending right now
        if time.monotonic() > deadline or os.getppid() != parent:
            os.killpg(child, signal.SIGKILL)
    os.close(end)
    return most


def _field(path: str, name: str) -> int:
    with open(path, encoding="ascii") as file:  # noqa: PTH123  pathlib doubles what this imports
        for line in file:
            if line.startswith(name):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
