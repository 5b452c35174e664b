"""Many files: up, a few of them changed, up again, down, killed half-way on each way.

OCIHAUL_TREE_FILES says how many, OCIHAUL_TREE_NAMES how many names are compared. Memory is that of
the real command, as the kernel counts it. By default there are few, and the limits only show that
nothing is out of hand; the figures that count are those of 100,000 files and a million names:
`make test-many`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.errors import ServiceError
from ocihaul.storage.client import StorageClient
from tests.functional import many_names
from tests.functional.directories import command
from tests.functional.test_memory import _MEASURED, _clean

MIB = 2**20
FILES = int(os.environ.get("OCIHAUL_TREE_FILES", "2000"))
NAMES = int(os.environ.get("OCIHAUL_TREE_NAMES", "20000"))
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


def whole(told: dict[str, Any], *arguments: str) -> list[str]:
    """The command against that emulator."""
    return [
        *(sys.executable, "-m", "ocihaul", *command(*arguments)),
        *("--config-file", told["config"], "--endpoint", told["endpoint"]),
        *("--auth-endpoint", told["endpoint"]),
    ]


def environ(home: Path) -> dict[str, str]:
    return _clean(home) | {"OCIHAUL_STATE_DIR": str(home / "state")}


def measured(home: Path, what: str, *program: str) -> tuple[Any, float]:
    """The JSON that a program prints, and its peak in MiB, which is told with the time."""
    with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(home / "peak"), *program],
            check=False,
            stdout=out,
            stderr=err,
            env=environ(home),
        )
        took = time.monotonic() - began
    assert done.returncode == 0, (home / "err").read_text()[-2000:]
    unit = 1 if sys.platform == "darwin" else 1024
    peak = int((home / "peak").read_text()) * unit / MIB
    sys.stdout.write(f"{what}: {peak:.0f} MiB, {took:.1f} s\n")
    return json.loads((home / "out").read_text()), peak


def killed(
    home: Path, told: dict[str, Any], arguments: tuple[str, ...], when: Callable[[], bool]
) -> None:
    """Run a command, and kill -9 it when that is so; it must not be at its end by then."""
    with (home / "out").open("wb") as out:
        process = subprocess.Popen(
            whole(told, *arguments), stdout=out, stderr=subprocess.STDOUT, env=environ(home)
        )
        while not when():
            assert process.poll() is None, (home / "out").read_text()[-2000:]
            time.sleep(0.02)  # another process: there is nothing else to wait on
        process.kill()
        assert process.wait() == -signal.SIGKILL


@contextmanager
def storage(home: Path, told: dict[str, Any]) -> Iterator[StorageClient]:
    """A look from outside at what has arrived."""
    endpoint = told["endpoint"]
    flags = Flags(
        config_file=told["config"],
        auth="security_token",
        endpoint=endpoint,
        auth_endpoint=endpoint,
    )
    with Client(resolve(flags, {}, home)) as client:
        yield client.storage


def has(client: StorageClient, name: str) -> bool:
    try:
        client.head_object("ns1", "backups", name)
    except ServiceError as error:
        if error.status != 404:
            raise
        return False
    return True


needs_wait4 = pytest.mark.skipif(
    not hasattr(os, "wait4"), reason="the kernel's own figure needs wait4"
)


@pytest.mark.slow
@needs_wait4
@pytest.mark.timeout(max(120, FILES // 20))
def test_many_files_up_changed_and_down_and_killed_half_way(tmp_path: Path) -> None:
    src, dest = tmp_path / "src", tmp_path / "dest"
    names = [f"d{index % 97:02}/{index // 970:03}/{index:07}" for index in range(FILES)]
    for name in names:
        path = src / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode().ljust(SIZE, b"."))
    half = sorted(names)[FILES // 2]
    up = ("sync", "--src-dir", str(src), "--delete")
    down = ("sync", "--dest-dir", str(dest), "--delete")
    with emulator(tmp_path) as told:
        with storage(tmp_path, told) as client:
            killed(tmp_path, told, up, lambda: has(client, half))
        ran, peak_up = measured(tmp_path, "the other half up", *whole(told, *up))
        check_gone_on(ran["uploaded-objects"], ran["skipped-objects"])

        changed = names[:: max(FILES // (FILES // 100), 1)]
        for name in changed:
            (src / name).write_bytes(b"changed " + name.encode())
        ran, peak_again = measured(tmp_path, "what changed", *whole(told, *up))
        assert sorted(ran["uploaded-objects"]) == sorted(changed)
        assert len(ran["skipped-objects"]) == FILES - len(changed)

        killed(tmp_path, told, down, (dest / half).exists)
        ran, peak_down = measured(tmp_path, "the other half down", *whole(told, *down))
        check_gone_on(ran["downloaded-objects"], ran["skipped-objects"])
        assert ran["deleted-files"] == []
        for name in names:
            assert (dest / name).read_bytes() == (src / name).read_bytes()
    assert max(peak_up, peak_again, peak_down) < 200


def check_gone_on(moved: Any, skipped: Any) -> None:
    """A run that was killed half-way has moved one half, and the next one the other."""
    assert len(moved) + len(skipped) == FILES
    # A hundred around the middle were in the hands of the workers.
    assert len(skipped) > FILES // 2 - 100
    assert len(moved) > FILES // 20


@pytest.mark.slow
@needs_wait4
@pytest.mark.timeout(max(120, NAMES // 2000))
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_million_names_are_compared_in_bounded_memory(tmp_path: Path, direction: str) -> None:
    """Nine of ten are in one directory, whose names are sorted in memory: the worst there is."""
    root = tmp_path / "tree"
    directory = first = None
    for number, name in enumerate(many_names.local(NAMES)):
        path = root / name
        if path.parent != directory:
            directory = path.parent
            directory.mkdir(parents=True)
        if first is None or number % 30_000 == 0:  # a file may have so many names
            first = path
            first.touch()
        else:
            path.hardlink_to(first)
    try:
        script = (sys.executable, many_names.__file__, direction, str(root), str(NAMES))
        told, peak = measured(tmp_path, f"names {direction}", *script)
    finally:
        shutil.rmtree(root)
    gaps = NAMES // many_names.GAP
    ours, theirs = ("uploaded", "extra") if direction == "up" else ("deleted", "downloaded")
    assert told[ours] == told[theirs] == gaps
    assert told["skipped"] == NAMES - 2 * gaps
    assert peak < 150
