"""Receipts: complete over several runs, written whole or not at all, never at the upload's cost."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import ReceiptError, UsageError
from ocihaul.events import Event, Notice, PartFinished
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.monitor import TransferMonitor, TransferStats
from ocihaul.transfer.upload import state
from ocihaul.transfer.upload.request import IfExists, UploadResult
from ocihaul.transfer.upload.upload import upload
from tests.functional.test_resume import interrupted_after, notices
from tests.unit.transfer.receipts.test_receipt import check_schema
from tests.world import MIB, PART, World, world


class Killed(BaseException):
    """What stands for a kill at a chosen moment."""


def put(w: World, source: Path, **wishes: Any) -> UploadResult:
    """An upload with the journal and a monitor, as the command makes it."""
    monitor = TransferMonitor(stats=TransferStats())

    def listen(event: Event) -> None:
        w.heard(event)
        monitor(event)

    request = w.request(source, **({"existing": IfExists.ASK} | wishes))
    with Journal(w.home / "state") as journal, w.storage() as storage:
        return upload(
            storage, request, listener=listen, stop=w.stop, journal=journal, monitor=monitor
        )


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    check_schema(document)
    return document


def bytes_sent(w: World) -> int:
    return w.part_bytes_received()


@pytest.mark.slow
def test_the_command_writes_one_and_the_journal_keeps_it(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=5.0, bandwidth=12 * MIB) as w:
        source, receipt = w.file(80 * MIB + 5), tmp_path / "r.json"
        w.log_in()
        ran = w.run(*w.put(source, "--receipt", str(receipt)))
        assert ran.code == 0, ran.err
        document = read(receipt)
        stored = w.oci.object_info("backups", source.name)
        assert document["target"]["etag"] == stored.etag == json.loads(ran.out)["etag"]
        assert document["target"]["endpoint"] == w.oci.endpoint
        status = source.stat()
        assert document["source"] == {
            "path": str(source),
            "size": status.st_size,
            "mtime-ns": status.st_mtime_ns,
            "inode": status.st_ino,
            "device": status.st_dev,
        }
        assert document["whole"]["crc32c"] == document["service"]["opc-content-crc32c"]
        assert [part["number"] for part in document["parts"]] == list(range(1, 10))
        ids = [part["opc-request-id"] for part in document["parts"]]
        assert len(set(ids)) == 9
        lines = [line for line in ran.err.splitlines() if " 200 UploadPart " in line]
        assert {line.rpartition("opc-request-id=")[2] for line in lines} == set(ids)
        assert document["counts"]["renewals"] >= 1
        assert document["counts"]["runs"] == 1
        listed = w.run("receipts", "list", "--json")
        assert listed.code == 0, listed.err
        (kept,) = json.loads(listed.out)["data"]
        assert (kept["object"], kept["owed"]) == (source.name, False)
        shown = w.run("receipts", "show", str(kept["id"]))
        assert shown.out == receipt.read_text()
        for text in (receipt.read_text(), ran.err, shown.out):
            assert not any(secret in text for secret in w.secrets())


def test_a_single_object_has_one_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = w.file(12345), tmp_path / "r.json"
        result = put(w, source, receipt=receipt)
        document = read(receipt)
        assert document["target"]["upload-id"] is None
        (part,) = document["parts"]
        assert part["size"] == document["part-size"] == 12345
        assert part["etag"] == result.headers["etag"]
        assert part["opc-request-id"] == result.headers["opc-request-id"]
        assert document["whole"]["crc32c"] == part["crc32c"]


def test_an_upload_over_three_runs_has_a_complete_one(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=6, corrupt=True))
        source, receipt = w.file(6 * PART), tmp_path / "r.json"
        interrupted_after(w, source, 2)
        interrupted_after(w, source, 4)
        put(w, source, receipt=receipt)
        w.oci.faults.assert_all_fired()
        document = read(receipt)
        ids = [part["opc-request-id"] for part in document["parts"]]
        assert len(set(ids)) == 6
        assert None not in ids
        assert document["counts"]["runs"] == 3
        assert document["counts"]["resends"] == 1
        assert document["counts"]["resent-bytes"] == PART
        assert document["times"]["begun"] < document["times"]["finished"]


def test_a_key_of_the_customer_is_named_by_its_hash_alone(tmp_path: Path) -> None:
    key = SseCustomerKey.from_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", where="test")
    with world(tmp_path) as w:
        source, receipt = w.file(3 * PART), tmp_path / "r.json"
        put(w, source, receipt=receipt, sse_customer_key=key, verify_checksum=True)
        document = read(receipt)
        digest = key.headers()["opc-sse-customer-key-sha256"]
        assert document["target"]["encryption"] == f"sse-c {digest}"
        assert all("md5" in part for part in document["parts"])
        assert key.base64_key not in receipt.read_text()
        assert key.base64_key.encode() not in (w.home / "state/journal.sqlite3").read_bytes()


def test_a_name_that_is_no_text_does_not_stop_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plain = w.file(2 * PART)
        source = plain.rename(plain.with_name("b\udcff.tar"))
        put(w, source, name="o", receipt=tmp_path / "r.json")
        assert read(tmp_path / "r.json")["source"]["path"] == str(source)


# Where it cannot be written


@pytest.mark.parametrize("place", ["missing/r.json", ".", "backup.tar", "data", "fifo"])
def test_a_place_that_will_not_do_is_found_before_a_byte_is_sent(
    tmp_path: Path, place: str
) -> None:
    import os  # noqa: PLC0415  for the one special file

    with world(tmp_path) as w:
        source = w.file(2 * PART)
        (tmp_path / "data").write_text("somebody's data")
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(UsageError, match="`receipt`"):
            put(w, source, receipt=tmp_path / place)
        assert w.oci.log.count() == 0
        assert (tmp_path / "data").read_text() == "somebody's data"
        assert source.stat().st_size == 2 * PART
        assert list(tmp_path.glob(".ocihaul-*")) == []


def test_a_link_stays_one_and_leads_to_the_receipt(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        (tmp_path / "archive").mkdir()
        link, behind = tmp_path / "r.json", tmp_path / "archive" / "r.json"
        link.symlink_to(behind)
        put(w, w.file(10), receipt=link)
        assert link.is_symlink()
        assert read(behind)["source"]["size"] == 10


@pytest.mark.parametrize("to", ["r.json", "missing/r.json", "backup.tar"])
def test_a_link_that_leads_nowhere_good_is_found_before_a_byte_is_sent(
    tmp_path: Path, to: str
) -> None:
    with world(tmp_path) as w:
        source, link = w.file(2 * PART), tmp_path / "r.json"
        link.symlink_to(to)
        with pytest.raises(UsageError, match="`receipt`"):
            put(w, source, receipt=link)
        assert w.oci.log.count() == 0


def test_an_older_receipt_is_replaced(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        receipt = tmp_path / "r.json"
        put(w, w.file(10), receipt=receipt)
        result = put(w, w.file(20), receipt=receipt, existing=IfExists.REPLACE)
        assert read(receipt)["target"]["etag"] == result.headers["etag"]


@pytest.mark.slow
def test_one_that_cannot_be_written_at_the_end_is_owed_and_written_by_the_next_run(
    tmp_path: Path,
) -> None:
    with world(tmp_path, bandwidth=20 * MIB) as w:
        source, away = w.file(30 * MIB), tmp_path / "away"
        away.mkdir()
        process = w.start(*w.put(source, "--receipt", str(away / "r.json")))
        w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload", timeout=30)
        shutil.rmtree(away)
        ran = w.finish(process)
        assert ran.code == 1, ran.err
        assert "is stored and right, but the receipt" in ran.err
        assert json.loads(ran.out)["etag"] == w.oci.object_info("backups", source.name).etag
        assert w.arrived_whole(source)
        before = bytes_sent(w)
        ran = w.run(*w.put(source, "--receipt", str(tmp_path / "r.json")))
        assert ran.code == 0, ran.err
        assert "only its receipt was not written" in ran.err
        assert bytes_sent(w) == before
        assert len(read(tmp_path / "r.json")["parts"]) == 3
        ran = w.run(*w.put(source, "--receipt", str(tmp_path / "r.json")))
        assert "already exists" in ran.err, "it is owed no more"


# Killed between the commit and the receipt


@pytest.mark.parametrize("moment", ["before the journal", "before the file", "single"])
def test_a_run_killed_after_its_commit_leaves_a_receipt_that_the_next_one_writes(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with world(tmp_path) as w:
        source, receipt = w.file(10 if moment == "single" else 3 * PART), tmp_path / "r.json"
        with monkeypatch.context() as dying:
            if moment == "before the journal":
                dying.setattr(Journal, "finish", die)
            else:
                dying.setattr(state, "write_receipt", die)
            with pytest.raises(Killed):
                put(w, source, receipt=receipt)
        before = bytes_sent(w)
        result = put(w, source, receipt=receipt)
        assert bytes_sent(w) == before
        assert result.bytes_sent == result.bytes_resent == 0
        assert "The earlier run had finished" in notices(w)
        document = read(receipt)
        assert document["target"]["etag"] == w.oci.object_info("backups", source.name).etag
        assert None not in [part["opc-request-id"] for part in document["parts"]]


def test_an_owed_receipt_is_not_given_for_another_file_or_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with world(tmp_path) as w:
        source, receipt = w.file(3 * PART), tmp_path / "r.json"
        with monkeypatch.context() as dying:
            dying.setattr(state, "write_receipt", die)
            with pytest.raises(Killed):
                put(w, source, receipt=receipt)
        first = w.oci.object_info("backups", source.name).etag
        source.write_bytes(source.read_bytes()[::-1])
        put(w, source, receipt=receipt, existing=IfExists.REPLACE)
        assert w.arrived_whole(source)
        assert read(receipt)["target"]["etag"] != first


# The journal's own troubles


def fill(journal: Journal) -> None:
    """From now on SQLite gets no page more, and the pages it has are full: as on a full disk."""
    fillers = (
        (
            "INSERT INTO uploads SELECT NULL, 'e', 'n', 'b', hex(randomblob(9)), 'u', 's', "
            "1, 1, 1, 1, 1, 'service', 'CRC32C', 1, '{}', NULL, NULL"
        ),
        (
            "INSERT INTO parts SELECT max(id), 1 + (SELECT count(*) FROM parts), "
            "1, 'e', 'd', 'r' FROM uploads"
        ),
        "INSERT INTO receipts SELECT NULL, 'e', 'n', 'b', 'o', 'e', 1, 1, 0, 'd'",
    )
    with journal._database.reading() as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        for filler in fillers:
            with pytest.raises(sqlite3.OperationalError, match="full"):
                repeat(database, filler)


def repeat(database: sqlite3.Connection, statement: str) -> None:
    while True:
        with database:
            database.execute(statement)


@pytest.mark.parametrize("moment", ["begin", "part", "finish"])
def test_a_full_disk_costs_the_memory_but_neither_the_upload_nor_the_receipt(
    tmp_path: Path, moment: str
) -> None:
    with world(tmp_path) as w, Journal(w.home / "state") as journal, w.storage() as storage:
        source, receipt = w.file(4 * PART), tmp_path / "r.json"

        parts = 0

        def listen(event: Event) -> None:
            nonlocal parts
            w.heard(event)
            parts += isinstance(event, PartFinished)
            if (moment, parts) in {("part", 2), ("finish", 4)} and isinstance(event, PartFinished):
                fill(journal)

        if moment == "begin":
            fill(journal)
        request = w.request(source, receipt=receipt, parallel=1)
        upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        assert w.arrived_whole(source)
        assert len(read(receipt)["parts"]) == 4
        told = [e for e in w.heard.events if isinstance(e, Notice) and "full" in e.text]
        assert len(told) == 1, notices(w)


def test_a_directory_without_room_for_a_lock_costs_the_memory_alone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        with Journal(w.home / "state") as journal, w.storage() as storage:
            from ocihaul.transfer.journal.journal import Target  # noqa: PLC0415  for its file's name

            target = Target(w.oci.endpoint, w.oci.namespace, "backups", source.name)
            (w.home / "state" / f"upload-{target.digest}.lock").mkdir()
            request = w.request(source, receipt=tmp_path / "r.json")
            upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
        assert w.arrived_whole(source)
        assert "nothing can be remembered" in notices(w)
        read(tmp_path / "r.json")


def test_with_no_journal_at_all_the_lost_receipt_is_said_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, _: str) -> None:
        raise ReceiptError(f"the receipt {path} cannot be written: No space left on device")

    monkeypatch.setattr(state, "write_receipt", fail)
    with world(tmp_path) as w, pytest.raises(ReceiptError, match="not kept in the journal") as lost:
        w.upload(w.file(10), receipt=tmp_path / "r.json")
    result = lost.value.result
    assert isinstance(result, UploadResult)
    assert result.receipt is not None
    assert len(result.receipt.parts) == 1
