"""Streams against the emulator: cut, kept, sent, checked, and nothing left when that fails."""

import errno
import hashlib
import io
import os
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import (
    ChecksumError,
    JournalError,
    ServiceError,
    SourceError,
    UploadIncompleteError,
    UsageError,
)
from ocihaul.events import Notice, PartFinished, UploadPlanned
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.plan import ServiceLimits, StreamPlan
from ocihaul.transfer.upload.request import UploadResult
from ocihaul.transfer.upload.upload import upload as upload_with
from tests.world import MIB, PART, World, world


def upload(w: World, data: bytes, **wishes: object) -> UploadResult:
    given: dict[str, object] = {"name": "dump", "stream": io.BytesIO(data)}
    return w.upload(Path("-"), flags={}, **(given | wishes))


def noise(size: int) -> bytes:
    """Bytes of which no two parts are alike."""
    blocks = (hashlib.sha256(n.to_bytes(8)).digest() * 2048 for n in range(size // 65536 + 1))
    return b"".join(blocks)[:size]


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART])
def test_up_to_one_part_is_one_put_of_a_known_size(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        data = noise(size)
        result = upload(w, data, expected_size=None if size else 0)
        assert w.oci.read_object("backups", "dump") == data
        assert (result.size, result.part_count, result.upload_id) == (size, 1, None)
        assert w.oci.log.count(operation="CreateMultipartUpload") == 0
        assert w.oci.log.count(operation="PutObject") == 1


@pytest.mark.parametrize("size", [PART + 1, 3 * PART, 3 * PART + 17])
@pytest.mark.parametrize("memory", [0, 256 * MIB])
def test_more_than_one_part_arrives_whole(tmp_path: Path, size: int, memory: int) -> None:
    with world(tmp_path) as w:
        data = noise(size)
        result = upload(w, data, memory_limit=memory, verify_checksum=True)
        assert w.oci.read_object("backups", "dump") == data
        info = w.oci.object_info("backups", "dump")
        assert result.size == result.bytes_sent == size
        assert result.part_count == len(w.heard.of(PartFinished)) == -(-size // PART)
        assert result.md5 == info.headers["opc-multipart-md5"]
        assert result.crc32c == b64encode(info.crc32c.to_bytes(4)).decode()
        (planned,) = w.heard.of(UploadPlanned)
        assert isinstance(planned, UploadPlanned)
        assert (planned.size, planned.part_count) == (None, None)


def test_the_parts_grow(tmp_path: Path) -> None:
    limits = ServiceLimits(first_part=1000, unit=300, parts_of_a_size=2)
    with world(tmp_path) as w:
        data = noise(20_000)
        result = upload(w, data, part_size=None, limits=limits)
        assert w.oci.read_object("backups", "dump") == data
        sizes = [StreamPlan(None, limits).part_size(n) for n in range(1, result.part_count)]
        assert sizes[:8] == [1000, 1000, 1000, 1000, 1300, 1300, 1900, 1900]
        sent = {e.part_number: e.body_received for e in w.oci.log.entries(operation="UploadPart")}
        assert [sent[n] for n in range(1, result.part_count)] == sizes


def test_expectations_that_hold(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = noise(2 * PART + 5)
        sha = b64encode(hashlib.sha256(data).digest()).decode()
        md5 = b64encode(hashlib.md5(data).digest()).decode()
        upload(w, data, expected_size=len(data), content_sha256=sha, content_md5=md5)
        assert w.oci.read_object("backups", "dump") == data


@pytest.mark.parametrize("size", [100, 3 * PART], ids=["one piece", "parts"])
@pytest.mark.parametrize(
    ("wishes", "text"),
    [
        ({"expected_size": -1}, "more than the"),
        ({"expected_size": +1}, "ended after"),
        ({"content_sha256": "AAAA"}, "SHA256"),
        ({"content_crc32c": "AAAAAA=="}, "CRC32C"),
        ({"content_md5": "AAAA"}, "MD5"),
    ],
)
def test_a_stream_that_is_not_as_expected_leaves_nothing(
    tmp_path: Path, size: int, wishes: dict[str, object], text: str
) -> None:
    if isinstance(off := wishes.get("expected_size"), int):
        wishes = {"expected_size": size + off}
    with world(tmp_path) as w:
        with pytest.raises((SourceError, ChecksumError, UploadIncompleteError)) as caught:
            upload(w, noise(size), **wishes)
        error = caught.value.__cause__ if size > PART else caught.value
        assert isinstance(error, (SourceError, ChecksumError))
        assert text in str(error)
        assert w.oci.object_names("backups") == []
        assert w.oci.uploads("backups") == []
        assert w.oci.log.count(operation="CreateMultipartUpload") == (size > PART)


def test_a_stream_longer_than_fixed_parts_hold_is_refused(tmp_path: Path) -> None:
    limits = ServiceLimits(most_parts=3, smallest_part=1)
    with world(tmp_path) as w:
        upload(w, noise(3000), part_size=1000, limits=limits)
        assert len(w.oci.read_object("backups", "dump")) == 3000
        with pytest.raises(UploadIncompleteError) as caught:
            upload(w, noise(3001), part_size=1000, limits=limits)
        assert "3 parts" in str(caught.value.__cause__)
        assert w.oci.uploads("backups") == []


def test_without_multipart_a_stream_is_refused(tmp_path: Path) -> None:
    with world(tmp_path) as w, pytest.raises(UsageError, match="not for a stream"):
        upload(w, b"x", multipart=False)


class Broken(io.BytesIO):
    """Ends in an error of the disk or the line."""

    def readinto(self, view: object) -> int:
        count = super().readinto(view)  # type: ignore[arg-type]  # as BytesIO takes it
        if not count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return count


def test_a_stream_that_breaks_is_no_end_of_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with pytest.raises(SourceError, match="Input/output error"):
            upload(w, b"", stream=Broken(noise(100)))
        with pytest.raises(UploadIncompleteError) as caught:
            upload(w, b"", stream=Broken(noise(3 * PART)))
        assert "Input/output error" in str(caught.value.__cause__)
        assert w.oci.object_names("backups") == []
        assert w.oci.uploads("backups") == []


class Silent(io.RawIOBase):
    """Gives so many bytes, and then nothing until the end of the test; cannot be waited for."""

    def __init__(self, data: bytes, over: threading.Event) -> None:
        self._data = io.BytesIO(data)
        self._over = over

    def readinto(self, view: object) -> int:
        count = self._data.readinto(view)  # type: ignore[arg-type]  # as BytesIO takes it
        if not count:
            self._over.wait()
        return count


def test_a_part_that_fails_for_good_does_not_wait_for_the_producer(tmp_path: Path) -> None:
    over = threading.Event()
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=403, part_number=1))
        with pytest.raises(UploadIncompleteError) as caught:
            upload(w, b"", stream=Silent(noise(2 * PART), over))
        assert isinstance(caught.value.__cause__, ServiceError)
        assert w.oci.uploads("backups") == []
        over.set()


def test_every_part_carries_the_customers_key(tmp_path: Path) -> None:
    key = SseCustomerKey.from_text(b64encode(bytes(range(32))).decode(), where="test")
    with world(tmp_path) as w:
        data = noise(3 * PART)
        upload(w, data, sse_customer_key=key)  # the emulator refuses a part without it
        assert w.oci.read_object("backups", "dump") == data
        with w.storage() as storage, pytest.raises(ServiceError):
            storage.head_object("ns1", "backups", "dump")


def test_every_part_declares_the_checksum(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        upload(w, noise(2 * PART), checksum_algorithm="SHA256")
        assert "opc-multipart-sha256" in w.oci.object_info("backups", "dump").headers


def test_parts_of_a_file_are_not_dropped_for_a_stream_unasked(tmp_path: Path) -> None:
    with world(tmp_path) as w, Journal(tmp_path / "state") as journal, w.storage() as storage:
        w.oci.faults.add(Fault(operation="UploadPart", status=403, part_number=2))
        file = w.file(3 * PART)
        with pytest.raises(UploadIncompleteError):
            upload_with(storage, w.request(file, name="dump"), journal=journal)
        (left,) = w.oci.uploads("backups")
        wishes: dict[str, object] = {"name": "dump", "stream": io.BytesIO(noise(100))}
        with pytest.raises(UsageError, match="`restart`"):
            upload_with(storage, w.request(Path("-"), **wishes), journal=journal)
        assert [each.upload_id for each in w.oci.uploads("backups")] == [left.upload_id]
        upload_with(storage, w.request(Path("-"), **wishes, restart=True), journal=journal)
        assert w.oci.uploads("backups") == []
        assert journal.entries() == []


def test_a_finished_stream_is_not_remembered_as_unfinished(tmp_path: Path) -> None:
    with world(tmp_path) as w, Journal(tmp_path / "state") as journal, w.storage() as storage:
        wishes: dict[str, object] = {"name": "dump", "stream": io.BytesIO(noise(2 * PART))}
        upload_with(storage, w.request(Path("-"), **wishes), journal=journal)
        assert journal.entries() == []


def test_an_expected_size_holds_for_a_file_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with pytest.raises(SourceError, match="100 bytes, not 101 as expected"):
            w.upload(w.file(100), flags={}, expected_size=101)
        w.upload(w.file(100), flags={}, expected_size=100)


def test_a_journal_that_cannot_be_written_costs_the_memory_but_not_the_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise JournalError("No space left on device")

    monkeypatch.setattr(Journal, "begin", full)
    data = noise(2 * PART)
    with world(tmp_path) as w, Journal(tmp_path / "state") as journal, w.storage() as storage:
        wishes: dict[str, object] = {"name": "dump", "stream": io.BytesIO(data)}
        upload_with(storage, w.request(Path("-"), **wishes), listener=w.heard, journal=journal)
        assert w.oci.read_object("backups", "dump") == data
        texts = [event.text for event in w.heard.events if isinstance(event, Notice)]
        assert len([text for text in texts if "No space left on device" in text]) == 1
