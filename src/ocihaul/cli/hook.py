"""A person's own command, run beside the work: what it may print, and its end.

It gets no input and no say: of its output the last 4 KiB of stderr are kept, for the one line that
tells why it failed. It is a process group of its own, so that everything it started ends with it.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

from ocihaul.printing import shown

#: Bytes of its stderr that are kept.
_TAIL = 4096
#: Bytes read at full speed, and at a time; a command that prints on and on has to wait for us,
#: not we for it: seconds between two reads.
_BURST = 2**20
_READ = 64 * 1024
_PACE = 0.01
#: Seconds between two looks at the command and at whether to end it.
_GLANCE = 0.1
#: Seconds between SIGTERM and SIGKILL.
_GRACE = 1.0
#: Bytes of a value in its environment: the system has a limit on all of them together.
_LONGEST_VALUE = 1024


def environment_value(text: str) -> str:
    """Foreign text as a value for an environment: one line, without secrets, 1 KiB at most."""
    return shown(text).encode()[:_LONGEST_VALUE].decode(errors="ignore")


def run_hook(
    command: str, environ: Mapping[str, str], ended: Callable[[], bool]
) -> tuple[int, str] | None:
    """Run a shell command to its end: its exit status, and the last line of its stderr.

    None when `ended` became true first: then the command and all it started were ended. Raises
    OSError and ValueError when it cannot be started.
    """
    with subprocess.Popen(  # noqa: S602  the user's own command, as it was written
        command,
        shell=True,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as child:
        tail = _follow(child, ended)
        if child.returncode is None:
            _end(child)
            return None
    lines = tail.decode("utf-8", "replace").strip().splitlines()
    return child.returncode, lines[-1] if lines else "without a word"


def _follow(child: "subprocess.Popen[bytes]", ended: Callable[[], bool]) -> bytes:
    """The last of what it says; returns when it has exited, or `ended` is true."""
    assert child.stderr is not None  # noqa: S101  it was asked for
    pipe, tail, read, is_open = child.stderr.fileno(), b"", 0, True
    while not ended():
        exited = child.poll() is not None
        # What it started may hold the pipe open: after its exit only what is there is read.
        if is_open and select.select([pipe], [], [], 0 if exited else _GLANCE)[0]:
            block = os.read(pipe, _READ)
            is_open = block != b""
            tail, read = (tail + block)[-_TAIL:], read + len(block)
            if read > _BURST:
                time.sleep(_PACE)  # one that prints without end shall not cost a core
            continue
        if exited:
            break
        if not is_open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GLANCE)
    return tail


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):  # the last for those that did not hear, too
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
