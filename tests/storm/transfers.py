"""The commands that a storm hits, each with its files and objects, and what it may leave."""

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ocihaul.transfer.download.request import RangePlan
from tests.functional.directories import OLD, command
from tests.functional.forked import PART
from tests.storm.pieces import Piece, Range, Whole
from tests.storm.state import State
from tests.world import World

BUCKET = "backups"
_KIB = 2**10


class Transfer:
    """One command, what it moves from where to where, and what was there before.

    `wanted` is what the names will have in the end, `old` what some of them had at first; for
    downloads the names are paths below `directory`.
    """

    kind = ""
    #: Bytes of a part or range.
    part_size = PART
    #: Whether a run goes on where the one before it was killed.
    goes_on = True

    def __init__(self, w: World, number: int, chance: random.Random) -> None:
        self.w = w
        self.chance = chance
        self.prefix = f"t{number}/"
        self.root = w.home / f"t{number}"
        self.root.mkdir()
        self.wanted: dict[str, bytes] = {}
        self.old: dict[str, bytes] = {}
        self.replaces = chance.random() < 0.5
        self.prepare()

    def prepare(self) -> None:
        """Make the files and objects before the first run."""
        raise NotImplementedError

    def command(self) -> tuple[str, ...]:
        """The command that is run, killed and run again."""
        raise NotImplementedError

    def later(self) -> tuple[str, ...]:
        """The command that a person runs next; it has nothing to do, and has to see that."""
        raise NotImplementedError

    stdin: Path | None = None

    def finished(self, state: State) -> set[Piece]:
        """What no later run may move again, beside the parts in the journal."""
        # Without an unfinished run in the ledger the next one begins anew, as it should.
        return self.arrived() | {Whole(name) for name in state.files if name in self.wanted}

    def arrived(self) -> set[Piece]:
        """What can be seen to be finished where it belongs."""
        return set()

    def settled(self) -> set[Piece]:
        """What `later` may not move."""
        return set()

    def wrong(self) -> Iterator[str]:
        """Names under which there is neither what was there before nor what has to come."""
        raise NotImplementedError

    def missing(self) -> Iterator[str]:
        """Names under which there is not yet what has to come."""
        raise NotImplementedError

    def temporaries(self) -> list[Path]:
        """What a download has left beside its targets."""
        return []

    def clean(self) -> None:
        """Give the disk back."""
        shutil.rmtree(self.root)

    # For the sub-classes

    def noise(self, least: int, most: int) -> bytes:
        return self.chance.randbytes(self.chance.randint(least, most))

    def file(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (OLD, OLD))
        return path

    def put(self, name: str, data: bytes) -> None:
        self.w.oci.put_object(BUCKET, name, data, algorithm=self.chance.choice(["CRC32C", None]))


def wrong_in(
    names: dict[str, bytes], old: dict[str, bytes], read: Callable[[str], bytes | None]
) -> Iterator[str]:
    for name, data in names.items():
        there = read(name)
        if there is None and name in old:
            yield f"{name} is gone"
        elif there not in (None, data, old.get(name)):
            yield f"{name} is neither the old one nor the new one"


class Upload(Transfer):
    """What makes objects."""

    def object(self, name: str) -> bytes | None:
        if name not in self.w.oci.object_names(BUCKET):
            return None
        return self.w.oci.read_object(BUCKET, name)

    def wrong(self) -> Iterator[str]:
        return wrong_in(self.wanted, self.old, self.object)

    def missing(self) -> Iterator[str]:
        return (name for name, data in self.wanted.items() if self.object(name) != data)


class Put(Upload):
    """One file becomes one object."""

    sizes = (1, 1)
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.prefix}object"

    def prepare(self) -> None:
        self.wanted = {self.name: self.noise(*self.sizes)}
        self.source = self.file("source", self.wanted[self.name])
        if self.replaces:
            self.old = {self.name: self.noise(1, 200 * _KIB)}
            self.put(self.name, self.old[self.name])

    def command(self) -> tuple[str, ...]:
        existing = "--force" if self.replaces else "--no-overwrite"
        return command(
            *("put", "--file", str(self.source), "--name", self.name, existing),
            *self.flags,
        )

    def later(self) -> tuple[str, ...]:
        place = ("--file", str(self.source), "--name", self.name)
        return command("put", *place, "--no-overwrite", *self.flags)

    def settled(self) -> set[Piece]:
        return {Whole(self.name)}


class PutSmall(Put):
    kind = "put, small"
    sizes = (1, 200 * _KIB)


class PutSingle(Put):
    kind = "put, single request"
    sizes = (PART, 4 * PART)
    flags = ("--no-multipart",)


class PutMultipart(Put):
    kind = "put, multipart"
    sizes = (6 * PART, 12 * PART)
    flags = ("--parallel-upload-count", "4")


class PutPipe(Put):
    """A pipe: each run begins anew, so there is nothing that it may not send again."""

    kind = "put, pipe"
    goes_on = False
    sizes = (1, 6 * PART)

    def command(self) -> tuple[str, ...]:
        self.stdin = self.source
        existing = "--force" if self.replaces else "--no-overwrite"
        place = ("--file", "-", "--name", self.name, existing)
        return command("put", *place, "--part-size", "1", "--parallel-upload-count", "3")

    def later(self) -> tuple[str, ...]:
        self.stdin = None
        return command("get", "--name", self.name, "--file", str(self.root / "back"))

    def settled(self) -> set[Piece]:
        return set()


class Download(Transfer):
    """What makes local files, below `directory`."""

    directory: Path

    def local(self, name: str) -> bytes | None:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def wrong(self) -> Iterator[str]:
        yield from wrong_in(self.wanted, self.old, self.local)
        known = {self.directory / name for name in self.wanted}
        for path in self.directory.rglob("*"):
            if path.is_file() and path not in known and not path.name.startswith("."):
                yield f"{path.name} is no file of ours"

    def missing(self) -> Iterator[str]:
        return (name for name, data in self.wanted.items() if self.local(name) != data)

    def temporaries(self) -> list[Path]:
        return [path for path in self.directory.rglob(".*") if "ocihaul" in path.name]

    def ranges(self, name: str, object_name: str) -> Iterator[Range]:
        """The ranges of one file that an unfinished download has noted as finished."""
        target = self.directory / name
        for noted in target.parent.glob(f".{target.name}.*ocihaul-ranges"):
            if not noted.with_name(noted.name.removesuffix("-ranges")).exists():
                continue
            lines = noted.read_text().splitlines()
            plan = None
            with contextlib.suppress(ValueError, KeyError, IndexError):  # killed as it was written
                plan = RangePlan(**json.loads(lines[0])["plan"])
            for line in lines[1:] if plan else ():
                with contextlib.suppress(ValueError):
                    number, _, blocks = json.loads(line)
                    if isinstance(blocks, list) and plan is not None:
                        start, length = plan.part(number)
                        yield Range(object_name, plan.start + start, plan.start + start + length)


class Get(Download):
    """One object becomes one file."""

    sizes = (1, 1)

    @property
    def name(self) -> str:
        return f"{self.prefix}object"

    def prepare(self) -> None:
        self.directory = self.root / "down"
        self.directory.mkdir()
        self.wanted = {"target": self.noise(*self.sizes)}
        self.put(self.name, self.wanted["target"])
        if self.replaces:
            self.old = {"target": self.noise(1, 200 * _KIB)}
            self.file("down/target", self.old["target"])

    def command(self) -> tuple[str, ...]:
        target = str(self.directory / "target")
        ranged = ("--multipart-download-threshold", "1", "--part-size", "1")
        many = ("--parallel-download-count", "4")
        return command("get", "--name", self.name, "--file", target, *ranged, *many)

    later = command

    def arrived(self) -> set[Piece]:
        return set(self.ranges("target", self.name))


class GetSmall(Get):
    kind = "get, small"
    sizes = (1, 200 * _KIB)


class GetRanged(Get):
    kind = "get, ranges"
    sizes = (6 * PART, 12 * PART)


class Directory(Transfer):
    """Small files, some that are larger and go in one request, and some in parts or ranges."""

    part_size = 2 * PART

    def contents(self) -> dict[str, bytes]:
        small = {f"d{index % 3}/{index}": self.noise(0, 30 * _KIB) for index in range(10)}
        middle = {f"d{index}/middle": self.noise(PART, 2 * PART) for index in range(4)}
        large = {f"d{index}/large": self.noise(2 * PART, 6 * PART) for index in range(3)}
        return small | middle | large

    def prepare_old(self, names: list[str]) -> dict[str, bytes]:
        """Another content for some of the names; its size differs, so that `sync` sees it."""
        if not self.replaces:
            return {}
        return {name: self.noise(31 * _KIB, 40 * _KIB) for name in names[::4]}


class DirectoryUpload(Directory, Upload):
    def prepare(self) -> None:
        contents = self.contents()
        for name, data in contents.items():
            self.file(f"src/{name}", data)
        self.wanted = {self.prefix + name: data for name, data in contents.items()}
        self.old = self.prepare_old(list(self.wanted))
        for name, data in self.old.items():
            self.put(name, data)

    def place(self) -> tuple[str, ...]:
        return ("--src-dir", str(self.root / "src"), "--prefix", self.prefix)

    def settled(self) -> set[Piece]:
        return {Whole(name) for name in self.wanted}

    def there(self) -> set[Piece]:
        missing = set(self.missing())
        return {Whole(name) for name in self.wanted if name not in missing}


class SyncUp(DirectoryUpload):
    kind = "sync, up"

    def command(self) -> tuple[str, ...]:
        return command("sync", *self.place(), "--parallel-operations-count", "4")

    later = command

    def arrived(self) -> set[Piece]:
        return self.there()


class BulkUp(DirectoryUpload):
    kind = "bulk-upload"

    def command(self) -> tuple[str, ...]:
        many = ("--parallel-upload-count", "4")
        return command("bulk-upload", *self.place(), "--overwrite", *many)

    def later(self) -> tuple[str, ...]:
        return command("bulk-upload", *self.place(), "--no-overwrite")


class DirectoryDownload(Directory, Download):
    #: What the paths below `directory` begin with.
    below = ""

    def prepare(self) -> None:
        self.directory = self.root / "down"
        contents = self.contents()
        for name, data in contents.items():
            self.put(self.prefix + name, data)
        below = self.prefix if self.below else ""
        self.wanted = {below + name: data for name, data in contents.items()}
        self.old = self.prepare_old(list(self.wanted))
        self.directory.mkdir()
        for name, data in self.old.items():
            self.file(f"down/{name}", data)

    def object_name(self, name: str) -> str:
        return name if self.below else self.prefix + name

    def place(self) -> tuple[str, ...]:
        return ("--prefix", self.prefix, "--parallel-operations-count", "4")

    def settled(self) -> set[Piece]:
        return {Whole(self.object_name(name)) for name in self.wanted}

    def noted(self) -> set[Piece]:
        return {each for name in self.wanted for each in self.ranges(name, self.object_name(name))}


class SyncDown(DirectoryDownload):
    kind = "sync, down"

    def command(self) -> tuple[str, ...]:
        return command("sync", "--dest-dir", str(self.directory), *self.place())

    later = command

    def arrived(self) -> set[Piece]:
        missing = set(self.missing())
        there = {self.object_name(name) for name in self.wanted if name not in missing}
        return {Whole(name) for name in there} | self.noted()


class BulkDown(DirectoryDownload):
    kind = "bulk-download"
    below = "prefix"

    def command(self) -> tuple[str, ...]:
        target = ("--download-dir", str(self.directory))
        return command("bulk-download", *target, *self.place(), "--overwrite")

    def later(self) -> tuple[str, ...]:
        target = ("--download-dir", str(self.directory))
        return command("bulk-download", *target, *self.place(), "--no-overwrite")

    def arrived(self) -> set[Piece]:
        return self.noted()


TRANSFERS: tuple[type[Transfer], ...] = (
    *(PutSmall, PutSingle, PutMultipart, PutPipe, GetSmall, GetRanged),
    *(SyncUp, SyncDown, BulkUp, BulkDown),
)
