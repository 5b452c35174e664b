"""`bulk-upload` and `sync --src-dir` as a person runs them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ocihaul.directories import listing
from ocihaul.directories.compare import SyncMode
from ocihaul.directories.request import DirectoryUpload, make_filter
from ocihaul.directories.results import DELETED, FAILED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.emulator.faults import Fault
from ocihaul.transfer import plan
from tests.functional.directories import command, make, operations, run
from tests.world import MIB, world


def test_a_directory_goes_up(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a/1", "a/b/2", "3")
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--prefix", "p/", "--verify-checksum")
        assert ran.code == 0, ran.err
        assert ran.json.keys() == {"skipped-objects", "upload-failures", "uploaded-objects"}
        assert w.oci.object_names("backups") == ["p/3", "p/a/1", "p/a/b/2"]
        assert w.oci.read_object("backups", "p/a/b/2") == b"a/b/2"
        told = ran.json["uploaded-objects"]["p/3"]
        assert told["etag"] == w.oci.object_info("backups", "p/3").etag
        assert told["verify-md5-checksum"].startswith("md5 checksum matches [Local: ")
        assert operations(w) == {"GetBucket": 1, "ListObjects": 1, "PutObject": 3}


def test_a_service_without_md5_is_not_said_to_match(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.configure(fast=True)
        src = make(tmp_path / "src", "small")
        (src / "large").write_bytes(bytes(3 * MIB))
        ran = run(
            w,
            *["bulk-upload", "--src-dir", str(src), "--verify-checksum", "--part-size", "1"],
        )
        assert ran.code == 0, ran.err
        for name in ("small", "large"):
            told = ran.json["uploaded-objects"][name]["verify-md5-checksum"]
            assert told.startswith("md5 checksum could not be verified")


def test_every_header_goes_along(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "page.html", "none")
        ran = run(
            w,
            *["bulk-upload", "--src-dir", str(src), "--content-type", "auto", "--overwrite"],
            *["--metadata", '{"who": "me"}', "--storage-tier", "InfrequentAccess"],
            *["--cache-control", "no-store", "--content-language", "de"],
        )
        assert ran.code == 0, ran.err
        page = w.oci.object_info("backups", "page.html")
        assert page.headers["content-type"] == "text/html"
        assert page.metadata == {"who": "me"}
        assert page.storage_tier == "InfrequentAccess"
        assert page.headers["cache-control"] == "no-store"
        assert operations(w) == {"GetBucket": 1, "PutObject": 2}, "--overwrite needs no list"


def test_weakness_22_existing_objects_are_replaced_kept_or_told(tmp_path: Path) -> None:
    """Weakness 22: nothing is asked where there is nobody, and stdout is the answer alone."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "new", "old")
        w.oci.put_object("backups", "old", b"there")
        ran = run(w, "bulk-upload", "--src-dir", str(src))
        assert ran.code == 1
        assert list(ran.json["uploaded-objects"]) == ["new"]
        assert "--overwrite" in ran.json["upload-failures"]["old"]
        assert w.oci.read_object("backups", "old") == b"there"

        ran = run(w, "bulk-upload", "--src-dir", str(src), "--no-overwrite")
        assert (ran.code, ran.json["skipped-objects"]) == (0, ["new", "old"])

        ran = run(w, "bulk-upload", "--src-dir", str(src), "--overwrite")
        assert (ran.code, len(ran.json["uploaded-objects"])) == (0, 2)
        assert w.oci.read_object("backups", "old") == b"old"


def test_weakness_30_a_file_of_too_many_parts_gets_larger_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 30: with two parts allowed, as if the file had more than 10,000."""
    monkeypatch.setattr(plan, "LIMITS", plan.ServiceLimits(most_parts=2))
    with world(tmp_path) as w:
        make(tmp_path / "src")
        large = w.file(25 * MIB, "src/large")
        arguments = ["bulk-upload", "--src-dir", str(tmp_path / "src"), "--part-size", "10"]
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(large)
        assert operations(w)["UploadPart"] == 2


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "x")
        fault = w.oci.faults.add(Fault(operation="PutObject", stall_seconds=1.0, stall_at_byte=0))
        process = w.start(*command("bulk-upload", "--src-dir", str(src)))
        w.oci.log.wait_for(lambda entry: entry.operation == "ListObjects")
        w.oci.put_object("backups", "x", b"somebody else's")
        ran = w.finish(process)
        assert ran.code == 1
        assert "Another writer has replaced it" in json.loads(ran.out)["upload-failures"]["x"]
        assert w.oci.read_object("backups", "x") == b"somebody else's"
        assert fault.seen


def test_odd_names_go_up_as_they_are(tmp_path: Path) -> None:
    names = ["new\nline", "-rf", "ü", "e\u0301", "\u00e9", "back\\slash", "sp ace", "%41", "'\""]
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *names, b"bad\xff")
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--overwrite")
        assert ran.code == 1
        assert w.oci.object_names("backups") == sorted(names)
        assert list(ran.json["upload-failures"]) == ["bad\\udcff"]
        assert "not valid UTF-8" in ran.json["upload-failures"]["bad\\udcff"]


def test_what_cannot_go_up_does_not_stop_the_others(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "z", "locked/in", "secret")
        os.mkfifo(src / "pipe")
        (src / "lost").symlink_to("nowhere")
        (src / "loop").symlink_to(".")
        w.oci.faults.add(Fault(operation="PutObject", object_name="a", status=403, code="No"))
        hidden = os.getuid() != 0
        if hidden:
            (src / "locked").chmod(0)
            (src / "secret").chmod(0)
        try:
            ran = run(w, "bulk-upload", "--src-dir", str(src), "--overwrite")
        finally:
            (src / "locked").chmod(0o700)
        assert ran.code == 1
        failed = set(ran.json["upload-failures"])
        assert failed == {"a", "lost"} | ({"locked/", "secret"} if hidden else set())
        assert "z" in ran.json["uploaded-objects"]
        assert "pipe is left out: it is a pipe" in ran.err
        assert "loop/ is left out" in ran.err
        assert "failed: a: PutObject: 403" in ran.err


def test_a_bucket_that_is_none_is_one_error(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *map(str, range(30)))
        for mode in ("--overwrite", "--no-overwrite"):
            ran = run(w, "bulk-upload", "--src-dir", str(src), "--bucket-name", "nope", mode)
            assert ran.code == 1
            assert not ran.out
            assert ran.err.count("BucketNotFound") == 1
        assert operations(w) == {"GetBucket": 2}


def test_a_source_that_is_none_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for name in ("bulk-upload", "sync"):
            ran = run(w, name, "--src-dir", str(tmp_path / "nowhere"))
            assert ran.code == 2
            assert "does not exist" in ran.err or "cannot be read as a directory" in ran.err
        assert not w.oci.log.count()


def test_a_dry_run_sends_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b/c", "kept")
        w.oci.put_object("backups", "kept", b"")
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--no-overwrite", "--dry-run")
        assert ran.out.splitlines() == [f"{src}/a", f"{src}/b/c"]
        assert w.oci.object_names("backups") == ["kept"]
        w.oci.put_object("backups", "extra", b"")
        ran = run(w, "sync", "--src-dir", str(src), "--delete", "--dry-run")
        assert ran.out.splitlines() == [
            f"Uploading file: {src}/a",
            f"Uploading file: {src}/b/c",
            f"Uploading file: {src}/kept",
            "Deleting object: extra",
        ]
        assert w.oci.object_names("backups") == ["extra", "kept"]


def test_large_files_go_in_parts_through_the_journal(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "small")
        for index in range(3):
            w.file(21 * MIB + index, f"src/large{index}")
        w.file(3 * MIB, "src/medium")
        arguments = ["bulk-upload", "--src-dir", str(src), "--overwrite", "--part-size", "10"]
        ran = run(w, *arguments, "--parallel-upload-count", "4")
        assert ran.code == 0, ran.err
        for name in ("large0", "large1", "large2", "medium", "small"):
            assert w.arrived_whole(src / name)
        counts = operations(w)
        assert counts["UploadPart"] == 9
        assert counts["CreateMultipartUpload"] == counts["CommitMultipartUpload"] == 3
        assert counts["PutObject"] == 2
        told = ran.json["uploaded-objects"]["large0"]
        assert told["opc-multipart-md5"].endswith("-3")


def test_a_failed_large_file_is_gone_on_with(tmp_path: Path) -> None:
    """Weakness 10: what is unfinished is neither forgotten nor begun anew."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "small")
        w.file(35 * MIB, "src/large")
        fault = Fault(operation="UploadPart", part_number=3, status=403, code="NotNow")
        w.oci.faults.add(fault)
        arguments = ["bulk-upload", "--src-dir", str(src), "--overwrite", "--part-size", "10"]
        ran = run(w, *arguments, "--parallel-upload-count", "1")
        assert ran.code == 1
        assert list(ran.json["upload-failures"]) == ["large"]
        assert fault.fired
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(src / "large")
        assert operations(w)["CreateMultipartUpload"] == 1
        assert operations(w)["PutObject"] == 1, "the small file is not sent again"
        assert sorted(ran.json["uploaded-objects"]) == ["large", "small"]


def test_a_large_file_that_has_changed_is_begun_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        large = w.file(21 * MIB, "src/large")
        w.oci.faults.add(Fault(operation="UploadPart", part_number=3, status=403, code="NotNow"))
        arguments = ["sync", "--src-dir", str(src), "--part-size", "128"]
        arguments = ["bulk-upload", "--src-dir", str(src), "--overwrite", "--part-size", "10"]
        assert run(w, *arguments).code == 1
        large.write_bytes(large.read_bytes() + b"more")
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(large)
        assert not w.oci.uploads("backups"), "the old upload is dropped"


def test_one_files_precondition_is_not_the_next_ones(tmp_path: Path) -> None:
    """The official CLI's stale headers: an error while a file is prepared leaks its if-match."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b", "c")
        make(tmp_path / "src", "b", old=False)
        w.oci.put_object("backups", "b", b"older, and of another size")
        w.oci.faults.add(Fault(operation="PutObject", object_name="b", status=403, code="No"))
        ran = run(w, "sync", "--src-dir", str(src), "--parallel-operations-count", "1")
        assert list(ran.json["upload-failures"]) == ["b"]
        assert sorted(ran.json["uploaded-objects"]) == ["a", "c"]
        sent = {e.path: e.headers for e in w.oci.log.entries(operation="PutObject")}
        conditions = [
            (headers.get("if-match") is not None, headers.get("if-none-match"))
            for _, headers in sorted(sent.items())
        ]
        assert conditions == [(False, "*"), (True, None), (False, "*")]


def test_a_lost_reply_is_no_failure(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b")
        fault = w.oci.faults.add(
            Fault(operation="PutObject", object_name="a", cut_before_answer=True)
        )
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--no-overwrite")
        assert ran.code == 0, ran.err
        assert sorted(ran.json["uploaded-objects"]) == ["a", "b"]
        assert fault.fired == 1


@pytest.mark.parametrize("answer", [False, True])
def test_damage_on_the_way_is_mended(tmp_path: Path, answer: bool) -> None:
    with world(tmp_path) as w:
        src, times = make(tmp_path / "src", "a"), 1 if answer else 2
        spoilt = {"corrupt_answer_checksum" if answer else "corrupt": True}
        fault = w.oci.faults.add(Fault(operation="PutObject", times=times, **spoilt))  # type: ignore[arg-type]  # by name
        ran = run(w, "bulk-upload", "--src-dir", str(src))
        assert ran.code == 0, ran.err
        assert w.oci.read_object("backups", "a") == b"a"
        assert fault.fired == times
        puts = w.oci.log.count(operation="PutObject")
        assert puts == (1 if answer else 3), "a right object is not sent again"


def test_damage_that_stays_is_a_failure_and_nothing_wrong_is_stored(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b")
        w.oci.faults.add(Fault(operation="PutObject", object_name="a", corrupt=True, times=None))
        ran = run(w, "bulk-upload", "--src-dir", str(src))
        assert ran.code == 1
        assert "damaged 3 times" in ran.json["upload-failures"]["a"]
        assert w.oci.object_names("backups") == ["b"]


@pytest.mark.slow
def test_a_dead_session_ends_all_with_one_error(tmp_path: Path) -> None:
    with world(tmp_path, refresh_refuses=True) as w:
        src = make(tmp_path / "src", *map(str, range(50)))
        w.oci.revoke_all()
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--overwrite")
        assert ran.code == 75, ran.err
        assert not ran.out
        assert not w.oci.object_names("backups")


def test_a_token_that_dies_under_way_is_renewed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *map(str, range(60)))

        def die(entry: object) -> bool:
            return getattr(entry, "operation", "") == "PutObject"

        w.oci.faults.add(Fault(operation="PutObject", stall_seconds=0.3, after=5))
        process = w.start(*command("bulk-upload", "--src-dir", str(src), "--overwrite"))
        w.oci.log.wait_for(die)
        w.oci.revoke_all(refreshable=True)
        ran = w.finish(process)
        assert ran.code == 0, ran.err
        assert len(w.oci.object_names("backups")) == 60
        assert w.refreshes() == 1


# sync


@pytest.mark.slow
def test_weakness_17_a_second_sync_has_nothing_to_do_and_asks_for_no_object(tmp_path: Path) -> None:
    """Weakness 17: one list, and no HEAD for each file."""
    names = [f"d{index % 7}/{index:04}" for index in range(1100)]
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *names)
        assert run(w, "sync", "--src-dir", str(src)).code == 0
        for index in range(10):
            w.oci.put_object("backups", f"zz-extra{index}", b"x")
        w.oci.log.clear()
        ran = run(w, "sync", "--src-dir", str(src))
        assert (ran.code, len(ran.json["skipped-objects"])) == (0, 1100)
        assert operations(w) == {"GetBucket": 1, "ListObjects": 2}
        w.oci.log.clear()
        ran = run(w, "sync", "--src-dir", str(src), "--delete")
        assert ran.code == 0, ran.err
        assert len(ran.json["deleted-objects"]) == 10, "behind the first page, too"
        assert w.oci.object_names("backups") == sorted(names)
        counts = operations(w)
        assert counts == {"ListObjects": 2, "BatchDeleteObjects": 1}


def test_sync_sends_what_is_newer_or_of_another_size(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "same", "newer", "longer")
        run(w, "sync", "--src-dir", str(src))
        (src / "newer").write_bytes(b"NEWER")
        os.utime(src / "newer", (2**31, 2**31))
        (src / "longer").write_bytes(b"longer still")
        os.utime(src / "longer", (1, 1))
        ran = run(w, "sync", "--src-dir", str(src))
        assert sorted(ran.json["uploaded-objects"]) == ["longer", "newer"]
        assert ran.json["skipped-objects"] == ["same"]
        assert w.oci.read_object("backups", "newer") == b"NEWER"


def test_empty_directories_become_objects_with_one_request_each(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a/x")
        (src / "b" / "c").mkdir(parents=True)
        ran = run(w, "sync", "--src-dir", str(src))
        assert ran.code == 0, ran.err
        assert w.oci.object_names("backups") == ["a/x", "b/c/"]
        assert operations(w)["PutObject"] == 2
        ran = run(w, "sync", "--src-dir", str(src), "--delete")
        assert ran.json["skipped-objects"] == ["a/x", "b/c/"]
        assert ran.json["deleted-objects"] == []


def test_delete_leaves_what_is_not_known_to_be_gone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "mid/1", "z")
        run(w, "sync", "--src-dir", str(src), "--prefix", "p/")
        w.oci.put_object("backups", "elsewhere", b"")
        w.oci.put_object("backups", "p/mid/gone.tmp", b"")
        w.oci.put_object("backups", "p/gone", b"")
        (src / "a").unlink()
        (src / "a").symlink_to("nowhere")  # broken is not gone
        arguments = ["sync", "--src-dir", str(src), "--prefix", "p/", "--delete"]
        ran = run(w, *arguments, "--exclude", "*.tmp")
        assert ran.code == 1, "the broken link"
        assert ran.json["deleted-objects"] == ["p/gone"]
        assert w.oci.object_names("backups") == [
            *("elsewhere", "p/a", "p/mid/1", "p/mid/gone.tmp", "p/z")
        ]


def test_an_empty_directory_deletes_nothing(tmp_path: Path) -> None:
    """A disk that is not mounted."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        assert run(w, "sync", "--src-dir", str(src), "--delete").code == 0
        w.oci.put_object("backups", "precious", b"x")
        for wish in ((), ("--dry-run",)):
            ran = run(w, "sync", "--src-dir", str(src), "--delete", *wish)
            assert ran.code == 1
            assert "bulk-delete" in ran.err
            assert not ran.out
        assert w.oci.object_names("backups") == ["precious"]


@pytest.mark.parametrize("prefix", ["", "p/", "p"])
@pytest.mark.parametrize("pattern", ["keep/*", "keep/a", "{src}/keep/*", "k*", "*/a"])
def test_what_the_patterns_leave_out_is_not_deleted(
    tmp_path: Path, prefix: str, pattern: str
) -> None:
    """Patterns speak of files; their objects may be called otherwise."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "keep/a", "z")
        arguments = ["sync", "--src-dir", str(src), "--prefix", prefix]
        assert run(w, *arguments).code == 0
        w.oci.put_object("backups", prefix + "gone", b"")
        ran = run(w, *arguments, "--delete", "--exclude", pattern.format(src=src))
        assert ran.code == 0, ran.err
        assert ran.json["deleted-objects"] == [prefix + "gone"]
        assert w.oci.object_names("backups") == [prefix + "keep/a", prefix + "z"]


def test_what_is_in_a_closed_directory_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = listing._open

    def closed(root: bytes, prefix: bytes, *rest: Any, **wishes: Any) -> Any:
        return (None, "it is closed") if prefix == b"mid/" else real(root, prefix, *rest, **wishes)

    monkeypatch.setattr(listing, "_open", closed)
    with world(tmp_path) as w, w.storage() as storage, Results() as results:
        src = make(tmp_path / "src", "a.txt", "mid/1.txt", "z.txt")
        for name in ("mid/1.txt", "mid/deep/2.txt", "mid.txt", "n.txt"):
            w.oci.put_object("backups", name, b"")
        request = DirectoryUpload(
            root=str(src),
            each=w.request(src, part_size=None),
            mode=SyncMode.SYNC,
            local_filter=make_filter(["*.txt"], (), root=str(src)),
            delete=True,
        )
        upload_all(request, DirectoryContext(storage, results, w.heard, w.stop))
        assert [name for name, _ in results.items(FAILED)] == ["mid/"]
        assert [name for name, _ in results.items(DELETED)] == ["mid.txt", "n.txt"]


@pytest.mark.slow
def test_delete_takes_no_object_that_was_written_since(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a")
        w.oci.put_object("backups", "extra", b"old")
        w.oci.faults.add(Fault(operation="PutObject", stall_seconds=1.5))
        process = w.start(*command("sync", "--src-dir", str(src), "--delete"))
        w.oci.log.wait_for(lambda entry: entry.operation == "ListObjects")
        w.oci.put_object("backups", "extra", b"new")
        ran = w.finish(process)
        assert ran.code == 1
        assert "extra" in json.loads(ran.out)["delete-failures"]
        assert w.oci.read_object("backups", "extra") == b"new"


def test_flags_of_the_way_up_are_refused_on_the_way_down(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = run(w, "sync", "--dest-dir", str(tmp_path / "d"), "--storage-tier", "Archive")
        assert ran.code == 2
        assert "--dest-dir and --storage-tier exclude each other" in ran.err
        assert run(w, "sync").code == 2
        assert run(w, "sync", "--src-dir", "a", "--dest-dir", "b").code == 2
