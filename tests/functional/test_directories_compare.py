"""What has the same size but another time is compared before it is moved."""

import os
import random
import sys
from pathlib import Path

import pytest

from ocihaul.directories.compare import Contents
from ocihaul.directories.listing import BucketIndex
from ocihaul.emulator import Fault
from ocihaul.storage.values import ListedObject
from ocihaul.transfer.source import FileSource
from tests.functional.directories import OLD, command, make, operations, run
from tests.world import MIB, World, world

FUTURE = 4_000_000_000
WHOLE = random.Random(5).randbytes(3 * MIB + 7)  # noqa: S311  not a secret
OTHER = bytes([WHOLE[0] ^ 1]) + WHOLE[1:]


def filled(root: Path, **files: bytes) -> Path:
    """A directory of files that are old enough for every rule."""
    root.mkdir()
    for name, data in files.items():
        (root / name).write_bytes(data)
        os.utime(root / name, (OLD, OLD))
    return root


def seed(w: World, **files: bytes) -> None:
    """`parts` comes in parts and declares nothing, `crc` in parts with CRC32C."""
    for name, data in files.items():
        part = MIB if name in {"parts", "crc"} else None
        algorithm = "CRC32C" if name == "crc" else None
        w.oci.put_object("backups", name, data, part_size=part, algorithm=algorithm)


def body_bytes(w: World) -> int:
    """Bytes of request bodies that belong to objects."""
    return w.part_bytes_received()


FILES = {"crc": WHOLE, "empty": b"", "large": WHOLE, "parts": WHOLE, "small": b"small"}


@pytest.mark.parametrize("mtime", [FUTURE, None])
@pytest.mark.parametrize("flags", [(), ("--checksum",), ("--delete",)])
def test_finding_b05_files_with_another_time_and_the_same_content_stay(
    tmp_path: Path, mtime: float | None, flags: tuple[str, ...]
) -> None:
    with world(tmp_path) as w:
        src = filled(tmp_path / "src", **FILES)
        seed(w, **FILES)
        for each in src.iterdir():
            os.utime(each, None if mtime is None else (mtime, mtime))
        before = {name: w.oci.object_info("backups", name).etag for name in FILES}
        ran = run(w, "sync", "--src-dir", str(src), *flags)
        assert ran.code == 0, ran.err
        assert ran.json["skipped-objects"] == sorted(FILES)
        assert body_bytes(w) == 0
        assert before == {name: w.oci.object_info("backups", name).etag for name in FILES}
        # The list has the MD5 of what came in one piece; only objects in parts are asked for.
        asked = operations(w)
        assert asked.pop("HeadObject") == 2
        assert asked.keys() <= {"GetBucket", "ListObjects"}


def test_finding_b05_what_differs_is_sent_after_the_comparison(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = filled(tmp_path / "src", **FILES)
        seed(w, crc=OTHER, empty=b"", large=OTHER, parts=OTHER, small=b"smalL")
        for each in src.iterdir():
            os.utime(each, (FUTURE, FUTURE))
        dry = run(w, "sync", "--src-dir", str(src), "--dry-run")
        assert dry.out.count("Uploading file") == 4
        assert f"Skipping file: {src / 'empty'}" in dry.out
        assert body_bytes(w) == 0
        ran = run(w, "sync", "--src-dir", str(src))
        assert ran.code == 0, ran.err
        assert sorted(ran.json["uploaded-objects"]) == ["crc", "large", "parts", "small"]
        assert {name: w.oci.read_object("backups", name) for name in FILES} == FILES


def test_finding_b05_the_same_size_and_an_older_time_is_seen_with_checksum(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = filled(tmp_path / "src", **FILES)
        seed(w, **(FILES | {"large": OTHER, "parts": OTHER}))
        assert sorted(run(w, "sync", "--src-dir", str(src)).json["skipped-objects"]) == [*FILES]
        assert body_bytes(w) == 0
        ran = run(w, "sync", "--src-dir", str(src), "--checksum")
        assert ran.code == 0, ran.err
        assert sorted(ran.json["uploaded-objects"]) == ["large", "parts"]
        assert ran.json["skipped-objects"] == ["crc", "empty", "small"]
        assert {name: w.oci.read_object("backups", name) for name in FILES} == FILES


@pytest.mark.parametrize("flags", [(), ("--checksum",)])
def test_finding_b05_objects_that_the_older_files_have_do_not_come_down(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with world(tmp_path) as w:
        target = filled(tmp_path / "d", **FILES)
        seed(w, **FILES)
        ran = run(w, "sync", "--dest-dir", str(target), *flags)
        assert ran.code == 0, ran.err
        assert ran.json["skipped-objects"] == sorted(FILES)
        asked = operations(w)
        assert "GetObject" not in asked
        assert asked["HeadObject"] == 2
        # The files have their objects' times now: nothing is read again.
        again = run(w, "sync", "--dest-dir", str(target))
        assert again.json["skipped-objects"] == sorted(FILES)
        assert operations(w)["HeadObject"] == 2


def test_finding_b05_objects_with_another_content_come_down(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        target = filled(tmp_path / "d", crc=OTHER, large=OTHER, parts=OTHER, small=b"smalL")
        seed(w, **FILES)
        for each in target.iterdir():
            os.utime(each, (FUTURE, FUTURE))
        assert run(w, "sync", "--dest-dir", str(target)).json["downloaded-objects"] == ["empty"]
        dry = run(w, "sync", "--dest-dir", str(target), "--checksum", "--dry-run")
        assert dry.out.count("Downloading object") == 4
        ran = run(w, "sync", "--dest-dir", str(target), "--checksum")
        assert ran.code == 0, ran.err
        assert ran.json["downloaded-objects"] == ["crc", "large", "parts", "small"]
        assert {each.name: each.read_bytes() for each in target.iterdir()} == FILES


def contents(w: World, *, part_size: int = MIB) -> Contents:
    storage = w.storage().__enter__()
    return Contents(storage, "ns1", "backups", {}, part_size=part_size, stop=w.stop)


def test_finding_b05_what_cannot_be_proved_is_not_the_same(tmp_path: Path) -> None:
    with world(tmp_path, fast=True) as w:
        source = filled(tmp_path / "src", x=WHOLE) / "x"
        w.oci.put_object("backups", "x", WHOLE)
        etag = w.oci.object_info("backups", "x").etag
        told = ListedObject(name="x", size=len(WHOLE), etag=etag)
        assert not contents(w).same(source, told), "a service without checksums"
        assert operations(w)["HeadObject"] == 1
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", WHOLE, part_size=333_333)
        info = w.oci.object_info("backups", "x")
        odd = ListedObject(name="x", size=len(WHOLE), etag=info.etag)
        assert not contents(w).same(source, odd), "parts of an odd size"
        assert contents(w, part_size=333_333).same(source, odd)
        other = ListedObject(name="x", size=len(WHOLE), etag="another")
        assert not contents(w, part_size=333_333).same(source, other), "it was replaced"
        gone = ListedObject(name="gone", size=len(WHOLE), etag="e")
        assert not contents(w).same(source, gone)


def test_finding_b05_a_file_that_changes_while_it_is_compared_is_not_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        source = filled(tmp_path / "src", x=WHOLE) / "x"
        w.oci.put_object("backups", "x", WHOLE)
        with w.storage() as storage:
            (listed,) = BucketIndex(storage, "ns1", "backups").objects()
        assert contents(w).same(source, listed)
        changed = []
        real = FileSource.read_into

        def meanwhile(self: FileSource, view: memoryview, offset: int) -> None:
            real(self, view, offset)
            os.utime(source, (FUTURE, FUTURE))
            changed.append(offset)

        monkeypatch.setattr(FileSource, "read_into", meanwhile)
        assert not contents(w).same(source, listed)
        assert changed


def test_finding_b05_a_trouble_while_comparing_is_that_files_own(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = filled(tmp_path / "src", **FILES)
        seed(w, **FILES)
        for each in src.iterdir():
            os.utime(each, (FUTURE, FUTURE))
        w.oci.faults.add(Fault(operation="HeadObject", status=403, times=1))
        ran = run(w, "sync", "--src-dir", str(src))
        assert ran.code == 1
        assert len(ran.json["upload-failures"]) == 1
        assert len(ran.json["skipped-objects"]) == 4
        assert body_bytes(w) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own figure")
def test_finding_b05_comparing_costs_no_memory_by_size(tmp_path: Path) -> None:
    script = (
        "import sys; from ocihaul.cli.app import run; code = run(sys.argv[1:]);"
        "print(open('/proc/self/status').read(), file=sys.stderr); sys.exit(code)"
    )
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        data = bytes(160 * MIB)
        (src / "large").write_bytes(data)
        w.oci.put_object("backups", "large", data)
        process = w.start_python("-c", script, *command("sync", "--src-dir", str(src)))
        ran = w.finish(process)
        assert ran.code == 0, ran.err
        assert '"skipped-objects": [\n    "large"' in ran.out
        (peak,) = [line for line in ran.err.splitlines() if line.startswith("VmHWM:")]
        assert int(peak.split()[1]) < 110 * 1024  # KiB
