"""Interruption costs nothing that was finished: killed, stopped, changed, forgotten, contended."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import (
    SourceChangedError,
    SourceError,
    TransferCancelled,
    TransferInProgressError,
    UsageError,
)
from ocihaul.events import Event, MultipartUploadCreated, Notice, PartFinished
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.journal import Entry, Journal, Target
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload.request import IfExists, UploadResult
from ocihaul.transfer.upload.upload import upload
from tests.support import upload_context
from tests.world import MIB, PART, World, world

KILLS = 100


def parts_stored(w: World) -> list[int]:
    entries = w.oci.log.entries(operation="UploadPart", status=200)
    return [entry.part_number or 0 for entry in entries]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_weakness_09_killed_a_hundred_times_it_never_loses_a_finished_part(tmp_path: Path) -> None:
    part_size, parallel, count = MIB, 3, 60
    chance = random.Random(998)  # noqa: S311  the moments of the kills
    with world(tmp_path, bandwidth=float(part_size * count / 10)) as w:
        source = w.file(part_size * count - 5)
        script = Path(__file__).with_name("small_parts.py")
        kills, uploads = 0, 0
        while kills < KILLS:
            name, kills_before = f"object-{uploads}", kills
            w.oci.log.clear()
            while True:
                process = subprocess.Popen(
                    [
                        *(sys.executable, str(script), str(w.config), w.oci.endpoint),
                        *(str(source), name, str(part_size), str(parallel)),
                    ],
                    env=w.environ(),
                    stderr=subprocess.PIPE,
                )
                wait_for_parts(w, process, chance.randint(-1, 5), chance)
                process.kill()
                _, said = process.communicate()
                if process.returncode == 0 or b"already exists" in said:
                    break  # done, or killed after everything was done
                assert process.returncode == -signal.SIGKILL, said.decode()
                kills += 1
                check_journal(w)
            uploads += 1
            assert w.arrived_whole(source, name)
            sent = w.oci.log.count(operation="UploadPart")
            assert sent <= count + parallel * (kills - kills_before)
            assert w.oci.uploads("backups") == [], "nothing is left behind"
        assert uploads >= 1


def wait_for_parts(
    w: World, process: "subprocess.Popen[bytes]", parts: int, chance: random.Random
) -> None:
    """Until that many parts have gone out (-1: not even the start is over), or it has ended."""
    if parts < 0:
        time.sleep(chance.uniform(0.0, 0.4))  # a moment of another process: nothing to wait on
        return
    before = w.oci.log.count(operation="UploadPart")
    while process.poll() is None and w.oci.log.count(operation="UploadPart") < before + parts:
        time.sleep(0.01)  # as above
    time.sleep(chance.uniform(0.0, 0.1))  # as above


def check_journal(w: World) -> None:
    path = w.home / "state" / "journal.sqlite3"
    if path.exists():
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


# The rest in this process, where the moment can be chosen


def interrupted_after(w: World, source: Path, parts: int, **wishes: object) -> None:
    """Upload until `parts` parts are finished, then stop."""
    finished = 0

    def listen(event: Event) -> None:
        nonlocal finished
        w.heard(event)
        finished += isinstance(event, PartFinished)
        if finished >= parts:
            w.stop.set()

    journal = Journal(w.home / "state")
    request = w.request(source, parallel=1, existing=IfExists.ASK, **wishes)
    with w.storage() as storage, pytest.raises(TransferCancelled):
        upload(storage, request, listener=listen, stop=w.stop, journal=journal)
    journal.close()
    w.stop.clear()


def again(w: World, source: Path, **wishes: object) -> UploadResult:
    journal = Journal(w.home / "state")
    try:
        request = w.request(source, **({"existing": IfExists.ASK} | wishes))
        with w.storage() as storage:
            return upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
    finally:
        journal.close()


def notices(w: World) -> str:
    return "\n".join(event.text for event in w.heard.events if isinstance(event, Notice))


def test_the_same_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(6 * PART)
        interrupted_after(w, source, 4)
        result = again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5, 6], "each part once"
        assert result.bytes_sent == 2 * PART
        assert result.bytes_resent == 0
        assert "4 of 6 parts are there" in notices(w)
        assert w.oci.log.count(operation="CreateMultipartUpload") == 1
        created = [e.upload_id for e in w.heard.events if isinstance(e, MultipartUploadCreated)]
        assert len(created) == 2
        assert len(set(created)) == 1


def test_finished_parts_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocihaul.transfer.source import FileSource  # noqa: PLC0415  to be counted

    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 3)
        read: list[int] = []
        read_into = FileSource.read_into

        def counting(self: FileSource, view: memoryview, offset: int) -> None:
            read.append(len(view))
            read_into(self, view, offset)

        monkeypatch.setattr(FileSource, "read_into", counting)
        again(w, source)
        assert sum(read) == PART


def test_a_checksum_that_only_the_second_run_wants_is_computed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2)
        result = again(w, source, verify_checksum=True)
        assert result.md5 == result.headers["opc-multipart-md5"]


@pytest.mark.slow
@pytest.mark.parametrize("other", ["endpoint", "namespace", "bucket"])
def test_the_same_object_elsewhere_is_another_upload(tmp_path: Path, other: str) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        flags: dict[str, object] = {}
        wishes: dict[str, object] = {}
        if other == "endpoint":
            flags = {"endpoint": w.oci.endpoint.replace("127.0.0.1", "localhost")}
        elif other == "namespace":
            wishes = {"namespace": "ns2"}
            w.oci.store.namespace = "ns2"
        else:
            wishes = {"bucket": "elsewhere"}
            w.oci.create_bucket("elsewhere")
        with Journal(w.home / "state") as journal, w.storage(**flags) as storage:
            request = w.request(source, existing=IfExists.ASK, **wishes)
            there = upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
            (kept,) = journal.entries()
        assert there.bytes_sent == 4 * PART, "what is here is nothing there"
        assert w.oci.log.count(operation="CreateMultipartUpload") == 2
        assert "parts are there" not in notices(w)
        w.oci.store.namespace = "ns1"
        here = again(w, source, existing=IfExists.REPLACE)
        assert here.upload_id == kept.upload_id != there.upload_id
        assert here.bytes_sent == 2 * PART, "and what is there is nothing here"
        assert w.arrived_whole(source)


@pytest.mark.slow
def test_a_changed_source_is_refused_and_restart_begins_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        with source.open("r+b") as file:
            file.write(b"something else")
        with pytest.raises(SourceError, match="`restart`"):
            again(w, source)
        assert len(w.oci.uploads("backups")[0].parts) == 2, "nothing is lost by asking"
        again(w, source, restart=True)
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []


def test_a_source_whose_time_was_set_back_is_known_by_its_bytes(tmp_path: Path) -> None:
    """An encrypted container keeps its size, and is given its old time when it is closed."""
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        before = source.stat()
        with source.open("r+b") as file:
            file.seek(PART)
            file.write(b"something else")
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(SourceChangedError, match="set back") as caught:
            again(w, source)
        assert "`restart`" in str(caught.value)
        assert sorted(parts_stored(w)) == [1, 2], "nothing of it is mixed with what is there"
        again(w, source, restart=True)
        assert w.arrived_whole(source)


def test_a_source_that_was_only_touched_is_gone_on_with(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        source.chmod(0o600)
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4]
        assert "reading its 2 finished parts" in notices(w)


def test_another_encryption_key_is_refused(tmp_path: Path) -> None:
    key = SseCustomerKey.from_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", where="test")
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 1, sse_customer_key=key)
        with pytest.raises(UsageError, match="encryption"):
            again(w, source)
        again(w, source, sse_customer_key=key)
        assert w.arrived_whole(source)
        stored = (w.home / "state" / "journal.sqlite3").read_bytes()
        assert key.base64_key.encode() not in stored


def test_another_part_size_goes_on_with_the_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(5 * PART)
        interrupted_after(w, source, 3)
        result = again(w, source, part_size=2 * PART)
        assert w.arrived_whole(source)
        assert (result.part_count, result.bytes_sent) == (5, 2 * PART)
        assert "10 MiB" in notices(w)


def test_an_upload_that_the_service_has_forgotten_begins_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        (left,) = w.oci.uploads("backups")
        storage.abort_multipart_upload("ns1", "backups", source.name, upload_id=left.upload_id)
        again(w, source)
        assert w.arrived_whole(source)
        assert "no longer knows" in notices(w)


def test_a_part_that_the_service_has_otherwise_is_sent_again(tmp_path: Path) -> None:
    """Somebody else's part under our upload id: never committed as ours."""
    with world(tmp_path) as w:
        source, other = w.file(4 * PART), w.file(PART, "other")
        interrupted_after(w, source, 2)
        (left,) = w.oci.uploads("backups")
        from ocihaul.transfer.checksum import Integrity  # noqa: PLC0415  to send by hand
        from ocihaul.transfer.source import FileSource, Piece  # noqa: PLC0415
        from ocihaul.transfer.upload.part_uploader import PartUploader  # noqa: PLC0415

        with w.storage() as storage, FileSource(other) as foreign:
            integrity = Integrity(declared=None, want_md5=False, listener=w.heard)
            request = partial(
                storage.upload_part,
                *("ns1", "backups", source.name),
                upload_id=left.upload_id,
                headers=integrity.request_headers(),
            )
            context = upload_context(integrity, listener=w.heard)
            uploader = PartUploader(context, request, record=lambda *_: None)
            uploader.upload(Piece(2, foreign, 0, PART), buffer=memoryview(bytearray(MIB)))
        again(w, source)
        assert w.arrived_whole(source)
        assert parts_stored(w).count(2) == 3


def test_a_run_that_died_after_its_commit_is_settled_without_sending_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        with monkeypatch.context() as dying:
            dying.setattr(Journal, "finish", lambda *_, **__: None)  # killed before it could
            again(w, source)
        before = len(parts_stored(w))
        result = again(w, source)
        assert len(parts_stored(w)) == before
        assert result.bytes_sent == 0
        assert result.headers["etag"] == w.oci.object_info("backups", source.name).etag
        assert "only its answer was lost" in notices(w)


@pytest.mark.slow
def test_a_session_that_ends_is_gone_on_with_after_the_login(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=12 * MIB) as w:
        source = w.file(120 * MIB)
        process = w.start(*w.put(source, "--parallel-upload-count", "3"))
        w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart", timeout=60)
        w.end_sessions()
        ran = w.finish(process)
        assert ran.code == 75, ran.err
        assert "the same command, run again, resumes" in ran.err
        kept = len(w.oci.uploads("backups")[0].parts)
        assert kept > 0
        w.oci.configure(bandwidth=None)
        w.oci.write_profile(w.home / "oci")
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert f"{kept} of 12 parts are there" in ran.err
        assert w.part_bytes_received() == 120 * MIB


@pytest.mark.slow
def test_an_interrupt_stops_within_two_seconds_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=15 * MIB) as w:
        source = w.file(100 * MIB)
        process = w.start(*w.put(source, "--parallel-upload-count", "2"))
        w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart", timeout=30)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        ran = w.finish(process)
        assert time.monotonic() - started < 2
        assert ran.code == 130, ran.err
        assert "the same command, run again, resumes" in ran.err
        w.oci.configure(bandwidth=None)
        assert w.run(*w.put(source)).code == 0
        assert w.arrived_whole(source)
        assert set(parts_stored(w)) == set(range(1, 11))
        assert len(parts_stored(w)) <= 10 + 2, "no more than the two in flight went twice"


@pytest.mark.slow
def test_of_two_runs_at_once_the_second_waits_or_says_who_has_it(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=6 * MIB) as w:
        source = w.file(60 * MIB)
        first = w.start(*w.put(source))
        w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload", timeout=30)
        waiting = w.start(*w.put(source))
        refused = w.run(*w.put(source, "--no-wait"))
        assert refused.code == 75, refused.err
        assert f"already being uploaded by process {first.pid}" in refused.err
        second = w.finish(waiting)
        assert w.finish(first).code == 0
        assert second.code == 0, second.err
        assert "waiting for it to end" in second.err
        assert "already exists" in second.err
        assert w.oci.log.count(operation="CreateMultipartUpload") == 1


def test_a_claim_names_its_owner_and_ends_with_it(tmp_path: Path) -> None:
    journal, target = Journal(tmp_path), Target("http://e", "n", "b", "o")
    with (
        journal.claim(target, wait=0),
        pytest.raises(TransferInProgressError, match="by process"),
        journal.claim(target, wait=0),
    ):
        pass
    with journal.claim(target, wait=0):
        pass
    journal.close()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["open", "record"])
def test_a_journal_that_cannot_be_written_costs_the_memory_but_not_the_upload(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        if moment == "open":
            (w.home / "state").write_text("a file where a directory should be")
            ran = w.run(*w.put(source))
            assert ran.code == 0, ran.err
            assert "OCIHAUL_STATE_DIR" in ran.err
        else:
            from ocihaul.errors import JournalError  # noqa: PLC0415  to be raised

            def full(*_: object) -> None:
                raise JournalError("No space left on device")

            monkeypatch.setattr(Journal, "record", full)
            again(w, source)
            assert notices(w).count("No space left on device") == 1
        assert w.arrived_whole(source)


def begun_in(journal: Journal, *, part_size: int) -> Entry:
    """An upload that the journal alone knows of."""
    return journal.begin(
        Target("http://e", "n", "b", "o"),
        upload_id="u",
        source="/f",
        identity=Identity(1, 2, 3, 4),
        part_size=part_size,
        encryption="service",
        algorithm="CRC32C",
    )


def test_what_the_journal_knows_of_1463_parts_is_read_in_no_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = begun_in(journal, part_size=128 * MIB)
    for number in range(1, 1464):
        journal.record(entry, {number: SentPart(128 * MIB, "e", {"CRC32C": b"abcd"})})
    started = time.thread_time()  # of this thread's own: others may be busy
    found = journal.find(entry.target)
    assert found == entry
    assert len(journal.parts(found)) == 1463
    assert time.thread_time() - started < 2
    journal.close()


def test_a_corrupted_part_is_recorded_only_when_it_is_right(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=1, corrupt=True))
        source = w.file(3 * PART)
        interrupted_after(w, source, 2)
        again(w, source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)


def test_threads_record_into_one_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = begun_in(journal, part_size=1)

    def record(first: int) -> None:
        for number in range(first, 201, 10):
            journal.record(entry, {number: SentPart(1, "e", {"CRC32C": b"abcd"})})

    threads = [Thread(target=record, args=[first]) for first in range(1, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(journal.parts(entry)) == list(range(1, 201))
    journal.close()
