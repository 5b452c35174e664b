"""Many files: up, a few of them changed, up again, down. OCIHAUL_TREE_FILES says how many.

Memory is that of the real command, as the kernel counts it. By default there are few files, and
the limit only shows that nothing is out of hand; the figure that counts is that of 100,000 files.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_memory import _MEASURED, _clean
from tests.scenarios.trees import command

MIB = 2**20
FILES = int(os.environ.get("OCIHAUL_TREE_FILES", "2000"))
#: Bytes of each file.
SIZE = 200


@contextmanager
def emulator(home: Path) -> Iterator[dict[str, Any]]:
    """An emulator in a process of its own; what it says about itself."""
    ready = home / "ready.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ocihaul.emulator", "--profile-dir", str(home / "oci")),
            *("--ready-file", str(ready)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)  # another process: there is nothing else to wait on
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        process.wait(30 + FILES // 500)  # it removes what it has kept


def measured(home: Path, told: dict[str, Any], *arguments: str) -> tuple[Any, float]:
    """The JSON of a run, and its peak in MiB."""
    whole = [
        *(sys.executable, "-m", "ocihaul", *command(*arguments)),
        *("--config-file", told["config"], "--endpoint", told["endpoint"]),
        *("--auth-endpoint", told["endpoint"]),
    ]
    with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(home / "peak"), *whole],
            check=False,
            stdout=out,
            stderr=err,
            env=_clean(home) | {"OCIHAUL_STATE_DIR": str(home / "state")},
        )
        took = time.monotonic() - began
    assert done.returncode == 0, (home / "err").read_text()[-2000:]
    unit = 1 if sys.platform == "darwin" else 1024
    peak = int((home / "peak").read_text()) * unit / MIB
    sys.stdout.write(f"{' '.join(arguments[:1])}: {peak:.0f} MiB, {took:.1f} s\n")
    return json.loads((home / "out").read_text()), peak


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the kernel's own figure needs wait4")
@pytest.mark.timeout(max(120, FILES // 20))
def test_many_files_up_changed_and_down(tmp_path: Path) -> None:
    src, dest = tmp_path / "src", tmp_path / "dest"
    names = [f"d{index % 97:02}/{index // 970:03}/{index:07}" for index in range(FILES)]
    for name in names:
        path = src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode().ljust(SIZE, b"."))
    with emulator(tmp_path) as told:
        up = ("sync", "--src-dir", str(src), "--delete")
        ran, peak_up = measured(tmp_path, told, *up)
        assert len(ran["uploaded-objects"]) == FILES

        changed = names[:: max(FILES // (FILES // 100), 1)]
        for name in changed:
            (src / name).write_bytes(b"changed " + name.encode())
        ran, peak_again = measured(tmp_path, told, *up)
        assert sorted(ran["uploaded-objects"]) == sorted(changed)
        assert len(ran["skipped-objects"]) == FILES - len(changed)

        ran, peak_down = measured(tmp_path, told, "sync", "--dest-dir", str(dest), "--delete")
        assert len(ran["downloaded-objects"]) == FILES
        assert ran["deleted-files"] == []
        for name in names:
            assert (dest / name).read_bytes() == (src / name).read_bytes()
    assert max(peak_up, peak_again, peak_down) < 200
