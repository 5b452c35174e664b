"""Ctrl-C at any moment of the start and of the end: quiet, and 130 to the shell."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: An interrupt at the nth import after `main` has begun, which no timing can miss.
DRIVER = """
import os, signal, sys
at, fired, seen = int(sys.argv.pop(1)), sys.argv.pop(1), 0

def heard(event, args):
    global seen
    if event == "import":
        seen += 1
        if seen == at:
            os.mkdir(fired)
            os.kill(os.getpid(), signal.SIGINT)

from ocihaul.cli import main
sys.addaudithook(heard)
main()
"""
INTERRUPTED = {130, -signal.SIGINT}  # a shell says 130 to both


def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "OCIHAUL_STATE_DIR": str(home / "state")}


def interrupted_at(at: int, home: Path, *args: str) -> tuple[int, str, bool]:
    """Exit status, stderr, and whether the interrupt was sent."""
    fired = home / f"fired-{at}"
    process = subprocess.run(
        [sys.executable, "-c", DRIVER, str(at), str(fired), *args],
        env=environ(home),
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stderr, fired.exists()


@pytest.mark.parametrize("args", [("--version",), ("os", "object", "put", "--help")])
def test_finding_b10_an_interrupt_at_each_import_of_the_start_is_quiet(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    fired = 0
    for at in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 120, 150, 190]:
        code, err, sent = interrupted_at(at, tmp_path, *args)
        if not sent:
            break
        fired += 1
        assert code in INTERRUPTED, (at, code, err)
        assert not err.strip(), (at, err)
    assert fired >= 8


@pytest.mark.slow
def test_finding_b10_interrupts_from_the_start_on_leave_no_traceback_of_ours(
    tmp_path: Path,
) -> None:
    """Before its first line of ours runs, Python itself says what it likes."""
    command = [sys.executable, "-m", "ocihaul", "os", "object", "list", "-bn", "b"]
    began = time.monotonic()
    subprocess.run(command, env=environ(tmp_path), capture_output=True, check=False)
    whole = time.monotonic() - began
    interrupted = 0
    for turn in range(30):
        process = subprocess.Popen(
            command,
            env=environ(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(whole * turn / 30)  # a moment of another process: that is what is tried
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        interrupted += process.returncode in INTERRUPTED
        assert "ocihaul/cli" not in err, err
    assert interrupted > 5
