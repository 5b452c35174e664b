"""10,000 flipped bits on real sockets and in storage: each is seen, and mended or told.

One bit in one body at a time, so that none hides behind another, and small bodies, because what
counts is how many there are. The emulator counts the bits that it has really flipped.
"""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.emulator.settings import Checksums
from ocihaul.errors import ChecksumError, UploadIncompleteError
from ocihaul.events import PartResent
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import plan
from ocihaul.transfer.download.download import download
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.upload.part_uploader import MOST_SENDS
from tests.functional.directories import content, run
from tests.world import World, world

#: How many bits are flipped on each way, at the least.
FILES, PIPES, TREES_UP, TREES_DOWN, RANGES = 2600, 1800, 2600, 2000, 1000
assert FILES + PIPES + TREES_UP + TREES_DOWN + RANGES == 10_000

#: Bytes of a part or a range.
PART = 257
#: Parts of an object, or files of a tree, until the faults are cleared: each request looks at all.
BATCH = 100


@pytest.fixture
def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # Parts of whole MiB would be large ones.
    monkeypatch.setattr(plan, "LIMITS", plan.ServiceLimits(smallest_part=1, unit=1))
    with world(tmp_path) as one:
        yield one


class Damage:
    """Plans flipped bits, and knows how many there were."""

    def __init__(self, w: World, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311  which bits
        self.flipped = 0
        self._faults = w.oci.faults
        self._planned: list[Fault] = []

    def data(self, most: int = 2000) -> bytes:
        """Some bytes, at least one."""
        return self.chance.randbytes(self.chance.randint(1, most))

    def plan(self, operation: str, size: int, times: int, **where: object) -> None:
        """One bit in each of so many bodies of `size` bytes in a row."""
        for _ in range(times):
            self._add(operation, corrupt_at_byte=self.chance.randrange(size), **where)

    def rot(self, operation: str, size: int, name: str) -> None:
        """One bit of an object of `size` bytes, where it is stored."""
        self._add(operation, object_name=name, rot_at_byte=self.chance.randrange(size))

    def _add(self, operation: str, **what: object) -> None:
        fault = Fault(operation=operation, **what)  # type: ignore[arg-type]  # by name
        self._planned.append(self._faults.add(fault))

    def mendable(self) -> int:
        """How often in a row a body may be damaged without an error."""
        return self.chance.randint(1, MOST_SENDS - 1)

    def done(self) -> int:
        """How many bits were flipped since the last time: all that were planned."""
        self._faults.assert_all_fired()
        self._faults.clear()
        count = sum(fault.fired for fault in self._planned)
        assert count == len(self._planned)
        self._planned.clear()
        self.flipped += count
        return count


def send(w: World, data: bytes, *, piped: bool, verify: bool = False, parallel: int = 3) -> None:
    """Upload `data` in parts, from a file or from a pipe."""
    source = w.home / "x"
    source.write_bytes(data)
    stream = io.BytesIO(data) if piped else None
    w.upload(source, stream=stream, part_size=PART, parallel=parallel, verify_checksum=verify)


def resent(w: World) -> int:
    return len(w.heard.of(PartResent))


@pytest.mark.slow
@pytest.mark.parametrize("checksums", ["declared", "never"], ids=["CRC32C", "MD5 only"])
@pytest.mark.parametrize(("piped", "flips"), [(False, FILES // 2), (True, PIPES // 2)])
def test_each_flip_in_a_part_is_seen_and_mended(
    w: World, piped: bool, flips: int, checksums: Checksums
) -> None:
    w.oci.configure(checksums=checksums)
    damage = Damage(w, 1)
    while damage.flipped < flips:
        data = damage.chance.randbytes(BATCH * PART - 50)
        for number in range(1, BATCH + 1):
            size = PART if number < BATCH else PART - 50
            damage.plan("UploadPart", size, damage.mendable(), part_number=number)
        before = resent(w)
        send(w, data, piped=piped, verify=damage.chance.random() < 0.5)
        assert w.oci.read_object("backups", "x") == data
        assert resent(w) - before == damage.done(), "no more and no fewer than there were"


@pytest.mark.parametrize("piped", [False, True])
def test_flips_that_do_not_stop_end_in_an_error_and_nothing_is_committed(
    w: World, piped: bool
) -> None:
    damage = Damage(w, 2)
    for _ in range(50):
        data = damage.chance.randbytes(3 * PART)
        damage.plan("UploadPart", PART, MOST_SENDS, part_number=damage.chance.randint(1, 3))
        with pytest.raises(UploadIncompleteError) as caught:
            # One at a time: no part that was given up may come late, and take the next flip away.
            send(w, data, piped=piped, parallel=1)
        assert isinstance(caught.value.__cause__, ChecksumError)
        assert damage.done() == MOST_SENDS
        assert w.oci.object_names("backups") == []
        assert not (piped and w.oci.uploads("backups")), "a stream leaves nothing to go on with"
    assert w.oci.log.count(operation="CommitMultipartUpload") == 0


@pytest.mark.slow
def test_each_flip_in_a_small_file_of_a_tree_is_seen(w: World, tmp_path: Path) -> None:
    """The service refuses what it got; a file that never arrives whole is told, and not stored."""
    damage, root = Damage(w, 3), tmp_path / "tree"
    root.mkdir()
    while damage.flipped < TREES_UP:
        names = {f"{index:03}" for index in range(BATCH)}
        lost = set(damage.chance.sample(sorted(names), k=3))
        for name in names:
            data = damage.data()
            (root / name).write_bytes(data)
            times = MOST_SENDS if name in lost else damage.mendable()
            damage.plan("PutObject", len(data), times, object_name=f"p/{name}")
        before = w.oci.log.count(operation="PutObject")
        ran = run(w, "bulk-upload", "--src-dir", str(root), "--object-prefix", "p/", "--overwrite")
        refused = w.oci.log.entries(operation="PutObject")[before:]
        assert sum(entry.status == 400 for entry in refused) == damage.done()
        assert ran.code == 1
        failed = ran.json["upload-failures"]
        assert {f"p/{name}" for name in lost} == set(failed)
        assert all("damaged" in text for text in failed.values())
        stored = {
            name: w.oci.read_object("backups", name) for name in w.oci.object_names("backups")
        }
        assert stored == {f"p/{name}": (root / name).read_bytes() for name in names - lost}
        ran = run(w, "bulk-delete", "--force", "--prefix", "p/")
        assert ran.code == 0, ran.err


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["CRC32C", None], ids=["CRC32C", "MD5 only"])
def test_each_flip_in_a_small_object_of_a_tree_is_seen(
    w: World, tmp_path: Path, algorithm: str | None
) -> None:
    """A flip on the way is mended; one in storage stays, and so does the error."""
    damage, dest = Damage(w, 4), tmp_path / "dest"
    while damage.flipped < TREES_DOWN // 2:
        objects = {f"{index:03}": damage.data() for index in range(BATCH)}
        lost, rotten = set(sorted(objects)[:3]), set(sorted(objects)[-10:])
        for name, data in objects.items():
            w.oci.put_object("backups", name, data, algorithm=algorithm)
            if name in rotten:
                damage.rot("GetObject", len(data), name)
                continue
            times = MOST_SENDS if name in lost else damage.mendable()
            damage.plan("GetObject", len(data), times, object_name=name)
        before = w.oci.log.count(operation="GetObject")
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--overwrite")
        assert ran.code == 1
        failed = ran.json["download-failures"]
        assert set(failed) == lost | rotten
        assert all("checksum does not match" in text for text in failed.values())
        whole = {name: data for name, data in objects.items() if name not in failed}
        assert content(dest) == whole, "and nothing else is there"
        asked = w.oci.log.count(operation="GetObject") - before
        again = damage.done() + (MOST_SENDS - 1) * len(rotten)
        assert asked == len(whole) + again, "no more and no fewer than there were"


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["CRC32C", None], ids=["CRC32C", "MD5 only"])
def test_each_flip_in_a_range_is_seen_and_the_file_does_not_appear(
    w: World, tmp_path: Path, algorithm: str | None
) -> None:
    """Nothing says which range it was, so all are fetched again by the next run."""
    damage, directory, ways = Damage(w, 5), tmp_path / "dest", ("first", "second", "third", "rot")
    directory.mkdir()
    with w.storage() as storage:
        while damage.flipped < RANGES // 2:
            data, name = damage.chance.randbytes(3 * PART - 1), f"{damage.flipped}"
            target = directory / name
            w.oci.put_object("backups", name, data, algorithm=algorithm)
            way = ways[damage.flipped % len(ways)]
            if way == "rot":
                damage.rot("HeadObject", len(data), name)
            else:
                where = {"object_name": name, "after": ways.index(way)}
                damage.plan("GetObject", PART - 1, 1, **where)
            with pytest.raises(ChecksumError, match="does not match"):
                fetch(w, storage, target)
            assert list(directory.iterdir()) == [], "no file, and nothing to go on with"
            assert damage.done() == 1
            if way != "rot":
                fetch(w, storage, target)
                assert target.read_bytes() == data
                target.unlink()


def fetch(w: World, storage: StorageClient, target: Path) -> None:
    request = DownloadRequest(
        namespace="ns1",
        bucket="backups",
        name=target.name,
        target=target,
        part_size=PART,
        threshold=PART,
        parallel=2,
    )
    result = download(storage, request, listener=w.heard, directory=w.home / "state")
    assert result.part_count == 3
    assert result.checked_by is not None
