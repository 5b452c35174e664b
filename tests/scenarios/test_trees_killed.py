"""kill -9 at random moments: the same command, run again, goes on.

There are large files among the small ones, so kills land in multipart uploads and in downloads by
ranges, too. OCIHAUL_TREE_KILLS says how often `sync` is killed on each way; the bulk commands
share its engine and differ in their memory, so they are killed a quarter as often.
"""

import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Fault
from ocihaul.emulator.log import LogEntry
from tests.scenarios import forked
from tests.scenarios.forked import PART, Forked
from tests.scenarios.trees import command, content, make
from tests.world import World, world

KILLS = int(os.environ.get("OCIHAUL_TREE_KILLS", "100"))
WORKERS = 5
#: Large files, and the parts that each has.
LARGE, PARTS = 3, 6

pytestmark = pytest.mark.timeout(120 + 5 * KILLS)


@dataclass
class Killed:
    """One tree, moved by runs of which all but the last were killed."""

    prefix: str
    kills: int = 0
    #: Kills that came while a large file was half-way.
    half_way: int = 0
    #: What the last run said; nothing, if it was killed behind its last request.
    told: dict[str, Any] | None = None
    requests: list[LogEntry] = field(default_factory=list)
    #: After each kill, what is finished, and the moment when that was seen: epoch seconds.
    finished: list[tuple[set[str], float]] = field(default_factory=list)

    def count(self, operation: str) -> int:
        return sum(entry.operation == operation for entry in self.requests)

    def moved_again(self, operation: str) -> set[str]:
        """What was asked for although an earlier run had finished it."""
        moved = [
            (entry.path.partition("/o/")[2].replace("%2F", "/"), entry.started_at)
            for entry in self.requests
            if entry.operation == operation
        ]
        return {
            name
            for names, seen_at in self.finished
            for name, started_at in moved
            if started_at > seen_at and name in names
        }


class Way:
    """What a command does, and how it is seen from outside how far it has come."""

    #: A run is killed when it has made fewer requests than this.
    most = 40
    #: How many small files there are in a tree.
    small = 160
    kills = KILLS

    def __init__(self, w: World) -> None:
        self.w = w
        self.names = [f"d{index % 9}/{index}" for index in range(self.small)]

    def prepare(self, prefix: str) -> None:
        """Before the first run of a tree."""

    def arguments(self, prefix: str) -> tuple[str, ...]:
        raise NotImplementedError

    def half_way(self, prefix: str) -> bool:
        """Whether a large file is half-way."""
        raise NotImplementedError

    def finished(self, prefix: str) -> set[str]:
        """The objects that no later run may move again."""
        raise NotImplementedError

    def there(self, prefix: str) -> set[str]:
        """The objects that are where they belong."""
        raise NotImplementedError


class Up(Way):
    """From one directory to one prefix after the other."""

    def __init__(self, w: World) -> None:
        super().__init__(w)
        self.src = make(w.home / "src", *self.names)
        for number in range(LARGE):
            w.file(PARTS * PART - number, f"src/d{number}/large")

    def there(self, prefix: str) -> set[str]:
        names = self.w.oci.object_names("backups")
        return {name for name in names if name.startswith(prefix)}

    def half_way(self, prefix: str) -> bool:
        uploads = self.w.oci.uploads("backups")
        return any(each.parts and each.object_name.startswith(prefix) for each in uploads)


class Down(Way):
    """From one prefix to one directory after the other."""

    def prepare(self, prefix: str) -> None:
        for name in self.names:
            self.w.oci.put_object("backups", prefix + name, name.encode(), algorithm="CRC32C")
        for number in range(LARGE):
            data = os.urandom(PARTS * PART - number)
            name = f"{prefix}d{number}/large"
            self.w.oci.put_object("backups", name, data, algorithm="CRC32C")

    def dest(self, prefix: str) -> Path:
        return self.w.home / "dest" / prefix

    def there(self, prefix: str) -> set[str]:
        dest = self.dest(prefix)
        paths = (path for path in dest.rglob("[!.]*") if path.is_file())
        return {prefix + str(path.relative_to(dest)).removeprefix(prefix) for path in paths}

    def half_way(self, prefix: str) -> bool:
        return any(self.dest(prefix).rglob(".large*"))


class SyncUp(Up):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        return ("sync", "--src-dir", str(self.src), "--prefix", prefix, *workers("operations"))

    def finished(self, prefix: str) -> set[str]:
        return self.there(prefix)


class SyncDown(Down):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        dest = str(self.dest(prefix))
        return ("sync", "--dest-dir", dest, "--prefix", prefix, *workers("operations"))

    def finished(self, prefix: str) -> set[str]:
        return self.there(prefix)


class Remembering(Way):
    """A command with a ledger, which is up to a quarter of a second late: so runs are longer."""

    most = small = 400
    kills = max(KILLS // 4, 1)

    def finished(self, prefix: str) -> set[str]:
        names = self.column("SELECT name FROM files")
        return {name for name in names if name.startswith(prefix)}

    def over(self, prefix: str) -> bool:
        """Whether a run that was killed had ended: the next one would begin anew."""
        all_there = len(self.there(prefix)) == self.small + LARGE
        return all_there and not self.column("SELECT key FROM runs")

    def column(self, query: str) -> set[str]:
        path = self.w.home / "state" / "trees.sqlite3"
        with sqlite3.connect(path) as database:
            rows = database.execute(query).fetchall()
        database.close()
        return {value for (value,) in rows}


class BulkUp(Remembering, Up):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        place = ("--src-dir", str(self.src), "--prefix", prefix)
        return ("bulk-upload", *place, "--overwrite", *workers("upload"))


class BulkDown(Remembering, Down):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        place = ("--dest-dir", str(self.dest(prefix)), "--prefix", prefix)
        return ("bulk-download", *place, "--overwrite", *workers("operations"))


def workers(kind: str) -> tuple[str, str]:
    return f"--parallel-{kind}-count", str(WORKERS)


def killed_again_and_again(way: Way) -> Iterator[Killed]:
    """Trees, one after the other, until there were enough kills in all of them together."""
    chance = random.Random(7)  # noqa: S311  the moments of the kills
    w = way.w
    # A fault that never comes counts the requests.
    requests = w.oci.faults.add(Fault(after=2**62))
    kills = trees = 0
    while kills < way.kills:
        tree = Killed(f"tree{trees}/")
        way.prepare(tree.prefix)
        began = last_request(w)
        words = command(*way.arguments(tree.prefix))
        while True:
            process = forked.start(w, *words)
            if kills < way.kills:
                wait_for(requests, chance.randrange(way.most), process)
                if process.kill():
                    kills += 1
                    tree.kills += 1
                    tree.half_way += way.half_way(tree.prefix)
                    tree.finished.append((way.finished(tree.prefix), time.time()))
                    check_databases(w)
                    if isinstance(way, Remembering) and way.over(tree.prefix):
                        break
                    continue
            ran = process.finish()
            assert ran.code == 0, ran.err
            tree.told = json.loads(ran.out)
            break
        tree.requests = [entry for entry in w.oci.log.entries() if entry.sequence > began]
        trees += 1
        yield tree


def last_request(w: World) -> int:
    entries = w.oci.log.entries()
    return entries[-1].sequence if entries else 0


def wait_for(requests: Fault, count: int, process: Forked) -> None:
    """Until the emulator has seen that many more, or the process has ended."""
    enough = requests.seen + count
    while requests.seen < enough and not process.ended():
        time.sleep(0.001)  # another process: there is nothing else to wait on


def check_databases(w: World) -> None:
    for name in ("journal.sqlite3", "trees.sqlite3"):
        path = w.home / "state" / name
        if path.exists():
            with sqlite3.connect(path) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.close()


def check_summary(tree: Killed, key: str, names: set[str]) -> None:
    if tree.told is not None:
        done = {*tree.told[key], *tree.told["skipped-objects"]}
        assert done == names, "the summary is that of the whole"


@pytest.mark.parametrize("command_", [SyncUp, BulkUp])
def test_an_upload_goes_on_where_it_was_killed(tmp_path: Path, command_: type[Up]) -> None:
    with world(tmp_path) as w:
        way, kills, half_way = command_(w), 0, 0
        for tree in killed_again_and_again(way):
            kills, half_way = kills + tree.kills, half_way + tree.half_way
            for name in way.names:
                assert w.oci.read_object("backups", tree.prefix + name) == name.encode()
            for number in range(LARGE):
                large = f"d{number}/large"
                assert w.arrived_whole(way.src / large, tree.prefix + large)
            names = [name for name in w.oci.object_names("backups") if name.startswith(tree.prefix)]
            assert len(names) == way.small + LARGE
            # A kill may swallow the answer to a creation: nobody knows that upload, nor its parts.
            left = w.oci.uploads("backups")
            assert not any(upload.parts for upload in left), "nothing that costs is left behind"
            check_summary(tree, "uploaded-objects", set(names))
            assert tree.moved_again("PutObject") == set()
            # What was in flight; a bulk command may also lose that a large file has just ended.
            parts = WORKERS if command_ is SyncUp else PARTS
            assert tree.count("UploadPart") <= LARGE * PARTS + tree.kills * parts
            assert tree.count("CreateMultipartUpload") <= LARGE + tree.kills
            if command_ is SyncUp:
                assert tree.count("PutObject") <= way.small + tree.kills * WORKERS
        assert kills == way.kills
        assert half_way >= kills // 10, "kills land inside large files"


@pytest.mark.parametrize("command_", [SyncDown, BulkDown])
def test_a_download_goes_on_where_it_was_killed(tmp_path: Path, command_: type[Down]) -> None:
    with world(tmp_path) as w:
        way, kills, half_way = command_(w), 0, 0
        for tree in killed_again_and_again(way):
            kills, half_way = kills + tree.kills, half_way + tree.half_way
            names = {name for name in w.oci.object_names("backups") if name.startswith(tree.prefix)}
            below = "" if command_ is SyncDown else tree.prefix
            found = content(way.dest(tree.prefix))
            files = {path: data for path, data in found.items() if not path.endswith("/")}
            assert files == {
                below + name.removeprefix(tree.prefix): w.oci.read_object("backups", name)
                for name in names
            }, "all of them, and no litter"
            check_summary(tree, "downloaded-objects", names)
            assert tree.moved_again("GetObject") == set()
            if command_ is SyncDown:
                # What was in flight: small objects and ranges.
                all_of_it = way.small + LARGE * PARTS
                assert tree.count("GetObject") <= all_of_it + tree.kills * 2 * WORKERS
        assert kills == way.kills
        assert half_way >= kills // 10, "kills land inside large files"
