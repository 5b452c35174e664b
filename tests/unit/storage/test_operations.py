"""Every operation against the emulator: what goes out is understood, what comes back is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Emulator, Fault, Settings
from ocihaul.emulator.auth import TENANCY
from ocihaul.emulator.handlers.common import page_token
from ocihaul.errors import ServiceError, UsageError
from ocihaul.storage.calls import Extent
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import epoch
from ocihaul.storage.values import ALL_FIELDS, Selection
from tests.support import Recorder
from tests.world import World

NS, BUCKET = "ns1", "backups"


@pytest.fixture
def oci() -> Iterator[Emulator]:
    with Emulator(Settings()) as emulator:
        yield emulator


@pytest.fixture
def heard() -> Recorder:
    return Recorder()


@pytest.fixture
def storage(oci: Emulator, heard: Recorder, tmp_path: Path) -> Iterator[StorageClient]:
    world = World(oci, tmp_path, oci.write_profile(tmp_path / "oci"), heard)
    with world.storage(max_retries=4) as client:
        yield client


def names(storage: StorageClient, selection: Selection, **how: int) -> list[str]:
    pages = storage.list_objects(NS, BUCKET, selection, **how)
    return [each.name for page in pages for each in page.objects]


def test_a_list_tells_all_that_it_was_asked_for(oci: Emulator, storage: StorageClient) -> None:
    oci.put_object(BUCKET, "a b/é", b"abc", part_size=2)
    oci.put_object(BUCKET, "cold", b"x", storage_tier="Archive")
    (page,) = storage.list_objects(NS, BUCKET, Selection(fields=ALL_FIELDS))
    first, cold = page.objects
    assert (first.name, first.size, first.storage_tier) == ("a b/é", 3, "Standard")
    assert first.etag == oci.object_info(BUCKET, "a b/é").etag
    assert (first.md5 or "").endswith("-2")
    assert first.time_created is not None
    assert epoch(first.time_created) > 1.7e9
    assert cold.archival_state == "Archived"
    (bare,) = storage.list_objects(NS, BUCKET)
    assert bare.objects[0].size is None


def test_lists_page_by_page_as_wished(oci: Emulator, storage: StorageClient) -> None:
    for name in ("a", "b/1", "b/2", "c", "d", "e"):
        oci.put_object(BUCKET, name, b"x")
    assert names(storage, Selection(delimiter="/"), page_size=2) == ["a", "c", "d", "e"]
    assert names(storage, Selection(start="b", end="d")) == ["b/1", "b/2", "c"]
    assert names(storage, Selection(prefix="b/", start_after="b/1")) == ["b/2"]
    assert names(storage, Selection(), limit=3, page_size=2) == ["a", "b/1", "b/2"]
    # An entry ends after the client has its bytes.
    oci.log.wait_for(lambda entry: entry.query.get("limit") == "1", timeout=5)
    asked = [entry.query["limit"] for entry in oci.log.entries(operation="ListObjects")]
    assert asked[-2:] == ["2", "1"]


def test_a_list_goes_on_after_an_error_in_the_middle(oci: Emulator, storage: StorageClient) -> None:
    for number in range(5):
        oci.put_object(BUCKET, f"{number}", b"x")
    oci.faults.add(Fault(operation="ListObjects", after=1, status=503))
    assert names(storage, Selection(), page_size=2) == list("01234")
    oci.faults.assert_all_fired()


def test_versions_and_markers_are_told_apart(oci: Emulator, storage: StorageClient) -> None:
    oci.create_bucket("kept", versioning="Enabled")
    first = oci.put_object("kept", "it", b"1").version_id
    second = oci.put_object("kept", "it", b"2").version_id
    gone = storage.delete_object(NS, "kept", "it")
    assert gone.is_delete_marker
    pages = list(storage.list_object_versions(NS, "kept", page_size=2))
    found = [(v.version_id, v.is_delete_marker) for page in pages for v in page.objects]
    assert found == [(gone.version_id, True), (second, False), (first, False)]
    lifted = storage.delete_object(NS, "kept", "it", version_id=gone.version_id)
    assert lifted.is_delete_marker
    assert storage.head_object(NS, "kept", "it", version_id=first).size == 1
    with pytest.raises(ServiceError, match="IfMatchFailed"):
        storage.delete_object(NS, "kept", "it", if_match="other")


@pytest.mark.parametrize("idle", [False, True])
def test_a_deletion_is_done_when_the_object_is_gone_after_a_lost_reply(
    oci: Emulator, storage: StorageClient, *, idle: bool
) -> None:
    oci.put_object(BUCKET, "it", b"x")
    if idle:
        storage.get_namespace()  # the connection that it leaves is sent on, and again on another
    oci.faults.add(Fault(operation="DeleteObject", cut_before_answer=True))
    storage.delete_object(NS, BUCKET, "it")
    oci.faults.assert_all_fired()
    assert oci.object_names(BUCKET) == []
    with pytest.raises(ServiceError, match="ObjectNotFound") as gone:
        storage.delete_object(NS, BUCKET, "it")
    assert "Check the object's name" in str(gone.value)
    oci.faults.add(Fault(operation="DeleteObject", status=503))
    with pytest.raises(ServiceError, match="BucketNotFound"):
        storage.delete_object(NS, "nowhere", "it")


def test_the_same_goes_for_uploads_and_pars(oci: Emulator, storage: StorageClient) -> None:
    upload = storage.create_multipart_upload(NS, BUCKET, {"object": "it"}, {})
    par = storage.create_preauthenticated_request(
        NS, BUCKET, name="p", access_type="AnyObjectRead", time_expires="2099-01-01T00:00:00Z"
    )
    for operation in ("AbortMultipartUpload", "DeletePreauthenticatedRequest"):
        oci.faults.add(Fault(operation=operation, cut_before_answer=True))
    storage.abort_multipart_upload(NS, BUCKET, "it", upload_id=upload)
    storage.delete_preauthenticated_request(NS, BUCKET, par.par_id)
    oci.faults.assert_all_fired()
    with pytest.raises(ServiceError, match="UploadNotFound"):
        storage.abort_multipart_upload(NS, BUCKET, "it", upload_id=upload)
    with pytest.raises(ServiceError, match="404"):
        storage.delete_preauthenticated_request(NS, BUCKET, par.par_id)


def test_a_batch_tells_of_each_object(oci: Emulator, storage: StorageClient) -> None:
    etag = oci.put_object(BUCKET, "a", b"x").etag
    oci.put_object(BUCKET, "b", b"x")
    done = storage.batch_delete_objects(NS, BUCKET, {"a": etag, "b": "other", "c": None})
    assert done.deleted == ("a",)
    assert [(each.name, each.status) for each in done.failed] == [("b", 412), ("c", 404)]
    with pytest.raises(UsageError, match="1000"):
        storage.batch_delete_objects(NS, BUCKET, {str(number): None for number in range(1001)})
    with pytest.raises(UsageError, match="UTF-8"):
        storage.batch_delete_objects(NS, BUCKET, {"bad\udcff": None})


def test_rename_restore_and_copy(oci: Emulator, storage: StorageClient) -> None:
    oci.configure(copy_seconds=0.0)
    etag = oci.put_object(BUCKET, "cold", b"x", storage_tier="Archive").etag
    assert storage.restore_objects(NS, BUCKET, "cold", hours=1).status == 200
    assert storage.restore_objects(NS, BUCKET, "cold").status == 202
    conditions = {"srcObjIfMatchETag": etag, "newObjIfNoneMatchETag": "*"}
    storage.rename_object(NS, BUCKET, "cold", "ice", conditions=conditions)
    assert oci.object_names(BUCKET) == ["ice"]
    oci.put_object(BUCKET, "it", b"data")
    details = {
        "sourceObjectName": "it",
        "destinationRegion": "eu-frankfurt-1",
        "destinationNamespace": NS,
        "destinationBucket": BUCKET,
        "destinationObjectName": "copy",
    }
    work = storage.get_work_request(storage.copy_object(NS, BUCKET, details))
    assert (work.status, work.over, work.percent_complete) == ("COMPLETED", True, 100.0)
    assert oci.read_object(BUCKET, "copy") == b"data"
    with pytest.raises(ServiceError, match="404"):
        storage.get_work_request("none")


def test_buckets(oci: Emulator, storage: StorageClient) -> None:
    oci.create_bucket("second")
    found = storage.list_buckets(NS, TENANCY, extent=Extent(page_size=1))
    assert [each["name"] for each in found] == ["backups", "second"]
    assert oci.log.count(operation="ListBuckets") == 2
    assert storage.get_bucket(NS, BUCKET, fields=["approximateCount"])["approximateCount"] == 0
    assert storage.head_bucket(NS, BUCKET)["etag"]
    with pytest.raises(ServiceError) as failure:
        storage.head_bucket(NS, "nowhere")
    assert failure.value.status == 404


@pytest.mark.parametrize(
    ("extent", "count", "following", "asked"),
    [
        (Extent(), 5, None, ["1000"]),
        (Extent(page_size=2), 5, None, ["2", "2", "2"]),
        (Extent(limit=3, page_size=2), 3, page_token("3"), ["2", "1"]),
        (Extent(limit=2), 2, page_token("2"), ["2"]),
        (Extent(limit=9), 5, None, ["9"]),
        (Extent(page=page_token("3")), 2, None, ["1000"]),
        (Extent(single=True, page_size=None), 5, None, [None]),
        (Extent(single=True, page_size=2), 2, page_token("2"), ["2"]),
    ],
)
def test_as_much_of_a_list_as_is_wanted(
    *,
    oci: Emulator,
    storage: StorageClient,
    extent: Extent,
    count: int,
    following: str | None,
    asked: list[str | None],
) -> None:
    for number in range(5):
        storage.create_multipart_upload(NS, BUCKET, {"object": f"o{number}"}, {})
    listing = storage.list_multipart_uploads(NS, BUCKET, extent=extent)
    found = list(listing)
    assert (len(found), listing.following) == (count, following)
    assert {each.name for each in found} <= {f"o{number}" for number in range(5)}
    entries = oci.log.entries(operation="ListMultipartUploads")
    assert [entry.query.get("limit") for entry in entries] == asked


def test_a_par_is_told_once_and_never_shown(
    oci: Emulator, storage: StorageClient, heard: Recorder
) -> None:
    made = storage.create_preauthenticated_request(
        NS,
        BUCKET,
        name="mine",
        access_type="ObjectWrite",
        time_expires="2099-01-01T00:00:00Z",
        object_name="a/b",
    )
    (secret,) = oci.par_secrets()
    assert secret in (made.access_uri or "")
    assert secret in (made.full_path or "")
    assert secret not in repr(made)
    known = storage.get_preauthenticated_request(NS, BUCKET, made.par_id)
    assert (known.access_uri, known.full_path) == (None, None)
    assert (known.object_name, known.time_expires) == ("a/b", made.time_expires)
    assert list(storage.list_preauthenticated_requests(NS, BUCKET)) == [known]
    assert list(storage.list_preauthenticated_requests(NS, BUCKET, object_name_prefix="b")) == []
    storage.delete_preauthenticated_request(NS, BUCKET, made.par_id)
    assert list(storage.list_preauthenticated_requests(NS, BUCKET)) == []
    assert all(secret not in str(event) for event in heard.events)
