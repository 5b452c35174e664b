"""kill -9 at random moments: the same command, run again, goes on.

OCIHAUL_TREE_KILLS says how often each of the three is killed.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.scenarios.trees import command, content, make, run
from tests.world import World, world

KILLS = int(os.environ.get("OCIHAUL_TREE_KILLS", "6"))
FILES = max(400, 60 * KILLS)
WORKERS = 5


def killed_again_and_again(w: World, arguments: list[str], operation: str) -> int:
    """Kill runs of a command at moments of its work; returns how many were killed in it."""
    killed = 0
    chance = random.Random(7)  # noqa: S311  not a secret
    for _ in range(KILLS):
        before = w.oci.log.count(operation=operation)
        process = w.start(*command(*arguments))
        enough = before + chance.randrange(1, FILES // KILLS)
        deadline = time.monotonic() + 30
        while w.oci.log.count(operation=operation) < enough and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        killed += process.wait() == -9
        process.communicate()
    return killed


pytestmark = pytest.mark.timeout(60 + 15 * KILLS)


@pytest.mark.parametrize("name", ["bulk-upload", "sync"])
def test_an_upload_goes_on_where_it_was_killed(tmp_path: Path, name: str) -> None:
    names = [f"d{index % 9}/{index}" for index in range(FILES)]
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *names)
        arguments = [name, "--src-dir", str(src)]
        if name == "bulk-upload":
            arguments += ["--overwrite", "--parallel-upload-count", str(WORKERS)]
        else:
            arguments += ["--parallel-operations-count", str(WORKERS)]
        killed = killed_again_and_again(w, arguments, "PutObject")
        assert killed == KILLS
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        assert w.oci.object_names("backups") == sorted(names)
        for each in names:
            assert w.oci.read_object("backups", each) == each.encode()
        done = ran.json["uploaded-objects"]
        if name == "bulk-upload":
            assert len(done) == FILES, "the summary is that of the whole"
        # What was in flight at a kill, and what the ledger had not committed yet.
        sent = w.oci.log.count(operation="PutObject")
        uncommitted = FILES // KILLS if name == "bulk-upload" else 0
        assert sent <= FILES + killed * (WORKERS + uncommitted)
        assert sent < 2 * FILES


def test_a_download_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    names = [f"d{index % 9}/{index}" for index in range(FILES)]
    with world(tmp_path) as w:
        for each in names:
            w.oci.put_object("backups", each, each.encode(), algorithm="CRC32C")
        dest = tmp_path / "dest"
        arguments = ["sync", "--dest-dir", str(dest), "--parallel-operations-count", str(WORKERS)]
        killed = killed_again_and_again(w, arguments, "GetObject")
        assert killed == KILLS
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        found = content(dest)
        files = {
            path: data
            for path, data in found.items()
            if not path.endswith("/") and "/." not in path
        }
        assert files == {each: each.encode() for each in names}
        assert w.oci.log.count(operation="GetObject") <= FILES + killed * 2 * WORKERS
        assert not [path for path in found if path.endswith(".ocihaul")], "no litter"
