"""`bulk-download`, `sync --dest-dir` and `bulk-delete` as a person runs them."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from ocihaul.transfer.download.local_file import DownloadCheckpoint
from tests.functional.directories import OLD, command, content, make, operations, run
from tests.world import MIB, World, world


def put(w: World, *names: str) -> None:
    for name in names:
        w.oci.put_object("backups", name, name.encode(), algorithm="CRC32C")


def test_a_prefix_comes_down(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "p/1", "p/a/2", "q")
        dest = tmp_path / "new" / "dest"
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--prefix", "p/")
        assert ran.code == 0, ran.err
        assert ran.json == {
            "download-failures": {},
            "downloaded-objects": ["p/1", "p/a/2"],
            "skipped-objects": [],
        }
        assert content(dest) == {"p/": b"", "p/1": b"p/1", "p/a/": b"", "p/a/2": b"p/a/2"}
        assert operations(w) == {"ListObjects": 1, "GetObject": 2}


def test_weakness_18_no_object_is_written_outside_of_the_directory(tmp_path: Path) -> None:
    """Weakness 18: names with "..", and links that lead out."""
    with world(tmp_path) as w:
        outside = make(tmp_path / "outside", "keep")
        dest = make(tmp_path / "dest")
        (dest / "link").symlink_to(outside)
        (dest / "file").symlink_to(outside / "made")
        evil = ["../x", "a/../../x", "..", "//abs", "a//b", "link/x", "file", "a/./b"]
        put(w, *evil, "good", "/abs")
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--overwrite")
        assert ran.code == 1
        assert sorted(ran.json["download-failures"]) == sorted(evil)
        assert ran.json["downloaded-objects"] == ["/abs", "good"]
        assert (dest / "abs").read_bytes() == b"/abs"
        assert content(outside) == {"keep": b"keep"}
        ours = {"dest", "outside", "oci", "state"}
        assert {path.name for path in tmp_path.iterdir()} <= ours


@pytest.mark.parametrize("size", [5, 2 * MIB])
def test_an_object_called_like_an_unfinished_download_takes_no_other_ones_place(
    tmp_path: Path, size: int
) -> None:
    """What an interrupted run had left was backed up: its name is where `name` gathers."""
    with world(tmp_path) as w:
        dest, right = tmp_path / "dest", os.urandom(size)
        w.oci.put_object("backups", "name", right, algorithm="CRC32C")
        w.oci.faults.add(Fault(operation="GetObject", status=403, code="NotNow", times=None))
        arguments = ["bulk-download", "--dest-dir", str(dest), "--parallel-operations-count", "1"]
        assert run(w, *arguments).code == 1
        w.oci.faults.clear()
        left = [path.name for path in dest.iterdir()]
        left = left or [f".{hashlib.sha256(b'name').hexdigest()[:16]}.ocihaul"]
        put(w, *left, ".ocihaul")
        ran = run(w, *arguments, "--overwrite")
        assert ran.code == 1
        assert sorted(ran.json["download-failures"]) == sorted(left)
        assert ran.json["downloaded-objects"] == [".ocihaul", "name"]
        assert (dest / "name").read_bytes() == right
        assert (dest / ".ocihaul").read_bytes() == b".ocihaul"


def test_odd_names_come_down_as_they_are(tmp_path: Path) -> None:
    names = ["new\nline", "-rf", "ü", "e\u0301", "back\\slash", "...", "%2e%2e", "~", "$HOME"]
    with world(tmp_path) as w:
        put(w, *names)
        ran = run(w, "bulk-download", "--dest-dir", str(tmp_path / "dest"))
        assert ran.code == 0, ran.err
        assert content(tmp_path / "dest") == {name: name.encode() for name in names}


def test_existing_files_are_replaced_kept_or_told(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "new", "old")
        dest = make(tmp_path / "dest")
        (dest / "old").write_text("mine")
        arguments = ["bulk-download", "--dest-dir", str(dest)]
        ran = run(w, *arguments)
        assert (ran.code, ran.json["downloaded-objects"]) == (1, ["new"])
        assert "--overwrite" in ran.json["download-failures"]["old"]
        ran = run(w, *arguments, "--no-overwrite")
        assert (ran.code, ran.json["skipped-objects"]) == (0, ["new", "old"])
        assert (dest / "old").read_text() == "mine"
        ran = run(w, *arguments, "--overwrite")
        assert (ran.code, len(ran.json["downloaded-objects"])) == (0, 2)
        assert (dest / "old").read_text() == "old"


def test_what_is_in_the_way_is_told_and_the_others_come(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "a", "a/b", "dir", "pipe", "z", "x" * 300, "bytes/")
        dest = make(tmp_path / "dest")
        (dest / "dir").mkdir()
        os.mkfifo(dest / "pipe")
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--overwrite")
        failures = ran.json["download-failures"]
        # Of "a" and "a/b" one can be; which one came first is nobody's business.
        (rival,) = {"a", "a/b"} & set(failures)
        assert sorted(failures) == [rival, "bytes/", "dir", "pipe", "x" * 300]
        assert "is a directory" in failures["dir"]
        assert "ends with '/'" in failures["bytes/"]
        (winner,) = {"a", "a/b"} - {rival}
        assert ran.json["downloaded-objects"] == [winner, "z"]


def test_a_cut_leaves_no_part_of_a_file_that_a_later_run_would_keep(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        sizes = {"a": 50_000, "large": 3 * MIB}
        for name, size in sizes.items():
            w.oci.put_object("backups", name, os.urandom(size))
            w.oci.faults.add(Fault(operation="GetObject", object_name=name, cut_at_byte=size // 2))
            w.oci.faults.add(
                Fault(operation="GetObject", object_name=name, status=403, code="No", times=None)
            )
        dest = tmp_path / "dest"
        ran = run(w, "bulk-download", "--dest-dir", str(dest))
        assert sorted(ran.json["download-failures"]) == ["a", "large"], ran.err
        assert {name for name in content(dest) if not name.startswith(".")} == set()
        w.oci.faults.clear()
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--no-overwrite")
        assert ran.json["downloaded-objects"] == ["a", "large"]
        assert sorted(content(dest)) == ["a", "large"], "nothing else is left"


def test_a_cut_is_gone_on_from(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "a", os.urandom(50_000))
        fault = Fault(operation="GetObject", cut_at_byte=20_000, times=2)
        w.oci.faults.add(fault)
        ran = run(w, "bulk-download", "--dest-dir", str(tmp_path / "dest"))
        assert ran.code == 0, ran.err
        assert (tmp_path / "dest" / "a").read_bytes() == w.oci.read_object("backups", "a")
        assert fault.fired == 2
        assert sum(entry.body_sent for entry in w.oci.log.entries()) < 55_000


def test_damage_on_the_way_is_mended_or_told(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "mended", "damaged")
        w.oci.put_object("backups", "md5", b"no crc32c here")
        for name, times in (("mended", 2), ("md5", 1), ("damaged", None)):
            w.oci.faults.add(
                Fault(operation="GetObject", object_name=name, corrupt=True, times=times)
            )
        dest = tmp_path / "dest"
        ran = run(w, "bulk-download", "--dest-dir", str(dest))
        assert ran.code == 1
        assert "checksum does not match" in ran.json["download-failures"]["damaged"]
        assert content(dest) == {"mended": b"mended", "md5": b"no crc32c here"}
        w.oci.faults.assert_all_fired()


@pytest.mark.slow
def test_large_objects_come_in_parts(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = os.urandom(MIB) * 130
        w.oci.put_object("backups", "large", data, part_size=64 * MIB)
        w.oci.put_object("backups", "parts", b"in one part" * 99, part_size=MIB)
        dest = tmp_path / "dest"
        ran = run(w, "sync", "--dest-dir", str(dest))
        assert ran.code == 0, ran.err
        assert (dest / "large").read_bytes() == data
        assert (dest / "parts").read_bytes() == b"in one part" * 99
        assert (
            len([e for e in w.oci.log.entries(operation="GetObject") if "range" in e.headers]) > 1
        )
        state = [path.name for path in (tmp_path / "state").iterdir()]
        assert not [name for name in state if name.endswith(".lock")], "no lock stays behind"
        ran = run(w, "sync", "--dest-dir", str(dest))
        assert ran.json["skipped-objects"] == ["large", "parts"]


def test_finding_e07_a_tree_takes_decimal_parts_and_names_odd_ones(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = os.urandom(11_000_003)
        w.oci.put_object("backups", "decimal", data, part_size=5_000_000)
        w.oci.put_object("backups", "odd", data, part_size=550_001)
        dest = tmp_path / "dest"
        ran = run(w, "bulk-download", "--dest-dir", str(dest))
        assert ran.code == 1
        assert list(ran.json["download-failures"]) == ["odd"]
        assert "550001 to" in ran.json["download-failures"]["odd"]
        assert w.oci.log.count(operation="GetObject") == 1, "of the other one"
        ran = run(
            w, "bulk-download", "--dest-dir", str(dest), "--part-size", "550001B", "--no-overwrite"
        )
        assert ran.code == 0, ran.err
        assert content(dest) == {"decimal": data, "odd": data}


def test_what_a_kill_between_the_last_two_steps_leaves_is_tidied_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "d/large", os.urandom(3 * MIB))
        dest = tmp_path / "dest"
        arguments = ["sync", "--dest-dir", str(dest)]
        with monkeypatch.context() as killed:
            killed.setattr(DownloadCheckpoint, "forget", DownloadCheckpoint.close)
            assert run(w, *arguments).code == 0
        (ranges,) = dest.rglob("*.ocihaul-ranges")
        half = ranges.with_name(ranges.name.removesuffix("-ranges"))
        half.touch()
        assert run(w, *arguments).json["skipped-objects"] == ["d/large"]
        assert ranges.exists(), "it belongs to a download that is not finished"
        half.unlink()
        assert run(w, *arguments).json["skipped-objects"] == ["d/large"]
        assert sorted(content(dest)) == ["d/", "d/large"]


# sync


def test_sync_fetches_what_is_new_or_different_and_sets_times(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "p/same", "p/newer", "p/longer")
        dest = tmp_path / "dest"
        arguments = ["sync", "--dest-dir", str(dest), "--prefix", "p/"]
        assert run(w, *arguments).code == 0
        info = w.oci.object_info("backups", "p/same").headers["last-modified"]
        from email.utils import parsedate_to_datetime  # noqa: PLC0415

        assert (dest / "same").stat().st_mtime == parsedate_to_datetime(info).timestamp()
        (dest / "newer").write_text("p/NEWER")
        os.utime(dest / "newer", (OLD, OLD))
        (dest / "longer").write_text("longer than it was")
        (dest / "extra").write_text("")
        ran = run(w, *arguments)
        assert ran.json["downloaded-objects"] == ["p/longer", "p/newer"]
        assert ran.json["skipped-objects"] == ["p/same"]
        assert (dest / "extra").exists()


def test_a_failed_file_keeps_its_time(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "x")
        dest = make(tmp_path / "dest")
        (dest / "x").write_text("old, of another size")
        os.utime(dest / "x", (OLD, OLD))
        w.oci.faults.add(Fault(operation="GetObject", status=403, code="No"))
        ran = run(w, "sync", "--dest-dir", str(dest))
        assert list(ran.json["download-failures"]) == ["x"]
        assert (dest / "x").stat().st_mtime == OLD
        assert (dest / "x").read_text() == "old, of another size"


def test_weakness_17_placeholders_become_directories(tmp_path: Path) -> None:
    """Weakness 17: the official CLI breaks where the prefix itself is an object."""
    with world(tmp_path) as w:
        for name in ("dir/", "dir/empty/", "dir/full/"):
            w.oci.put_object("backups", name, b"")
        put(w, "dir/full/x")
        dest = tmp_path / "dest"
        ran = run(w, "sync", "--dest-dir", str(dest), "--prefix", "dir/", "--delete")
        assert ran.code == 0, ran.err
        assert content(dest) == {"empty/": b"", "full/": b"", "full/x": b"dir/full/x"}
        ran = run(w, "sync", "--dest-dir", str(dest), "--prefix", "dir/", "--delete")
        assert ran.json["deleted-files"] == []
        assert len(ran.json["skipped-objects"]) == 4


def test_delete_takes_files_without_objects_and_nothing_else(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "a", "d/b", "../evil")
        w.oci.put_object("backups", "cold", b"", storage_tier="Archive")
        outside = make(tmp_path / "outside", "keep")
        dest = make(
            tmp_path / "dest", "a", "d/b", "d/gone", "e/f/gone", "keep.tmp", "cold", ".x.ab.ocihaul"
        )
        (dest / "link").symlink_to(outside)
        (dest / "filelink").symlink_to(outside / "keep")
        arguments = ["sync", "--dest-dir", str(dest), "--delete", "--exclude", "*.tmp"]
        ran = run(w, *arguments, "--dry-run")
        gone = [f"{dest}/{name}" for name in ("d/gone", "e/", "e/f/", "e/f/gone", "filelink")]
        assert [line for line in ran.out.splitlines() if line.startswith("Deleting")] == [
            f"Deleting : {path}" for path in gone
        ]
        assert (dest / "d" / "gone").exists()
        ran = run(w, *arguments)
        assert ran.code == 1, "the evil name"
        assert ran.json["deleted-files"] == gone
        assert ran.json["skipped-objects"] == ["a", "cold", "d/b"]
        left = {"a", "d/", "d/b", "keep.tmp", "cold", ".x.ab.ocihaul", "link/"}
        assert set(content(dest)) - {"link/keep"} == left
        assert content(outside) == {"keep": b"keep"}


def test_a_file_that_came_through_a_link_is_not_deleted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        dest = make(tmp_path / "dest", "dir/old", "gone", "empty/x")
        (dest / "dir" / "deep").mkdir()
        (dest / "link").symlink_to("dir")
        (dest / "again").symlink_to("link/deep")
        (dest / "file").symlink_to("behind")
        (dest / "behind").write_text("")
        (dest / "to-empty").symlink_to("empty")
        put(w, "link/a", "again/b", "file")
        for _ in range(2):
            ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
            assert ran.code == 0, ran.err
            assert (dest / "link" / "a").read_bytes() == b"link/a"
            assert (dest / "dir" / "deep" / "b").read_bytes() == b"again/b"
            assert (dest / "behind").read_bytes() == b"file"
        left = {path.name for path in dest.iterdir()}
        assert left == {"dir", "link", "again", "file", "behind", "empty", "to-empty"}
        assert not (dest / "dir" / "old").exists()


def test_no_object_at_all_deletes_nothing(tmp_path: Path) -> None:
    """A prefix that is misspelt."""
    with world(tmp_path) as w:
        put(w, "right/a")
        dest = make(tmp_path / "dest", "a")
        for wish in ((), ("--dry-run",)):
            ran = run(w, "sync", "--dest-dir", str(dest), "--prefix", "wrong/", "--delete", *wish)
            assert ran.code == 1
            assert "'wrong/'" in ran.err
            assert not ran.out
        assert (dest / "a").exists()
        (dest / "a").unlink()
        ran = run(w, "sync", "--dest-dir", str(dest), "--prefix", "wrong/", "--delete")
        assert ran.code == 0, ran.err


def test_a_disk_that_is_full_or_gone_ends_the_run_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of a million objects, each fetched in vain."""
    with world(tmp_path) as w:
        put(w, *map(str, range(300)))
        dest = make(tmp_path / "dest", "mine")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", full)
            ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.code == 1
        assert "No space left on device" in ran.err
        assert w.oci.log.count(operation="GetObject") < 100
        assert content(dest) == {"mine": b"mine"}
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert (ran.code, len(ran.json["downloaded-objects"])) == (0, 300)
        assert not (dest / "mine").exists()


def test_a_list_that_fails_deletes_nothing(tmp_path: Path) -> None:
    with world(tmp_path, page_limit=2) as w:
        put(w, "a", "b", "c", "d")
        dest = make(tmp_path / "dest", "z")
        fault = w.oci.faults.add(Fault(operation="ListObjects", after=1, status=403, code="No"))
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.code == 1
        assert fault.fired
        assert not ran.out
        assert (dest / "z").exists()


def test_an_archived_object_is_told_by_name(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "cold", b"x", storage_tier="Archive")
        put(w, "warm")
        ran = run(w, "bulk-download", "--dest-dir", str(tmp_path / "dest"))
        assert "Archive tier" in ran.json["download-failures"]["cold"]
        assert ran.json["downloaded-objects"] == ["warm"]


def test_a_bucket_that_is_none_leaves_the_files_alone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        dest = make(tmp_path / "dest", "a")
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete", "--bucket-name", "nope")
        assert ran.code == 1
        assert ran.err.count("BucketNotFound") == 1
        assert content(dest) == {"a": b"a"}


def test_a_dry_run_makes_nothing_but_the_directory(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "a", "b/c")
        dest = tmp_path / "dest"
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--dry-run")
        assert ran.out.splitlines() == ["a", "b/c"]
        ran = run(w, "sync", "--dest-dir", str(dest), "--dry-run")
        assert ran.out.splitlines() == ["Downloading object: a", "Downloading object: b/c"]
        assert content(dest) == {}


# bulk-delete


def test_weakness_19_a_prefix_is_deleted_in_batches_and_listed_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, *[f"p/{index:04}" for index in range(1100)], "q")
        ran = run(w, "bulk-delete", "--prefix", "p/", "--force", "--verbose")
        assert ran.code == 0, ran.err
        assert len(ran.json["deleted-objects"]) == 1100
        assert ": 1100 deleted, 1100 found" in ran.err
        assert "p/0007 deleted" in ran.err
        assert ran.json["delete-failures"] == {}
        assert w.oci.object_names("backups") == ["q"]
        assert operations(w) == {"ListObjects": 2, "BatchDeleteObjects": 2}


def test_a_service_without_batches_gets_single_deletions(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, *map(str, range(30)))
        w.oci.faults.add(Fault(operation="BatchDeleteObjects", status=404, code="NotFound"))
        w.oci.faults.add(Fault(operation="DeleteObject", object_name="7", status=403, code="Held"))
        ran = run(w, "bulk-delete", "--force")
        assert ran.code == 1
        assert list(ran.json["delete-failures"]) == ["7"]
        assert len(ran.json["deleted-objects"]) == 29
        assert w.oci.object_names("backups") == ["7"]
        counts = operations(w)
        assert counts == {"ListObjects": 1, "BatchDeleteObjects": 1, "DeleteObject": 30}


def test_weakness_19_objects_that_cannot_be_deleted_make_no_endless_loop(tmp_path: Path) -> None:
    with world(tmp_path, page_limit=10) as w:
        put(w, *[f"{index:02}" for index in range(40)])
        w.oci.faults.add(Fault(operation="BatchDeleteObjects", status=501, code="NotImplemented"))
        w.oci.faults.add(Fault(operation="DeleteObject", status=403, code="Held", times=None))
        ran = run(w, "bulk-delete", "--force")
        assert ran.code == 1
        assert len(ran.json["delete-failures"]) == 40
        assert operations(w)["ListObjects"] == 4


def test_nothing_is_deleted_without_being_asked_for(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "a", "b.tmp", "d/c")
        ran = run(w, "bulk-delete")
        assert ran.code == 1
        assert "--force" in ran.err
        ran = run(w, "bulk-delete", "--dry-run", "--exclude", "*.tmp")
        assert ran.json == {"delete-failures": {}, "deleted-objects": ["a", "d/c"]}
        assert operations(w) == {"ListObjects": 2}, "the question says how many there are"
        ran = run(w, "bulk-delete", "--force", "--delimiter", "/")
        assert ran.json["deleted-objects"] == ["a", "b.tmp"]
        assert w.oci.object_names("backups") == ["d/c"]


@pytest.mark.slow
def test_an_interruption_says_so_and_prints_no_half_answer(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, *map(str, range(30)))
        w.oci.faults.add(Fault(operation="GetObject", stall_seconds=20, after=10, times=None))
        process = w.start(*command("bulk-download", "--dest-dir", str(tmp_path / "dest")))
        for _ in range(12):
            w.oci.log.wait_for(lambda entry: entry.operation == "GetObject")
        process.terminate()
        ran = w.finish(process, timeout=15)
        assert ran.code == 130, ran.err
        assert not ran.out
        w.oci.faults.clear()
        ran = w.finish(w.start(*command("bulk-download", "--dest-dir", str(tmp_path / "dest"))))
        assert len(json.loads(ran.out)["downloaded-objects"]) == 30, "those of the first run, too"


def test_a_link_to_the_directory_itself_keeps_its_files(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "self/a", "b")
        dest = make(tmp_path / "dest", "extra")
        (dest / "self").symlink_to(dest)
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.code == 0, ran.err
        assert sorted(path.name for path in dest.iterdir()) == ["a", "b", "self"]
        assert (dest / "a").read_text() == "self/a"
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.json["skipped-objects"] == ["b", "self/a"]
        assert (dest / "a").exists()


def test_a_file_with_too_many_names_through_links_is_left(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        put(w, "b")
        dest = make(tmp_path / "dest", "extra")
        for number in range(30):  # 30 ** 8 names for each file
            (dest / f"self{number}").symlink_to(dest)
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.code == 0, ran.err
        assert {"b", "extra", "self0"} <= {path.name for path in dest.iterdir()}
