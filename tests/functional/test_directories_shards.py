"""`--shard I/N`: runs that know nothing of each other do all of a directory, each name once."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ocihaul.directories import listing
from ocihaul.directories.shards import Shard
from ocihaul.emulator import Fault
from ocihaul.transfer import plan
from tests.functional.directories import Answer, content, make, operations, run
from tests.world import MIB, World, world

NAMES = tuple(f"d{number % 7}/{number:03}" for number in range(60))
FOUR = tuple(Shard(index, 4) for index in range(4))


def of(shard: Shard, names: tuple[str, ...] = NAMES, *, prefix: str = "") -> list[str]:
    return sorted(prefix + name for name in names if shard.holds((prefix + name).encode()))


def up(w: World, src: Path, shard: object, *more: str) -> Answer:
    return run(w, "sync", "--src-dir", str(src), "--shard", str(shard), *more)


def down(w: World, target: Path, shard: object, *more: str) -> Answer:
    return run(w, "sync", "--dest-dir", str(target), "--shard", str(shard), *more)


def test_each_name_goes_up_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        for shard in FOUR:
            ran = up(w, src, shard, "--prefix", "p/")
            assert ran.code == 0, ran.err
            assert sorted(ran.json["uploaded-objects"]) == of(shard, prefix="p/")
            assert ran.json["skipped-objects"] == []
            assert f"Shard {shard}: only its names are done here" in ran.err
        assert w.oci.object_names("backups") == sorted(f"p/{name}" for name in NAMES)
        assert operations(w)["PutObject"] == len(NAMES)


def test_each_name_comes_down_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for name in NAMES:
            w.oci.put_object("backups", name, name.encode())
        fetched: Counter[str] = Counter()
        for shard in FOUR:
            args = ("--shard", str(shard), "--dest-dir", str(tmp_path / "to"))
            ran = run(w, "bulk-download", *args)
            assert ran.code == 0, ran.err
            assert ran.json["downloaded-objects"] == of(shard)
            fetched.update(ran.json["downloaded-objects"])
        assert fetched == Counter(NAMES)
        files = {n: data for n, data in content(tmp_path / "to").items() if not n.endswith("/")}
        assert files == {name: name.encode() for name in NAMES}


def test_each_object_is_deleted_by_its_shard(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for name in NAMES:
            w.oci.put_object("backups", name, b"")
        left = set(NAMES)
        for shard in FOUR:
            ran = run(w, "bulk-delete", "--force", "--shard", str(shard))
            assert ran.code == 0, ran.err
            assert ran.json["deleted-objects"] == of(shard)
            left -= set(of(shard))
            assert set(w.oci.object_names("backups")) == left


def test_a_dry_run_tells_the_names_of_its_shard(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--dry-run", "--shard", "2/4")
        assert ran.out.splitlines() == [str(src / name) for name in of(FOUR[2])]
        for name in NAMES:
            w.oci.put_object("backups", name, b"")
        ran = run(w, "bulk-delete", "--dry-run", "--shard", "2/4")
        assert ran.json["deleted-objects"] == of(FOUR[2])


@contextlib.contextmanager
def environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[None]:
    """Variables that a scheduler sets, in every run inside."""
    with monkeypatch.context() as patch:
        ours = World.environ
        patch.setattr(World, "environ", lambda self: ours(self) | variables)
        yield


def test_a_scheduler_says_which_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        job = {"JOB_COMPLETION_INDEX": "1", "OCIHAUL_SHARDS": "4"}
        with environment(monkeypatch, **job):
            ran = up(w, src, "auto")
            assert ran.code == 0, ran.err
            assert sorted(ran.json["uploaded-objects"]) == of(FOUR[1])
            assert "Shard 1/4 by JOB_COMPLETION_INDEX and OCIHAUL_SHARDS" in ran.err
            # A task of an array may have a directory of its own: nothing is left out unasked.
            ran = run(w, "sync", "--src-dir", str(src))
            assert len(ran.json["uploaded-objects"]) == len(NAMES) - len(of(FOUR[1]))
            assert "Shard" not in ran.err


@pytest.mark.parametrize("shard", ["4/4", "0/0", "x", "1", "auto", "-1/4", ""])
def test_what_is_no_shard_is_a_usage_error_before_anything_is_asked(
    tmp_path: Path, shard: str
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a")
        for args in (
            ("sync", "--src-dir", str(src)),
            ("sync", "--dest-dir", str(src)),
            ("bulk-upload", "--src-dir", str(src)),
            ("bulk-download", "--dest-dir", str(src)),
            ("bulk-delete", "--force"),
        ):
            ran = run(w, *args, f"--shard={shard}")
            assert ran.code == 2, ran.err
            assert "--shard" in ran.err
        assert operations(w) == {}


# What goes wrong


def test_a_missing_shard_leaves_its_names_undone_and_nothing_else(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        w.oci.put_object("backups", "gone", b"")
        lost = FOUR[3]
        for shard in FOUR[:3]:
            assert up(w, src, shard, "--delete").code == 0
        missing = set(NAMES) - set(w.oci.object_names("backups"))
        assert sorted(missing) == of(lost)
        # One run over all names finds what is missing, or does it.
        ran = run(w, "sync", "--src-dir", str(src), "--dry-run")
        assert ran.out.count("Uploading file") == len(missing)
        assert up(w, src, lost, "--delete").code == 0
        assert w.oci.object_names("backups") == sorted(NAMES)


def test_another_number_of_shards_does_the_rest(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        w.oci.faults.add(Fault(operation="PutObject", after=5, times=1, status=404))
        for shard in FOUR[:2]:
            run(w, "bulk-upload", "--src-dir", str(src), "--no-overwrite", "--shard", str(shard))
        done = set(w.oci.object_names("backups"))
        w.oci.faults.assert_all_fired()
        assert len(done) == len(of(FOUR[0])) + len(of(FOUR[1])) - 1
        for index in range(3):
            args = ("--src-dir", str(src), "--no-overwrite", "--shard", f"{index}/3")
            ran = run(w, "bulk-upload", *args)
            assert ran.code == 0, ran.err
            # The memory of shard 0/4 is not that of 0/3: what is there counts as there.
            assert not done & set(ran.json["uploaded-objects"])
        assert w.oci.object_names("backups") == sorted(NAMES)


def test_a_wrong_number_in_one_run_loses_and_deletes_nothing_that_has_a_source(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        for shard in (*FOUR[:3], Shard(3, 5)):
            assert up(w, src, shard, "--delete").code == 0
        undone = set(of(FOUR[3])) - set(of(Shard(3, 5)))
        assert set(w.oci.object_names("backups")) == set(NAMES) - undone
        assert undone, "names that show it"
        for shard in (*FOUR[:3], Shard(3, 5)):
            ran = down(w, src, shard, "--delete")
            assert ran.code == 0, ran.err
        # Files without an object go, each by the shard that holds it; here none holds these.
        assert {n for n in content(src) if not n.endswith("/")} == set(NAMES) - (
            undone & set(of(Shard(3, 5)))
        )


@pytest.mark.slow
def test_two_runs_of_one_shard_at_the_same_time_do_no_harm(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        w.oci.put_object("backups", "gone", b"")
        shard = ("--shard", "0/2")
        args = ("os", "object", "sync", "-bn", "backups", "-ns", "ns1", "--auth", "security_token")
        both = [w.start(*args, "--src-dir", str(src), "--delete", *shard) for _ in range(2)]
        ran = [w.finish(process) for process in both]
        assert any(each.code == 0 for each in ran), [each.err for each in ran]
        for each in ran:  # what the other has just made is a failure at worst
            assert each.code == 0 or "Another writer has replaced it" in each.err + each.out
        expected = of(Shard(0, 2)) + ([] if Shard(0, 2).holds(b"gone") else ["gone"])
        assert w.oci.object_names("backups") == sorted(expected)
        target = tmp_path / "to"
        both = [w.start(*args, "--dest-dir", str(target), "--delete", *shard) for _ in range(2)]
        ran = [w.finish(process) for process in both]
        assert [each.code for each in ran] == [0, 0], [each.err for each in ran]
        files = {name for name in content(target) if not name.endswith("/")}
        assert files == {name for name in expected if Shard(0, 2).holds(name.encode())}
        assert operations(w)["GetObject"] == len(files), "the second one waits for the first"


def test_shards_of_one_machine_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for name in NAMES:
            w.oci.put_object("backups", name, name.encode())
        slow = of(FOUR[0])[0]
        w.oci.faults.add(Fault(operation="GetObject", object_name=slow, stall_seconds=60))
        args = ("os", "object", "sync", "-bn", "backups", "-ns", "ns1", "--auth", "security_token")
        target = str(tmp_path / "to")
        first = w.start(*args, "--dest-dir", target, "--shard", "0/4")
        try:
            w.oci.log.wait_for(lambda entry: entry.operation == "GetObject")
            ran = w.run(*args, "--dest-dir", target, "--shard", "1/4")
            assert ran.code == 0, ran.err
            assert first.poll() is None
        finally:
            first.kill()
            first.communicate()


def test_each_shard_has_its_own_memory(tmp_path: Path) -> None:
    """A run that has failed in part remembers what it did, by itself."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        bad = [of(shard)[0] for shard in FOUR]
        for name in bad:
            w.oci.faults.add(Fault(operation="PutObject", object_name=name, status=404))
        for again in range(2):
            sent = w.oci.log.count(operation="PutObject")
            for shard in FOUR:
                args = ("--src-dir", str(src), "--overwrite", "--shard", str(shard))
                ran = run(w, "bulk-upload", *args)
                assert ran.code == (0 if again else 1), ran.err
                done = of(shard) if again else of(shard)[1:]
                assert sorted(ran.json["uploaded-objects"]) == done
            expected = len(bad) if again else len(NAMES)
            assert w.oci.log.count(operation="PutObject") - sent == expected
        w.oci.faults.assert_all_fired()


def test_a_large_file_is_resumed_by_its_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "DEFAULT_PART_SIZE", MIB)
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        w.file(5 * MIB, "src/large")
        owner = next(shard for shard in FOUR if shard.holds(b"large"))
        w.oci.faults.add(Fault(operation="UploadPart", part_number=5, status=404, times=1))
        args = ("--src-dir", str(src), "--part-size", "1")
        assert run(w, "bulk-upload", *args, "--shard", str(owner)).code == 1
        finished = w.oci.log.count(operation="UploadPart", status=200)
        ran = run(w, "bulk-upload", *args, "--shard", str(owner))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(src / "large")
        w.oci.faults.assert_all_fired()
        # What was under way at the failure may be stored, and not noted.
        again = w.oci.log.count(operation="UploadPart", status=200) - finished
        assert again < 5, "it began anew"


# Directories


def test_an_empty_directory_is_one_shards(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "full/a")
        empty = [f"e{number}" for number in range(12)]
        for name in empty:
            (src / name).mkdir()
        for shard in FOUR:
            ran = up(w, src, shard)
            assert [n for n in sorted(ran.json["uploaded-objects"]) if n.endswith("/")] == of(
                shard, tuple(f"{name}/" for name in empty)
            )
        names = sorted([*(f"{name}/" for name in empty), "full/a"])
        assert w.oci.object_names("backups") == names
        target = tmp_path / "to"
        for shard in FOUR:
            assert down(w, target, shard, "--delete").code == 0
        assert content(target) == content(src)


def test_the_last_shard_deletes_the_directories(tmp_path: Path) -> None:
    for order in (FOUR, FOUR[::-1]):
        with world(tmp_path / str(order[0].index)) as w:
            w.oci.put_object("backups", "kept", b"kept")
            target = make(tmp_path / str(order[0].index) / "to", *NAMES, "deep/er/than/that")
            for shard in order:
                ran = down(w, target, shard, "--delete", "--dry-run")
                assert ran.code == 0, ran.err
            assert len(content(target)) > len(NAMES), "a dry run deletes nothing"
            deleted: Counter[str] = Counter()
            for shard in order:
                ran = down(w, target, shard, "--delete")
                assert ran.code == 0, ran.err
                deleted.update(ran.json["deleted-files"])
            assert content(target) == {"kept": b"kept"}
            assert set(deleted.values()) == {1}
            assert len(deleted) == len(NAMES) + 7 + 1 + 3


def test_a_directory_that_another_shard_has_still_to_fill_is_not_deleted(tmp_path: Path) -> None:
    """That shard may have made it a moment ago, and be about to write to it."""
    with world(tmp_path) as w:
        w.oci.put_object("backups", "a/b/c", b"")
        w.oci.put_object("backups", "x", b"")
        target = make(tmp_path / "to")
        (target / "a" / "b").mkdir(parents=True)
        (target / "vain" / "b").mkdir(parents=True)
        other = next(shard for shard in FOUR if not shard.holds(b"a/b/c"))
        ran = down(w, target, other, "--delete")
        assert ran.code == 0, ran.err
        assert {name for name in content(target) if name.endswith("/")} == {"a/", "a/b/"}


def test_an_empty_source_deletes_nothing_in_any_shard(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for name in NAMES:
            w.oci.put_object("backups", name, b"")
        src = make(tmp_path / "src")
        for shard in FOUR:
            ran = up(w, src, shard, "--delete")
            assert ran.code == 1
            assert "is empty, so nothing was deleted" in ran.err
        assert len(w.oci.object_names("backups")) == len(NAMES)
        # A directory with one file is not empty for the three shards that do not have it.
        make(src, "one")
        for shard in FOUR:
            assert up(w, src, shard, "--delete").code == 0
        assert w.oci.object_names("backups") == ["one"]


def test_an_empty_bucket_deletes_no_file_in_any_shard(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        target = make(tmp_path / "to", *NAMES)
        for shard in FOUR:
            ran = down(w, target, shard, "--delete")
            assert ran.code == 1
            assert "nothing in" in ran.err
        w.oci.put_object("backups", "one", b"")
        for shard in FOUR:
            assert down(w, target, shard, "--delete").code == 0
        assert content(target) == {"one": b""}


def test_a_closed_directory_is_every_shards_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine it may be open, so no shard can tell it for the others."""
    real = listing._open

    def closed(root: bytes, prefix: bytes, *rest: Any, **how: Any) -> Any:
        return (None, "it is closed") if prefix == b"closed/" else real(root, prefix, *rest, **how)

    monkeypatch.setattr(listing, "_open", closed)
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "open/a", "closed/b")
        for name in NAMES:
            w.oci.put_object("backups", f"closed/{name}", b"")
        for shard in FOUR:
            ran = up(w, src, shard, "--delete")
            assert ran.code == 1
            assert list(ran.json["upload-failures"]) == ["closed/"]
        assert len(w.oci.object_names("backups")) == len(NAMES) + 1


def test_a_name_that_no_object_can_have_fails_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", b"d/\xff", "a")
        w.oci.put_object("backups", "d/other", b"")  # may be that very file, by another locale
        codes = [up(w, src, shard, "--delete").code for shard in FOUR]
        assert sorted(codes) == [0, 0, 0, 1]
        assert w.oci.object_names("backups") == ["a", "d/other"]


def test_two_objects_of_one_file_are_seen_alike_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where case does not count, and where one name begins with a slash: the first one has it."""
    monkeypatch.setattr("ocihaul.directories.destination._ignores_case", lambda _: True)
    with world(tmp_path) as w:
        for name in ("/lead", "A", "D/x", "a", "d/X", "lead", "\u00e9", "e\u0301"):
            w.oci.put_object("backups", name, name.encode())
        make(tmp_path / "to", "d/gone", "kept/x", "B")
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        shutil.copytree(tmp_path / "to", whole)
        shutil.copytree(tmp_path / "to", parts)
        ran = run(w, "sync", "--dest-dir", str(whole), "--delete")
        failures = [down(w, parts, each, "--delete").json["download-failures"] for each in FOUR]
        assert len(ran.json["download-failures"]) == 4
        together: dict[str, Any] = {}
        for each in failures:
            assert not together.keys() & each.keys()
            together |= each
        assert together.keys() == ran.json["download-failures"].keys()
        assert content(parts) == content(whole)


def test_shards_at_the_same_time_give_what_one_run_gives(tmp_path: Path) -> None:
    """Real processes, that delete and make the same directories at the same time."""
    with world(tmp_path) as w:
        target = make(tmp_path / "to", *(f"old/{name}" for name in NAMES), *NAMES[:20], "d1/zz")
        for name in NAMES:
            w.oci.put_object("backups", name, name.encode())
            w.oci.put_object("backups", f"new/{name}", name.encode())
        expected = make(tmp_path / "all", *NAMES, *(f"new/{name}" for name in NAMES))
        for name in NAMES:
            (expected / "new" / name).write_bytes(name.encode())
        args = ("os", "object", "sync", "-bn", "backups", "-ns", "ns1", "--auth", "security_token")
        four = [
            w.start(*args, "--dest-dir", str(target), "--delete", "--shard", str(each))
            for each in FOUR
        ]
        ran = [w.finish(process) for process in four]
        assert [each.code for each in ran] == [0] * 4, [each.err for each in ran]
        assert content(target) == content(expected)
