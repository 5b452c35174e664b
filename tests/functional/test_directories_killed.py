"""kill -9 at random moments: the same command, run again, resumes.

There are large files among the small ones, so kills land in multipart uploads and in downloads by
ranges, too. OCIHAUL_TREE_KILLS says how often `sync` is killed on each way; the bulk commands
share its engine and differ in their memory, so they are killed a quarter as often.
"""

import contextlib
import json
import math
import os
import random
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Fault
from ocihaul.emulator.log import LogEntry
from tests.functional import forked
from tests.functional.directories import command, content, make
from tests.functional.forked import PART, Forked
from tests.world import World, world

KILLS = int(os.environ.get("OCIHAUL_TREE_KILLS", "100"))
WORKERS = 5
#: Large files, and the parts that each has.
LARGE, PARTS = 3, 6

pytestmark = pytest.mark.timeout(120 + 5 * KILLS)


#: An object, or a part or range of it: the name and the number, 0 for all of it.
Piece = tuple[str, int]


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
    finished: list[tuple[set[Piece], float]] = field(default_factory=list)

    def count(self, operation: str) -> int:
        return sum(entry.operation == operation for entry in self.requests)

    def moved_again(self) -> set[Piece]:
        """What a run moved although an earlier one had finished it."""
        until = [seen_at for _, seen_at in self.finished[1:]] + [math.inf]
        return {
            piece_of(entry)
            for (pieces, since), end in zip(self.finished, until, strict=True)
            for entry in self.requests
            if entry.operation in {"PutObject", "UploadPart", "GetObject"}
            if since < entry.started_at <= end and piece_of(entry) in pieces
        }

    def lost(self) -> set[Piece]:
        """What was finished at one kill and not at the next, parts of what is not whole aside."""
        whole = [{piece for piece in pieces if not piece[1]} for pieces, _ in self.finished]
        return {piece for one, next_ in pairwise(whole) for piece in one - next_}


def piece_of(entry: LogEntry) -> Piece:
    """What a request moves."""
    name = entry.path.split("/", 6)[6].replace("%2F", "/")
    start = re.match(r"bytes=(\d+)-", entry.headers.get("range", ""))
    number = int(start[1]) // PART + 1 if start else 0
    return name, entry.part_number or number


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

    def finished(self, prefix: str) -> set[str]:
        """The objects that no later run may move again."""
        raise NotImplementedError

    def parts(self, prefix: str) -> set[Piece]:
        """The parts and ranges of unfinished files that the next run may not move again."""
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

    def parts(self, prefix: str) -> set[Piece]:
        query = "SELECT object, number FROM parts JOIN uploads ON uploads.id = parts.upload"
        rows = select(self.w.home / "state" / "journal.sqlite3", query)
        return {(name, number) for name, number in rows if name.startswith(prefix)}


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
        paths = (path for path in self.dest(prefix).rglob("[!.]*") if path.is_file())
        return {self.object_of(path, prefix) for path in paths}

    def object_of(self, path: Path, prefix: str) -> str:
        return prefix + str(path.relative_to(self.dest(prefix))).removeprefix(prefix)

    def parts(self, prefix: str) -> set[Piece]:
        return {
            (self.object_of(ranges.with_name("large"), prefix), number)
            for ranges in self.dest(prefix).rglob(".large*-ranges")
            if ranges.with_name(ranges.name.removesuffix("-ranges")).exists()
            for number in numbers(ranges)
        }


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
        return {name for name in self.column("name FROM files") if name.startswith(prefix)}

    def over(self, prefix: str) -> bool:
        """Whether a run that was killed had ended: the next one would begin anew."""
        all_there = len(self.there(prefix)) == self.small + LARGE
        return all_there and not self.column("key FROM runs")

    def column(self, query: str) -> set[str]:
        rows = select(self.w.home / "state" / "trees.sqlite3", f"SELECT {query}")
        return {value for (value,) in rows}


class BulkUp(Remembering, Up):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        place = ("--src-dir", str(self.src), "--prefix", prefix)
        return ("bulk-upload", *place, "--overwrite", *workers("upload"))


class BulkDown(Remembering, Down):
    def arguments(self, prefix: str) -> tuple[str, ...]:
        place = ("--dest-dir", str(self.dest(prefix)), "--prefix", prefix)
        return ("bulk-download", *place, "--overwrite", *workers("operations"))


def select(path: Path, query: str) -> list[Any]:
    with sqlite3.connect(path) as database:
        rows = database.execute(query).fetchall()
    database.close()
    return rows


def numbers(ranges: Path) -> Iterator[int]:
    """The numbers of the ranges that a download has noted; the last line may be cut."""
    for line in ranges.read_text().splitlines()[1:]:
        with contextlib.suppress(ValueError):
            yield json.loads(line)[0]


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
                    check_databases(w)
                    if isinstance(way, Remembering) and way.over(tree.prefix):
                        break
                    parts = way.parts(tree.prefix)
                    whole = {(name, 0) for name in way.finished(tree.prefix)}
                    tree.finished.append((whole | parts, time.time()))
                    tree.half_way += bool(parts)
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
            assert select(path, "PRAGMA integrity_check") == [("ok",)]


def check_summary(tree: Killed, key: str, names: set[str]) -> None:
    if tree.told is not None:
        done = {*tree.told[key], *tree.told["skipped-objects"]}
        assert done == names, "the summary is that of the whole"


@pytest.mark.slow
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
            assert tree.moved_again() == tree.lost() == set()
            # What was in flight; a bulk command may also lose that a large file has just ended.
            parts = WORKERS if command_ is SyncUp else PARTS
            assert tree.count("UploadPart") <= LARGE * PARTS + tree.kills * parts
            assert tree.count("CreateMultipartUpload") <= LARGE + tree.kills
            if command_ is SyncUp:
                assert tree.count("PutObject") <= way.small + tree.kills * WORKERS
        assert kills == way.kills
        # How many do depends on how busy the machine is.
        assert half_way >= kills // 50, "kills land inside large files"


@pytest.mark.slow
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
            assert tree.moved_again() == tree.lost() == set()
            if command_ is SyncDown:
                # What was in flight: small objects and ranges.
                all_of_it = way.small + LARGE * PARTS
                assert tree.count("GetObject") <= all_of_it + tree.kills * 2 * WORKERS
        assert kills == way.kills
        # How many do depends on how busy the machine is.
        assert half_way >= kills // 50, "kills land inside large files"
