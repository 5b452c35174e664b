"""Memory does not depend on file or part size: measured from outside, on the real command."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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


pytestmark = pytest.mark.skipif(
    not hasattr(os, "wait4"), reason="the kernel's own figure needs wait4"
)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A discarding emulator in a process of its own, and what it says of itself."""
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
        yield json.loads(ready.read_text())
    finally:
        emulator.terminate()
        emulator.wait(10)


def measured(home: Path, told: dict[str, str], *command: str) -> tuple[int, str]:
    """The peak of an `os object` command, in bytes, and what it said. It must succeed."""
    where = ("-bn", "backups", "-ns", "ns1", "--config-file", told["config"])
    auth = ("--auth", "security_token", "--auth-endpoint", told["endpoint"])
    ours = (sys.executable, "-m", "ocihaul", "os", "object", *command)
    with (home / "stderr").open("wb") as stderr:
        client = subprocess.run(
            [
                *(sys.executable, "-c", _MEASURED, str(home / "peak")),
                *(*ours, *where, *auth, "--endpoint", told["endpoint"]),
            ],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=_clean(home),
            check=False,
        )
    said = (home / "stderr").read_text()
    assert client.returncode == 0, said
    return int((home / "peak").read_text()) * (1 if sys.platform == "darwin" else 1024), said


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.slow
def test_fifteen_parts_of_128_mib_in_flight_stay_under_80_mib(
    tmp_path: Path, told: dict[str, str]
) -> None:
    source = sparse(tmp_path / "sparse.img", 15 * 128 * MIB + 1)
    command = ("put", "--file", str(source), "--force", "--parallel-upload-count", "15")
    peak, said = measured(tmp_path, told, *command, "--part-size", "128")
    assert "Split file into 16 parts" in said
    assert peak < 80 * MIB, f"{peak / MIB:.0f} MiB"


@pytest.mark.slow
def test_weakness_07_a_download_needs_as_little_and_a_pipe_its_window(
    tmp_path: Path, told: dict[str, str]
) -> None:
    """Weakness 7: memory grows with the object."""
    source = sparse(tmp_path / "sparse.img", 600 * MIB)
    measured(tmp_path, told, "put", "--file", str(source), "--force", "--name", "x")
    many = ("--parallel-download-count", "15", "--part-size", "32")
    target = tmp_path / "target"
    peak, said = measured(
        tmp_path, told, "get", "--name", "x", "--file", str(target), *many, "--verbose"
    )
    assert " ranges" in said
    assert target.stat().st_size == 600 * MIB
    assert peak < 80 * MIB, f"{peak / MIB:.0f} MiB"
    peak, _ = measured(tmp_path, told, "get", "--name", "x", "--file", "-", *many)
    assert peak < (128 + 72) * MIB, f"{peak / MIB:.0f} MiB"


@pytest.mark.slow
def test_weakness_15_a_checksum_of_one_large_part_needs_as_little(
    tmp_path: Path, told: dict[str, str]
) -> None:
    """Weakness 15: above 100 MiB the official CLI fails: it would have to keep the part."""
    source = sparse(tmp_path / "sparse.img", 300 * MIB)
    for wishes in (("--no-multipart",), ("--part-size", "300"), ("--part-size", "150")):
        checked = ("--opc-checksum-algorithm", "CRC32C", "--force", *wishes)
        peak, _ = measured(tmp_path, told, "put", "--file", str(source), *checked)
        assert peak < 80 * MIB, f"{peak / MIB:.0f} MiB"


def _clean(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home)}
