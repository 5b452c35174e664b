"""Uploads against the emulator: what arrives, what is checked, what happens when it is wrong."""

import base64
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import (
    ChecksumError,
    ObjectExistsError,
    ServiceError,
    SourceChangedError,
    SourceError,
    TransferCancelled,
    UploadIncompleteError,
    UsageError,
)
from ocihaul.events import BytesSent, Notice, PartFinished, PartResent, RetryScheduled
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.request import IfExists
from ocihaul.transfer.upload.upload import upload
from tests.world import MIB, PART, world

KEY = SseCustomerKey.from_text(base64.b64encode(bytes(range(32))).decode(), where="test")


@pytest.mark.parametrize("size", [0, 1, MIB, PART, PART + 1, 3 * PART, 3 * PART + 17])
def test_sizes_around_every_boundary_arrive_whole_in_one_pass(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        result = w.upload(source, verify_checksum=True)
        assert w.arrived_whole(source)
        assert (result.bytes_sent, result.bytes_resent) == (size, 0)
        assert result.part_count == len(w.heard.of(PartFinished)) == max(-(-size // PART), 1)
        info = w.oci.object_info("backups", source.name)
        header = "opc-multipart-md5" if size > PART else "content-md5"
        assert result.md5 == info.headers[header]
        assert result.crc32c == base64.b64encode(info.crc32c.to_bytes(4)).decode()


def test_the_source_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    read_into = FileSource.read_into

    def counting(self: FileSource, view: memoryview, offset: int) -> None:
        read.append(len(view))
        read_into(self, view, offset)

    monkeypatch.setattr(FileSource, "read_into", counting)
    with world(tmp_path) as w:
        w.upload(w.file(3 * PART), verify_checksum=True, checksum_algorithm="SHA256")
    assert sum(read) == 3 * PART


def test_progress_adds_up_even_when_parts_are_resent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=500, part_number=2))
        w.upload(w.file(3 * PART))
        w.oci.faults.assert_all_fired()
        counts = [event.count for event in w.heard.events if isinstance(event, BytesSent)]
        assert sum(counts) == 3 * PART
        assert min(counts) == -PART


# What the object looks like


@pytest.mark.parametrize("size", [MIB, 2 * PART], ids=["single", "multipart"])
def test_every_attribute_arrives(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        w.upload(
            source,
            content_type="application/x-tar",
            content_language="ja",
            content_encoding="gzip",
            content_disposition="attachment",
            cache_control="no-store",
            storage_tier="Archive",
            kms_key_id="ocid1.key.oc1..x",
            metadata={"origin": "db1"},
        )
        info = w.oci.object_info("backups", source.name)
        assert info.storage_tier == "Archive"
        assert info.kms_key_id == "ocid1.key.oc1..x"
        assert info.metadata == {"origin": "db1"}
        expected = {
            "content-type": "application/x-tar",
            "content-language": "ja",
            "content-encoding": "gzip",
            "content-disposition": "attachment",
            "cache-control": "no-store",
        }
        assert {name: info.headers.get(name) for name in expected} == expected


@pytest.mark.parametrize("size", [MIB, 2 * PART], ids=["single", "multipart"])
def test_a_customers_key_is_on_every_request_that_needs_it(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        w.upload(source, sse_customer_key=KEY, existing=IfExists.ASK)
        with pytest.raises(ObjectExistsError):  # the first HEAD is without the key, and is refused
            w.upload(source, sse_customer_key=KEY, existing=IfExists.KEEP)
        wanted = {"PutObject", "CreateMultipartUpload", "UploadPart"}
        entries = [entry for entry in w.oci.log.entries() if entry.operation in wanted]
        heads = w.oci.log.entries(operation="HeadObject")
        assert [each.status for each in heads if "opc-sse-customer-key-sha256" in each.headers][
            -1:
        ] == [200]
        assert entries
        assert all("opc-sse-customer-key-sha256" in entry.headers for entry in entries)
        assert w.oci.object_info("backups", source.name).sse_key_sha256


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256", "SHA384"])
@pytest.mark.parametrize("size", [MIB, 2 * PART], ids=["single", "multipart"])
def test_a_declared_algorithm_is_computed_and_compared(
    tmp_path: Path, algorithm: str, size: int
) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        result = w.upload(source, checksum_algorithm=algorithm)
        assert w.arrived_whole(source)
        names = {name for name in result.headers if algorithm.lower() in name}
        assert names, "the service returned it"
        w.oci.faults.add(Fault(operation="UploadPart", corrupt=True))
        w.oci.faults.add(Fault(operation="PutObject", corrupt=True))
        w.upload(source, checksum_algorithm=algorithm)
        assert w.arrived_whole(source)
        assert len(w.heard.of(PartResent)) == 1


@pytest.mark.parametrize("size", [MIB, 2 * PART], ids=["single", "multipart"])
def test_checksums_that_the_caller_announces_are_checked(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        right = base64.b64encode(hashlib.md5(source.read_bytes()).digest()).decode()
        w.upload(source, content_md5=right)
        assert w.arrived_whole(source)
        with pytest.raises((ChecksumError, ServiceError)):
            w.upload(source, name="other", content_md5=base64.b64encode(bytes(16)).decode())
        assert w.oci.object_names("backups") == [source.name]
        assert w.oci.uploads("backups") == []


def test_metadata_that_a_header_cannot_carry_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        with pytest.raises(UsageError, match="opc-meta-place"):
            w.upload(w.file(1), metadata={"place": "東京"})
        assert w.oci.log.entries() == []


# Damage


@pytest.mark.parametrize("size", [MIB, 3 * PART], ids=["single", "multipart"])
def test_damage_on_the_way_is_resent(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        operation = "UploadPart" if size > PART else "PutObject"
        w.oci.faults.add(Fault(operation=operation, corrupt=True, times=2))
        source = w.file(size)
        w.upload(source, existing=IfExists.ASK)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert len(w.heard.of(PartResent)) == 2


@pytest.mark.parametrize("fault", [{"corrupt": True}, {"corrupt_answer_checksum": True}])
def test_weakness_04_damage_that_does_not_stop_is_an_error_and_nothing_is_committed(
    tmp_path: Path, fault: dict[str, bool]
) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(
            Fault(operation="UploadPart", part_number=2, times=None, **fault)  # type: ignore[arg-type]  # by name
        )
        with pytest.raises(UploadIncompleteError) as caught:
            w.upload(w.file(3 * PART))
        assert isinstance(caught.value.__cause__, ChecksumError)
        assert not caught.value.resumable
        assert w.oci.object_names("backups") == []
        assert w.oci.log.count(operation="CommitMultipartUpload") == 0
        assert len([a for a in w.attempts("UploadPart") if "PartNum=2" in a.path]) == 3


def test_a_wrong_whole_object_value_is_an_error_in_the_stock_words(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="CommitMultipartUpload", corrupt_answer_checksum=True))
        with pytest.raises(ChecksumError, match="checksum does not match \\[Local: "):
            w.upload(w.file(2 * PART), verify_checksum=True)
        w.oci.faults.assert_all_fired()


@pytest.mark.parametrize("size", [MIB, 5 * PART], ids=["single", "multipart"])
def test_a_service_without_crc32c_is_checked_by_md5_and_that_is_said(
    tmp_path: Path, size: int
) -> None:
    with world(tmp_path, checksums="never") as w:
        source = w.file(size)
        result = w.upload(source, parallel=2)
        assert w.arrived_whole(source)
        assert [event for event in w.heard.of(Notice) if "MD5" in str(event)]
        assert len(w.heard.of(Notice)) == 1
        if size > PART:
            assert result.md5 == result.headers["opc-multipart-md5"]
        w.oci.faults.add(
            Fault(corrupt=True, operation="UploadPart" if size > PART else "PutObject")
        )
        w.upload(source, parallel=2)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)


# Lost replies


@pytest.mark.parametrize("existing", [IfExists.ASK, IfExists.REPLACE])
def test_a_lost_reply_to_a_single_put_is_settled(tmp_path: Path, existing: IfExists) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="PutObject", cut_before_answer=True))
        source = w.file(2 * MIB)
        result = w.upload(source, existing=existing)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert result.headers["etag"] == w.oci.object_info("backups", source.name).etag


@pytest.mark.parametrize("existing", [IfExists.ASK, IfExists.REPLACE])
def test_a_lost_reply_to_the_commit_is_settled(tmp_path: Path, existing: IfExists) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="CommitMultipartUpload", cut_before_answer=True))
        source = w.file(2 * PART)
        result = w.upload(source, existing=existing)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert result.headers["etag"] == w.oci.object_info("backups", source.name).etag
        assert result.bytes_resent == 0


def test_weakness_02_a_lost_reply_to_a_part_sends_only_that_part_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=2, cut_before_answer=True))
        source = w.file(4 * PART)
        result = w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        assert result.bytes_resent == PART


# What may not be replaced


def test_an_existing_object_is_kept_unless_the_caller_wants_it_replaced(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(1)
        w.oci.put_object("backups", source.name, b"older")
        for existing in (IfExists.KEEP, IfExists.ASK):
            with pytest.raises(ObjectExistsError):
                w.upload(source, existing=existing)
        assert w.oci.read_object("backups", source.name) == b"older"
        w.upload(source, existing=IfExists.REPLACE)
        assert w.arrived_whole(source)


@pytest.mark.parametrize("size", [MIB, 2 * PART], ids=["single", "multipart"])
def test_an_object_that_appears_meanwhile_is_not_replaced(tmp_path: Path, size: int) -> None:
    with world(tmp_path) as w:
        source = w.file(size)
        operation = "UploadPart" if size > PART else "PutObject"

        def appear(event: object) -> None:
            w.heard(event)  # type: ignore[arg-type]  # events only
            if isinstance(event, BytesSent) and not w.oci.object_names("backups"):
                w.oci.put_object("backups", source.name, b"theirs")

        w.oci.faults.add(Fault(operation=operation, stall_at_byte=1, stall_seconds=0.5))
        from ocihaul.transfer.upload.upload import upload  # noqa: PLC0415  with a listener of its own

        request = w.request(source, existing=IfExists.ASK)
        with w.storage() as storage, pytest.raises((ServiceError, UploadIncompleteError)):
            upload(storage, request, listener=appear, stop=w.stop)
        assert w.oci.read_object("backups", source.name) == b"theirs"


def test_if_match_that_does_not_match_is_refused_before_a_byte_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        w.oci.put_object("backups", source.name, b"older")
        with pytest.raises(ServiceError) as caught:
            w.upload(source, if_match="not-the-etag", existing=IfExists.ASK)
        assert caught.value.status == 412
        assert w.part_bytes_received() == 0


def test_an_unknown_bucket_says_what_to_check(tmp_path: Path) -> None:
    with world(tmp_path) as w, pytest.raises(ServiceError) as caught:
        w.upload(w.file(2 * PART), bucket="nowhere")
    assert (caught.value.status, caught.value.code) == (404, "BucketNotFound")
    assert "`bucket`" in str(caught.value)
    assert "opc-request-id" in str(caught.value)


# The source


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


@pytest.mark.parametrize("change", [shrink, grow, rewrite])
@pytest.mark.parametrize("multipart", [True, False])
def test_weakness_28_a_file_that_changes_is_an_error_and_nothing_is_committed(
    tmp_path: Path, change: Callable[[Path], None], multipart: bool
) -> None:
    with world(tmp_path, bandwidth=30 * MIB) as w:
        source = w.file(4 * PART)
        changed = Event()

        def listener(event: object) -> None:
            if isinstance(event, BytesSent) and not changed.is_set():
                changed.set()
                change(source)

        with w.storage() as storage, pytest.raises(SourceChangedError, match=r"backup\.tar"):
            upload(storage, w.request(source, multipart=multipart), listener=listener)
        assert changed.is_set()
        assert w.oci.uploads("backups") == [], "its parts are of no use to anybody"
        if multipart:
            assert w.oci.object_names("backups") == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("call", ["preadv", "fstat"])
def test_a_disk_that_fails_for_a_moment_does_not_cost_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    fine = getattr(os, call)
    with world(tmp_path) as w:
        source = w.file(3 * PART)

        def failing(descriptor: int, *more: object) -> object:
            ours = Path(f"/proc/self/fd/{descriptor}").resolve() == source
            if ours and w.heard.of(PartFinished):
                raise OSError(number, os.strerror(number))
            return fine(descriptor, *more)

        monkeypatch.setattr(os, call, failing)
        with pytest.raises(UploadIncompleteError, match="not complete") as caught:
            w.upload(source, parallel=1)
        cause = caught.value.__cause__
        assert type(cause) is SourceError
        assert os.strerror(number) in str(cause)
        assert caught.value.resumable
        (upload,) = w.oci.uploads("backups")
        assert upload.parts, "what is there is kept"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "No such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
    ],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "x")
    with pytest.raises(SourceError, match=words):
        FileSource(tmp_path / "x")


# FailurePolicy


def test_the_first_error_stops_new_parts_at_once(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=40 * MIB) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=3, status=403, early=True))
        with pytest.raises(UploadIncompleteError) as caught:
            w.upload(w.file(20 * PART), parallel=4)
        w.oci.faults.assert_all_fired()
        assert isinstance(caught.value.__cause__, ServiceError)
        assert w.oci.log.count(operation="UploadPart") <= 5
        assert w.part_bytes_received() < 4 * PART


def test_weakness_14_throttling_is_waited_out_as_long_as_the_service_says(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=429, retry_after=1, early=True))
        source = w.file(2 * PART)
        w.upload(source)
        w.oci.faults.assert_all_fired()
        assert w.arrived_whole(source)
        (retry,) = [event for event in w.heard.events if isinstance(event, RetryScheduled)]
        assert retry.delay >= 1


@pytest.mark.parametrize(("flags", "tries"), [({"max_retries": 3}, 3), ({"no_retry": True}, 1)])
def test_the_callers_limit_of_attempts_is_exact(
    tmp_path: Path, flags: dict[str, object], tries: int
) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=1, status=503, times=None))
        with pytest.raises(UploadIncompleteError):
            w.upload(w.file(2 * PART), flags=flags, parallel=1)
        assert w.oci.log.count(operation="UploadPart") == tries


def test_a_stop_is_obeyed_at_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=2 * MIB) as w:

        def stop_when_parts_are_on_their_way() -> None:
            w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload")
            w.stop.wait(0.3)
            w.stop.set()

        Thread(target=stop_when_parts_are_on_their_way).start()
        with pytest.raises(TransferCancelled, match="Resume with: `upload") as caught:
            w.upload(w.file(10 * PART), parallel=10)
        (upload,) = w.oci.uploads("backups")
        assert upload.upload_id in str(caught.value)


def test_an_api_key_signs_as_well(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.write_api_key_profile(w.home / "oci", "APIKEY")
        source = w.file(2 * PART)
        w.upload(source, flags={"profile": "APIKEY", "auth": "api_key"})
        assert w.arrived_whole(source)


def test_a_rejected_api_key_is_an_error_at_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="HeadObject", status=401))
        w.oci.write_api_key_profile(w.home / "oci", "APIKEY")
        flags = {"profile": "APIKEY", "auth": "api_key"}
        with pytest.raises(ServiceError) as caught:
            w.upload(w.file(1), flags=flags, existing=IfExists.ASK)
        assert caught.value.status == 401
        assert w.oci.log.count() == 1


@pytest.mark.slow
def test_a_service_that_rejects_every_credential_is_given_up(tmp_path: Path) -> None:
    with world(tmp_path, integer_claims=False) as w:
        w.oci.faults.add(Fault(operation="HeadObject", status=401, times=None))
        with pytest.raises(ServiceError) as caught:
            w.upload(w.file(1), existing=IfExists.ASK)
        assert caught.value.status == 401
        assert w.refreshes() == 5
