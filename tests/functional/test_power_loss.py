"""What the journal loses with its machine, or a run with its life, is found at the service."""

import io
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import ServiceError, UploadIncompleteError
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.journal.journal import Journal, Target
from tests.functional.directories import command
from tests.functional.killed import BEGIN, CREATE, KILLED, killed_at
from tests.functional.test_resume import again, interrupted_after, notices, parts_stored
from tests.functional.test_resume_put import begun_elsewhere, send_part, slices
from tests.world import MIB, PART, Ran, World, world


def piped(w: World, source: Path, *args: str) -> Ran:
    """Python with a file for its standard input, as a shell's pipe."""
    with source.open("rb") as stdin:
        process = subprocess.Popen(
            [sys.executable, *args],
            env=w.environ(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return w.finish(process)


def counts(w: World, *operations: str) -> list[int]:
    return [w.oci.log.count(operation=each) for each in operations]


def state(w: World, suffix: str = "") -> Path:
    return w.home / "state" / f"journal.sqlite3{suffix}"


def in_file_alone(w: World, table: str) -> int:
    """The rows of a table that a power cut leaves, whatever becomes of the log beside the file."""
    database = sqlite3.connect(f"{state(w).as_uri()}?immutable=1", uri=True)
    try:
        (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    finally:
        database.close()
    return int(count)


def stopped_by_kill(w: World, source: Path, parts: int) -> None:
    """The command, killed when so many parts are stored and noted."""
    process = w.start(*w.put(source, "--parallel-upload-count", "1"))
    w.oci.log.wait_for(
        lambda entry: entry.operation == "UploadPart" and entry.part_number == parts + 1, timeout=60
    )
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_finding_a05_the_log_beside_the_journal_may_be_lost(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=20.0 * MIB) as w:
        source = w.file(5 * PART)
        stopped_by_kill(w, source, 3)
        assert state(w, "-wal").stat().st_size > 0, "there is something to lose"
        state(w, "-wal").unlink()
        state(w, "-shm").unlink()
        w.oci.configure(bandwidth=None)
        stored = parts_stored(w)
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []
        assert counts(w, "CreateMultipartUpload") == [1]
        assert [number for number in parts_stored(w) if number <= 3] == stored[:3]


@pytest.mark.slow
def test_finding_a05_an_older_copy_of_the_journal_leaves_no_upload_unnamed(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=20.0 * MIB) as w:
        source = w.file(4 * PART, "with a blank")
        with Journal(w.home / "state"):
            pass
        shutil.copytree(w.home / "state", w.home / "older")
        stopped_by_kill(w, source, 2)
        shutil.rmtree(w.home / "state")
        shutil.copytree(w.home / "older", w.home / "state")
        (left,) = w.oci.uploads("backups")
        w.oci.configure(bandwidth=None)
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert [each.upload_id for each in w.oci.uploads("backups")] == [left.upload_id]
        (line,) = [line for line in ran.err.splitlines() if "not in the journal" in line]
        assert left.upload_id in line
        # Both commands are there as a shell takes them.
        resume = line.partition("Resume it: ocihaul ")[2].partition(" or drop it: ")[0]
        drop = line.partition(" or drop it: ocihaul ")[2]
        ran = w.run(*shlex.split(resume), "--auth", "security_token")
        assert ran.code == 0, ran.err
        assert parts_stored(w).count(1) == 2, "not a third time"
        assert w.oci.uploads("backups") == []
        ran = w.run(*shlex.split(drop), "--force", "--auth", "security_token")
        assert "UploadNotFound" in ran.err


def test_finding_a05_the_file_alone_has_it_before_the_service_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, int]] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(StorageClient, name)

        def call(*args: Any, **named: Any) -> Any:
            seen.append((name, in_file_alone(w, "intentions"), in_file_alone(w, "uploads")))
            return real(*args, **named)

        return call

    for name in ("create_multipart_upload", "upload_part"):
        monkeypatch.setattr(StorageClient, name, watched(name))
    with world(tmp_path) as w:
        again(w, w.file(2 * PART), parallel=1)
        assert seen == [
            ("create_multipart_upload", 1, 0),
            ("upload_part", 0, 1),
            ("upload_part", 0, 1),
        ]


def test_finding_a14_killed_before_the_id_is_noted_the_upload_is_taken_up(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        killed_at(w, BEGIN, *w.put(source))
        (left,) = w.oci.uploads("backups")
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert f"Resuming upload {left.upload_id}" in ran.err
        assert "not in the journal" not in ran.err
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []
        assert counts(w, "CreateMultipartUpload", "ListMultipartUploads") == [1, 2]


def test_finding_a14_killed_before_the_service_was_asked_it_begins_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        killed_at(w, CREATE, *w.put(source))
        assert w.oci.uploads("backups") == []
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert counts(w, "CreateMultipartUpload", "ListMultipartUploads") == [1, 2]


def test_finding_a14_of_two_that_may_be_ours_none_is_taken_up(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        killed_at(w, BEGIN, *w.put(source))
        with begun_elsewhere(w, source):
            pass
        ids = {each.upload_id for each in w.oci.uploads("backups")}
        again(w, source)
        assert w.arrived_whole(source)
        assert {each.upload_id for each in w.oci.uploads("backups")} == ids
        assert all(f"Upload {each} " in notices(w) for each in ids)
        assert notices(w).count("left alone") == 2


def test_finding_a14_an_older_upload_of_another_is_none_of_ours(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        with begun_elsewhere(w, source) as foreign:
            pass
        killed_at(w, CREATE, *w.put(source))
        target = Target(w.oci.endpoint, "ns1", "backups", source.name)
        with Journal(w.home / "state") as journal:
            assert journal.intended(target) is not None
        # As if it had been begun a day before the run.
        w.oci.store.bucket("ns1", "backups").uploads[foreign].created -= 86400
        again(w, source)
        assert w.arrived_whole(source)
        assert [each.upload_id for each in w.oci.uploads("backups")] == [foreign]
        assert f"Upload {foreign} " in notices(w)


def test_finding_a14_an_upload_of_a_file_that_was_replaced_is_named(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        killed_at(w, BEGIN, *w.put(source))
        (left,) = w.oci.uploads("backups")
        source = w.file(2 * PART)
        again(w, source)
        assert w.arrived_whole(source)
        assert [each.upload_id for each in w.oci.uploads("backups")] == [left.upload_id]
        assert f"Upload {left.upload_id} " in notices(w)


def test_finding_a14_restart_drops_what_was_not_noted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        killed_at(w, BEGIN, *w.put(source))
        again(w, source, restart=True)
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []
        assert counts(w, "CreateMultipartUpload", "AbortMultipartUpload") == [2, 1]
        assert "not in the journal" not in notices(w)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "BucketNotFound"), (403, "NotAllowed"), (400, "Odd")]
)
def test_finding_a14_a_list_that_is_not_allowed_is_no_hindrance(
    tmp_path: Path, status: int, code: str
) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="ListMultipartUploads", status=status, code=code))
        source = w.file(2 * PART)
        again(w, source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert code not in notices(w)
        assert counts(w, "ListMultipartUploads") == [1]


def test_finding_a14_a_refused_creation_leaves_no_intention(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="CreateMultipartUpload", status=403, code="NotAllowed"))
        source = w.file(2 * PART)
        with pytest.raises(Exception, match="NotAllowed"):
            again(w, source)
        w.oci.faults.assert_all_fired()
        assert in_file_alone(w, "intentions") == 0


@pytest.mark.parametrize("stream", [False, True])
def test_finding_a14_a_creation_whose_answer_is_lost_leaves_nothing_unnamed(
    tmp_path: Path, stream: bool
) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="CreateMultipartUpload", cut_before_answer=True))
        source = w.file(2 * PART)
        wishes = {"stream": io.BytesIO(source.read_bytes())} if stream else {}
        again(w, source, **wishes)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        (left,) = w.oci.uploads("backups")
        assert notices(w).count(f"Upload {left.upload_id} ") == 1
        assert notices(w).count("not in the journal") == 1


def test_finding_a14_the_uploads_of_a_bucket_are_listed_once_for_a_directory(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        (w.home / "src").mkdir()
        for number in range(4):
            w.file(2 * PART + number, f"src/{number}")
        with begun_elsewhere(w, w.home / "src" / "2") as foreign:
            pass
        src = str(w.home / "src")
        ran = w.run(*command("bulk-upload", "--src-dir", src, "--part-size", "10", "--overwrite"))
        assert ran.code == 0, ran.err
        assert counts(w, "CreateMultipartUpload", "ListMultipartUploads") == [5, 1]
        assert ran.err.count(f"Upload {foreign} ") == 1


@pytest.mark.slow
def test_finding_a14_in_a_directory_each_creation_whose_answer_is_lost_is_named(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        fault = Fault(operation="CreateMultipartUpload", cut_before_answer=True, times=4)
        w.oci.faults.add(fault)
        (w.home / "src").mkdir()
        for number in range(4):
            w.file(2 * PART + number, f"src/{number}")
        src = str(w.home / "src")
        ran = w.run(*command("bulk-upload", "--src-dir", src, "--part-size", "10", "--overwrite"))
        assert ran.code == 0, ran.err
        w.oci.faults.assert_all_fired()
        left = w.oci.uploads("backups")
        assert len(left) == 4
        assert [ran.err.count(f"Upload {each.upload_id} ") for each in left] == [1] * 4


def test_finding_a14_the_upload_of_a_stream_is_dropped(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        pipe = (
            *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", "-", "--force"),
            *("--name", "piped", "--auth", "security_token", "--part-size", "10"),
        )
        assert piped(w, source, "-c", KILLED, *BEGIN, *pipe).code == -signal.SIGKILL
        (left,) = w.oci.uploads("backups")
        ran = piped(w, source, "-m", "ocihaul", *pipe)
        assert ran.code == 0, ran.err
        assert f"Dropping upload {left.upload_id}" in ran.err
        assert w.oci.uploads("backups") == []
        assert w.arrived_whole(source, "piped")


def test_finding_a14_a_stream_names_the_uploads_that_it_leaves_alone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        with w.storage() as storage:
            left = [
                storage.create_multipart_upload("ns1", "backups", {"object": source.name}, {})
                for _ in range(2)
            ]
        again(w, source, stream=io.BytesIO(source.read_bytes()))
        assert w.arrived_whole(source)
        assert {each.upload_id for each in w.oci.uploads("backups")} == set(left)
        assert [notices(w).count(f"Upload {upload_id} ") for upload_id in left] == [1, 1]
        assert "Resume it" not in notices(w), "a stream cannot"


@pytest.mark.parametrize("stream", [False, True])
def test_finding_a14_a_list_that_fails_is_no_empty_list(tmp_path: Path, stream: bool) -> None:
    """Else what a run has left would be forgotten, because the next one cannot see it."""
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        killed_at(w, BEGIN, *w.put(source))
        (left,) = w.oci.uploads("backups")
        fault = Fault(operation="ListMultipartUploads", status=501, code="NotNow")
        w.oci.faults.add(fault)
        wishes = {"stream": io.BytesIO(source.read_bytes())} if stream else {}
        with pytest.raises(ServiceError, match="NotNow"):
            again(w, source, **wishes)
        w.oci.faults.assert_all_fired()
        assert counts(w, "CreateMultipartUpload") == [1]
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert counts(w, "CreateMultipartUpload") == [1], "it was gone on with"
        assert w.oci.uploads("backups") == []
        assert f"Upload {left.upload_id} was created by a run" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"verify_checksum": True},
        {"checksum_algorithm": "SHA256"},
        {"checksum_algorithm": "SHA384", "verify_checksum": True},
    ],
)
def test_finding_a15_parts_that_only_the_service_knows_are_not_sent_again(
    tmp_path: Path, wishes: dict[str, object]
) -> None:
    with world(tmp_path) as w:
        source = w.file(5 * PART - 77)
        interrupted_after(w, source, 4, **wishes)
        with sqlite3.connect(state(w)) as database:
            database.execute("DELETE FROM parts WHERE number IN (1, 3, 4)")
        database.close()
        result = again(w, source, **wishes)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5], "each part once"
        assert result.bytes_sent == PART - 77
        wanted = {"CRC32C", wishes.get("checksum_algorithm", "CRC32C")}
        assert all(wanted <= part.digests.keys() for part in result.parts)
        if algorithm := str(wishes.get("checksum_algorithm", "")):
            assert f"opc-multipart-{algorithm.lower()}" in result.headers, "compared, too"
        assert "3 parts that only the service knows" in notices(w)


def test_finding_a15_what_is_imported_is_noted_before_it_counts(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 3)
        with sqlite3.connect(state(w)) as database:
            database.execute("DELETE FROM parts")
        database.close()
        interrupted_after(w, source, 3)
        target = Target(w.oci.endpoint, "ns1", "backups", source.name)
        with Journal(w.home / "state") as journal:
            entry = journal.find(target)
            assert entry is not None
            assert sorted(journal.parts(entry)) == [1, 2, 3]


def test_finding_a15_a_part_of_other_bytes_is_sent_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        (left,) = w.oci.uploads("backups")
        data = slices(source, 3)["p3"]
        with w.storage() as storage:
            spoilt = bytes([data[0] ^ 1]) + data[1:]
            for number, part in ((2, spoilt), (3, data), (4, data[:-1])):
                send_part(storage, source.name, upload_id=left.upload_id, number=number, data=part)
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 2, 2, 3, 4, 4], "3 is right, and counts"


@pytest.mark.slow
@pytest.mark.parametrize("code", ["UploadNotFound", "NoSuchUpload"])
def test_finding_c01_an_upload_that_is_gone_is_begun_anew(tmp_path: Path, code: str) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        fault = w.oci.faults.add(
            Fault(operation="UploadPart", part_number=2, status=404, code=code, times=1)
        )
        ran = w.run(*w.put(source))
        assert fault.fired == 1
        assert ran.code == 75, ran.err
        assert "no longer knows upload" in ran.err
        assert "finished parts are kept" not in ran.err
        w.oci.faults.add(Fault(operation="ListMultipartUploadParts", status=404, code=code))
        ran = w.run(*w.put(source))
        w.oci.faults.assert_all_fired()
        assert ran.code == 0, ran.err
        assert "beginning anew" in ran.err
        assert w.arrived_whole(source)


@pytest.mark.parametrize("code", ["BucketNotFound", "NotAuthorizedOrNotFound"])
def test_finding_c01_a_bucket_that_is_not_seen_loses_no_upload(tmp_path: Path, code: str) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2)
        w.oci.faults.add(Fault(operation="ListMultipartUploadParts", status=404, code=code))
        with pytest.raises(Exception, match=code) as caught:
            again(w, source)
        assert not isinstance(caught.value, UploadIncompleteError)
        w.oci.faults.assert_all_fired()
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3], "each part once"
