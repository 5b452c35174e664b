"""No PutObject is stored unless the service has compared it: damage, refusals, conflicts."""

import base64
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import crc32c
import pytest

from ocihaul.client import Client
from ocihaul.emulator import Fault
from ocihaul.errors import (
    ChecksumError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SourceChangedError,
    TransferCancelled,
)
from ocihaul.events import (
    AttemptFinished,
    BytesSent,
    Event,
    Listener,
    Notice,
    PartResent,
    audience,
    ignore,
)
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload import single_put
from ocihaul.transfer.upload.part_uploader import MOST_SENDS
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult
from ocihaul.transfer.upload.single_put import is_about_a_checksum
from ocihaul.transfer.upload.upload import upload
from ocihaul.transport.message import Answer
from tests.world import MIB, World, world

OLD = b"the one of yesterday"
#: Around the megabyte that is held, and beyond a block of it.
SIZES = [1, 5_000, MIB, MIB + 1, 2 * MIB, 3_500_000]


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def stored(w: World, name: str) -> bytes | None:
    """What a reader of the name gets; None for nothing."""
    return w.oci.read_object("backups", name) if name in w.oci.object_names("backups") else None


def damaged(w: World, *, times: int | None = MOST_SENDS, at: int = 0, **more: object) -> Fault:
    """One bit of each PutObject's body turns over on its way."""
    fault = Fault(operation="PutObject", corrupt_at_byte=at, times=times, **more)  # type: ignore[arg-type]  # by name
    return w.oci.faults.add(fault)


def once(condition: Callable[[Event], bool], act: Callable[[], None]) -> Callable[[Event], None]:
    """A listener that acts at the first event like that."""
    done: list[Event] = []

    def listener(event: Event) -> None:
        if not done and condition(event):
            done.append(event)
            act()

    return listener


def send(w: World, request: UploadRequest, act: Listener) -> UploadResult:
    """Upload, with a listener that hears of each request, too; yes to all questions."""
    tell = audience(w.heard, act)
    with Client(w.settings(), listener=tell, cancel=w.stop) as client:
        return upload(client.storage, request, listener=tell, stop=w.stop, confirm=lambda _: True)


def after(operation: str) -> Callable[[Event], bool]:
    """Whether an event is the end of such a request."""
    return lambda event: isinstance(event, AttemptFinished) and event.operation == operation


# The service refuses


@pytest.mark.parametrize("piped", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("size", SIZES)
def test_finding_a01_a_put_that_stays_damaged_is_refused_and_the_old_object_stays(
    w: World, size: int, piped: bool
) -> None:
    source = w.file(size)
    w.oci.put_object("backups", source.name, OLD)
    fault = damaged(w, at=size // 2)
    stream = BytesIO(source.read_bytes()) if piped else None
    with pytest.raises(ChecksumError) as caught:
        w.upload(source, stream=stream)
    assert fault.fired == MOST_SENDS
    text = str(caught.value)
    assert "arrived damaged 3 times" in text
    assert "nothing was stored, and what the name held before is untouched" in text
    assert stored(w, source.name) == OLD
    entries = w.oci.log.entries(operation="PutObject")
    assert [entry.error_code for entry in entries] == ["UnmatchedContentCRC32C"] * MOST_SENDS
    assert len(w.heard.of(PartResent)) == MOST_SENDS
    progress = [event.count for event in w.heard.events if isinstance(event, BytesSent)]
    assert sum(progress) == 0, "what was refused does not count"


@pytest.mark.parametrize("algorithm", [None, "CRC32C", "SHA256", "SHA384"])
@pytest.mark.parametrize("size", [0, *SIZES])
def test_finding_a01_each_put_tells_its_checksum_beforehand(
    w: World, size: int, algorithm: str | None
) -> None:
    source = w.file(size)
    if size:
        damaged(w, times=2)
    w.upload(source, checksum_algorithm=algorithm, verify_checksum=size % 2 == 0)
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)
    header = f"opc-content-{(algorithm or 'CRC32C').lower()}"
    told = w.oci.object_info("backups", source.name).headers[header]
    for entry in w.oci.log.entries(operation="PutObject"):
        assert entry.headers["opc-checksum-algorithm"] == (algorithm or "CRC32C")
        assert entry.headers[header] == told


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UnmatchedContentMD5", "Unmatched Content MD5"),
        ("InvalidParameter", "Unmatched Content CRC32C"),
        ("InvalidRequest", "The value of the Content-MD5 header 'x' does not fit the body"),
        ("BadDigest", "The opc-content-crc32c you specified did not match what we received"),
        ("InvalidDigest", "checksum mismatch"),
        ("X", "The checksum of the body does not match"),
    ],
)
def test_finding_a01_a_refusal_is_damage_however_it_is_worded(
    w: World, code: str, message: str
) -> None:
    source = w.file(2 * MIB)
    w.oci.faults.add(Fault(operation="PutObject", status=400, code=code, message=message, times=2))
    w.upload(source)
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)


def test_other_refusals_are_no_damage() -> None:
    def said(status: int, code: str | None, message: str) -> bool:
        return is_about_a_checksum(
            ServiceError(status=status, code=code, message=message, operation="PutObject")
        )

    assert not said(400, "InvalidParameter", "'MD4' is no checksum algorithm")
    assert not said(400, None, "")
    assert not said(412, "IfMatchFailed", "the etag does not match")
    assert not said(500, "InternalServerError", "Unmatched Content MD5")
    assert said(400, None, "Unmatched Content SHA256")


@pytest.mark.parametrize("given", ["content_md5", "content_crc32c", "content_sha256"])
@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_finding_a01_a_checksum_that_the_caller_gave_is_compared_before_anything_is_sent(
    w: World, size: int, given: str
) -> None:
    length = {"content_md5": 16, "content_crc32c": 4, "content_sha256": 32}[given]
    wrong = base64.b64encode(bytes(length)).decode()
    with pytest.raises(ChecksumError, match="Nothing was sent"):
        w.upload(w.file(size), **{given: wrong})  # type: ignore[arg-type]  # by name
    assert w.oci.log.count(operation="PutObject") == 0


def test_finding_a01_a_checksum_that_the_caller_gave_goes_along_as_it_is(w: World) -> None:
    source = w.file(2 * MIB)
    value = base64.b64encode(crc32c.crc32c(source.read_bytes()).to_bytes(4)).decode()
    w.upload(source, content_crc32c=value)
    (entry,) = w.oci.log.entries(operation="PutObject")
    assert entry.headers["opc-content-crc32c"] == value


# A source that is read twice


@pytest.mark.parametrize(("size", "times"), [(MIB, 1), (MIB + 1, 2), (5 * MIB, 2)])
def test_finding_a01_a_megabyte_is_read_once_and_more_is_read_again_to_be_sent(
    w: World, monkeypatch: pytest.MonkeyPatch, size: int, times: int
) -> None:
    read: list[int] = []
    read_into = FileSource.read_into

    def counting(self: FileSource, view: memoryview, offset: int) -> None:
        read.append(len(view))
        read_into(self, view, offset)

    monkeypatch.setattr(FileSource, "read_into", counting)
    w.upload(w.file(size), verify_checksum=True, checksum_algorithm="SHA256")
    assert sum(read) == times * size


def test_finding_a01_a_file_that_reads_otherwise_when_it_is_sent_stores_nothing(w: World) -> None:
    """It has the same size and time: only its bytes tell."""
    source = w.file(3 * MIB)
    w.oci.put_object("backups", source.name, OLD)
    status = source.stat()

    def rewrite() -> None:
        with source.open("r+b") as file:
            file.seek(2 * MIB + 77)
            file.write(b"other")
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))

    listener = once(lambda event: isinstance(event, BytesSent), rewrite)
    with pytest.raises(SourceChangedError, match="Nothing was stored"):
        send(w, w.request(source), listener)
    assert stored(w, source.name) == OLD
    assert w.part_bytes_received() < source.stat().st_size, "its last block did not go out"


# A service that stores what it should refuse


@pytest.mark.parametrize("existing", [IfExists.REPLACE, IfExists.ASK])
@pytest.mark.parametrize("there", [False, True], ids=["fresh", "replacing"])
def test_a_service_that_does_not_compare_is_mended_at_once(
    w: World, there: bool, existing: IfExists
) -> None:
    w.oci.configure(checks_bodies=False)
    source = w.file(2 * MIB)
    if there:
        w.oci.put_object("backups", source.name, OLD)
    damaged(w, times=MOST_SENDS - 1)
    send(w, w.request(source, existing=existing), ignore)
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="DeleteObject") == MOST_SENDS - 1


def test_a_service_that_does_not_compare_keeps_no_damaged_object(w: World) -> None:
    w.oci.configure(checks_bodies=False)
    source = w.file(2 * MIB)
    w.oci.put_object("backups", source.name, OLD)
    fault = damaged(w)
    with pytest.raises(ChecksumError) as caught:
        w.upload(source)
    assert fault.fired == MOST_SENDS
    assert stored(w, source.name) is None
    text = str(caught.value)
    assert "arrived damaged 3 times" in text
    assert "what the name held before is gone, unless the bucket keeps versions" in text
    assert "nothing was stored" not in text


@pytest.mark.parametrize("status", [400, 404])
def test_where_a_version_cannot_be_named_the_etag_does(w: World, status: int) -> None:
    w.oci.configure(checks_bodies=False)
    source = w.file(2 * MIB)
    damaged(w, times=1)
    w.oci.faults.add(Fault(operation="DeleteObject", status=status, code="NoVersion"))
    w.oci.faults.add(Fault(operation="PutObject", after=1, status=403))
    with pytest.raises(ServiceError):
        w.upload(source)
    w.oci.faults.assert_all_fired()
    assert stored(w, source.name) is None
    first, second = w.oci.log.entries(operation="DeleteObject")
    assert ("versionId" in first.query, "versionId" in second.query) == (True, False)
    assert second.headers["if-match"]


def test_in_a_bucket_with_versions_the_old_object_is_visible_again(w: World) -> None:
    w.oci.configure(checks_bodies=False)
    w.oci.create_bucket("versioned", versioning="Enabled")
    source = w.file(2 * MIB)
    w.oci.put_object("versioned", source.name, OLD)
    damaged(w)
    with pytest.raises(ChecksumError):
        w.upload(source, bucket="versioned")
    w.oci.faults.assert_all_fired()
    assert w.oci.read_object("versioned", source.name) == OLD
    w.oci.faults.clear()
    damaged(w, times=1)
    with w.storage() as storage:
        etag = storage.head_object("ns1", "versioned", source.name).etag
    w.upload(source, bucket="versioned", if_match=etag)
    w.oci.faults.assert_all_fired()
    assert w.oci.read_object("versioned", source.name) == source.read_bytes()


@pytest.mark.parametrize("times", [MOST_SENDS - 1, MOST_SENDS])
def test_without_the_right_to_delete_a_damaged_object_is_replaced(w: World, times: int) -> None:
    w.oci.configure(checks_bodies=False)
    source = w.file(2 * MIB)
    refused = w.oci.faults.add(Fault(operation="DeleteObject", status=403, times=None))
    damaged(w, times=times)
    if times < MOST_SENDS:
        w.upload(source, existing=IfExists.ASK)
        assert w.arrived_whole(source)
    else:
        with pytest.raises(ChecksumError, match="holds damaged bytes now") as caught:
            w.upload(source, existing=IfExists.ASK)
        assert "could not be deleted" in str(caught.value)
    assert refused.fired >= times
    conditions = [
        entry.headers.get("if-match") for entry in w.oci.log.entries(operation="PutObject")
    ]
    assert conditions[0] is None
    assert all(conditions[1:]), "only what we have put is replaced"


@pytest.mark.parametrize("how", ["network", "stop"])
def test_a_damaged_object_is_deleted_when_it_cannot_be_replaced(w: World, how: str) -> None:
    """The deletion fails at first; then so does the second send, or a person wants to stop."""
    w.oci.configure(checks_bodies=False)
    source = w.file(2 * MIB)
    damaged(w, times=1)
    w.oci.faults.add(Fault(operation="DeleteObject", status=403))

    def fail() -> None:
        if how == "stop":
            w.stop.set()
        else:
            w.oci.faults.add(Fault(operation="PutObject", status=404, code="NotFound"))

    with pytest.raises(OcihaulError) as caught:
        send(w, w.request(source), once(after("DeleteObject"), fail))
    assert stored(w, source.name) is None
    assert "what the name held before is gone" in str(caught.value)
    assert isinstance(caught.value, TransferCancelled if how == "stop" else ServiceError)


def test_an_answer_that_is_wrong_about_a_right_object_costs_one_look(w: World) -> None:
    source = w.file(2 * MIB)
    w.oci.faults.add(Fault(operation="PutObject", corrupt_answer_checksum=True))
    result = w.upload(source)
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="PutObject") == 1
    assert result.headers["etag"] == w.oci.object_info("backups", source.name).etag


def test_finding_a21_an_answer_to_a_damaged_put_without_an_etag_is_told(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says which object it is: it is neither replaced nor deleted, and that is said."""
    real = StorageClient.put_object

    def bare(self: StorageClient, *args: Any) -> Answer:
        answer = real(self, *args)
        kept = {name: v for name, v in answer.headers.items() if name not in {"etag", "version-id"}}
        return replace(answer, headers=kept)

    monkeypatch.setattr(StorageClient, "put_object", bare)
    w.oci.configure(checks_bodies=False)
    damaged(w, times=1)
    with pytest.raises(ChecksumError, match="holds damaged bytes now") as caught:
        w.upload(w.file(2 * MIB))
    w.oci.faults.assert_all_fired()
    assert "arrived damaged once" in str(caught.value)
    assert "does not say which object it is" in str(caught.value)
    assert w.oci.log.count(operation="DeleteObject") == 0


def test_a_long_read_before_the_first_byte_is_said(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_put, "DEFAULT_PART_SIZE", 3 * MIB)
    w.upload(w.file(3 * MIB))
    assert "read once for its checksum" not in str(w.heard.of(Notice))
    w.upload(w.file(3 * MIB + 1), multipart=False)
    assert "read once for its checksum" in str(w.heard.of(Notice))


# Conflicts


@pytest.mark.parametrize("size", [5_000, 2 * MIB])
@pytest.mark.parametrize("there", [False, True], ids=["fresh", "replacing"])
@pytest.mark.parametrize("algorithm", ["CRC32C", None], ids=["CRC32C", "MD5 only"])
def test_finding_a13_the_same_object_that_appears_meanwhile_is_no_conflict(
    w: World, size: int, there: bool, algorithm: str | None
) -> None:
    """A run before this one was killed, and its request arrives after we have looked."""
    source = w.file(size)
    if there:
        w.oci.put_object("backups", source.name, OLD)

    def land() -> None:
        w.oci.put_object("backups", source.name, source.read_bytes(), algorithm=algorithm)

    request = w.request(source, existing=IfExists.ASK)
    result = send(w, request, once(after("HeadObject"), land))
    (entry,) = w.oci.log.entries(operation="PutObject")
    assert entry.status == 412
    assert result.headers["etag"] == w.oci.object_info("backups", source.name).etag
    assert w.arrived_whole(source)


@pytest.mark.parametrize("other", ["bytes", "metadata", "type"])
def test_finding_a13_another_object_that_appears_meanwhile_is_a_conflict(
    w: World, other: str
) -> None:
    source = w.file(5_000)
    data = OLD if other == "bytes" else source.read_bytes()
    wishes: dict[str, object] = {"metadata": {"of": "db1"}, "content_type": "text/plain"}

    def appear() -> None:
        metadata = {"of": "db2" if other == "metadata" else "db1"}
        headers = {"content-type": "text/html" if other == "type" else "text/plain"}
        w.oci.put_object("backups", source.name, data, metadata=metadata, headers=headers)

    request = w.request(source, existing=IfExists.ASK, **wishes)
    with pytest.raises(ServiceError) as caught:
        send(w, request, once(after("HeadObject"), appear))
    assert caught.value.status == 412
    assert stored(w, source.name) == data


def test_finding_a13_a_caller_that_swaps_by_its_own_etag_hears_of_each_conflict(w: World) -> None:
    """Two writers of the same bytes have not both replaced the one of before."""
    source = w.file(5_000)
    w.oci.put_object("backups", source.name, source.read_bytes())
    with pytest.raises(ServiceError) as caught:
        w.upload(source, if_match="the-one-before")
    assert caught.value.status == 412


def test_a_network_that_fails_says_nothing_of_damage(w: World) -> None:
    w.oci.faults.add(Fault(operation="PutObject", cut_at_byte=10, times=None))
    with pytest.raises(NetworkError) as caught:
        w.upload(w.file(2 * MIB), flags={"max_retries": 1})
    assert "damaged" not in str(caught.value)
    assert "stored" not in str(caught.value)
