"""Memory does not depend on file or part size: measured from outside, on the real command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

GIB = 2**30
MIB = 2**20


#: Runs a command and writes its peak down. A process of its own and small: the kernel counts what
#: the parent had in memory at the fork as the child's.
_MEASURED = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the kernel's own figure needs wait4")
def test_fifteen_parts_of_128_mib_in_flight_stay_under_80_mib(tmp_path: Path) -> None:
    source = tmp_path / "sparse.img"
    with source.open("wb") as file:
        file.truncate(15 * 128 * MIB + 1)
    ready = tmp_path / "ready.json"
    emulator = subprocess.Popen(
        [
            *(sys.executable, "-m", "ocihaul.emulator", "--discard", "--fast"),
            *("--profile-dir", str(tmp_path / "oci"), "--ready-file", str(ready)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not (ready.exists() and ready.read_text()):
            if time.monotonic() > deadline:
                raise TimeoutError("the emulator did not start")
            time.sleep(0.05)  # another process: there is nothing else to wait on
        told = json.loads(ready.read_text())
        command = [
            *(sys.executable, "-m", "ocihaul", "os", "object", "put", "-bn", "backups"),
            *("-ns", "ns1", "--file", str(source), "--force", "--parallel-upload-count", "15"),
            *("--config-file", told["config"], "--endpoint", told["endpoint"]),
            *("--auth", "security_token", "--auth-endpoint", told["endpoint"]),
        ]
        output = (tmp_path / "output").open("wb")
        with output:
            client = subprocess.run(
                [sys.executable, "-c", _MEASURED, str(tmp_path / "peak"), *command],
                stdout=output,
                stderr=output,
                env=_clean(tmp_path),
                check=False,
            )
        said = (tmp_path / "output").read_text()
        assert client.returncode == 0, said
        assert "Split file into 16 parts" in said
        peak = int((tmp_path / "peak").read_text()) * (1 if sys.platform == "darwin" else 1024)
        assert peak < 80 * MIB, f"{peak / MIB:.0f} MiB"
    finally:
        emulator.terminate()
        emulator.wait(10)


def _clean(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home)}
