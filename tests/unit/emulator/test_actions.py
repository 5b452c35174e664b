"""Restore, batches of deletions and copies, as dialogues."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Emulator, Settings

from .client import Client


def test_a_restore_takes_its_time_and_ends(oci: Emulator, client: Client) -> None:
    client.put("cold", b"ice", storage_tier="Archive")
    oci.configure(restore_seconds=60.0)
    target = client.path("actions/restoreObjects")
    assert client.post(target, {"objectName": "cold", "hours": 0.5}).status == 400
    assert client.post(target, {"objectName": "cold", "hours": 1}).status == 200
    assert client.head("cold").headers["archival-state"] == "Restoring"
    assert client.get("cold").code == "NotRestored"
    assert client.post(target, {"objectName": "cold", "hours": 1}).status == 202
    oci.configure(clock_offset=61.0, max_skew=1e9)
    assert client.head("cold").headers["archival-state"] == "Restored"
    assert client.get("cold").body == b"ice"
    oci.configure(clock_offset=61.0 + 3600)
    assert oci.object_info("backups", "cold").archival_state == "Archived"


def test_a_batch_tells_of_each_object(oci: Emulator, client: Client) -> None:
    etag = oci.put_object("backups", "a", b"x").etag
    for name in ("b", "c"):
        oci.put_object("backups", name, b"x")
    objects = [
        {"objectName": "a", "ifMatch": etag},
        {"objectName": "b", "ifMatch": "other"},
        {"objectName": "missing"},
    ]
    target = client.path("actions/batchDeleteObjects")
    told = client.post(target, {"objects": objects}).json()
    assert [each["objectName"] for each in told["deleted"]] == ["a"]
    failed = [(each["objectName"], each["statusCode"]) for each in told["failed"]]
    assert failed == [("b", 412), ("missing", 404)]
    assert oci.object_names("backups") == ["b", "c"]
    skipped = client.post(target, {"objects": [{"objectName": "c"}], "isSkipDeletedResult": True})
    assert skipped.json() == {"deleted": [], "failed": []}
    assert client.post(target, {"objects": [{"objectName": "b"}] * 1001}).status == 400
    assert client.post(target, {"objects": []}).status == 400


def copy(client: Client, **more: object) -> dict[str, object]:
    return {
        "sourceObjectName": "it",
        "destinationRegion": "eu-frankfurt-1",
        "destinationNamespace": "ns1",
        "destinationBucket": "backups",
        "destinationObjectName": "copy",
        **more,
    }


def finished(client: Client, work: str) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        document: dict[str, object] = client.call("GET", f"/workRequests/{work}").json()
        if document["status"] != "IN_PROGRESS":
            return document
    raise TimeoutError


def test_a_copy_takes_a_moment(oci: Emulator, client: Client) -> None:
    oci.configure(copy_seconds=60.0)
    oci.put_object("backups", "it", b"data", metadata={"who": "me"}, part_size=3)
    reply = client.post(client.path("actions/copyObject"), copy(client))
    assert reply.status == 202
    work = reply.headers["opc-work-request-id"]
    assert client.call("GET", f"/workRequests/{work}").json()["status"] == "IN_PROGRESS"
    assert oci.object_names("backups") == ["it"]
    assert client.call("DELETE", client.path("o", "it")).status == 204
    oci.configure(clock_offset=61.0)
    document = finished(client, work)
    assert (document["status"], document["percentComplete"]) == ("COMPLETED", 100.0)
    assert oci.read_object("backups", "copy") == b"data"
    assert oci.object_info("backups", "copy").metadata == {"who": "me"}
    assert client.call("GET", f"/workRequests/{work}/errors").json() == []
    assert client.call("GET", "/workRequests/other").status == 404


def test_the_bytes_of_copies_stay_while_one_has_them(oci: Emulator, client: Client) -> None:
    oci.configure(copy_seconds=0.0)
    oci.put_object("backups", "it", b"data")
    work = client.post(client.path("actions/copyObject"), copy(client)).headers
    finished(client, work["opc-work-request-id"])
    client.put("copy", b"other")
    assert client.get("it").body == b"data"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"sourceObjectName": "missing"}, 404),
        ({"destinationBucket": "nowhere"}, 404),
        ({"sourceObjectIfMatchETag": "other"}, 412),
        ({"destinationObjectName": None}, 400),
        ({"destinationObjectStorageTier": "Lukewarm"}, 400),
    ],
)
def test_a_copy_that_cannot_be_is_refused(
    oci: Emulator, client: Client, more: dict[str, object], status: int
) -> None:
    oci.put_object("backups", "it", b"data")
    assert client.post(client.path("actions/copyObject"), copy(client, **more)).status == status


def test_a_copy_over_what_came_meanwhile_fails(oci: Emulator, client: Client) -> None:
    oci.put_object("backups", "it", b"data")
    oci.configure(copy_seconds=60.0)
    asked = copy(client, destinationObjectIfNoneMatchETag="*", destinationObjectMetadata={"a": "b"})
    work = client.post(client.path("actions/copyObject"), asked).headers["opc-work-request-id"]
    oci.put_object("backups", "copy", b"mine")
    oci.configure(clock_offset=61.0)
    assert finished(client, work)["status"] == "FAILED"
    (error,) = client.call("GET", f"/workRequests/{work}/errors").json()
    assert error["code"] == "IfNoneMatchFailed"
    assert oci.read_object("backups", "copy") == b"mine"


def bodies(directory: Path) -> int:
    return len(list(directory.iterdir()))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Emulator, Path]]:
    """An emulator, and where it keeps the bytes of objects."""
    with Emulator(Settings(data_dir=tmp_path)) as emulator:
        yield emulator, tmp_path


def test_a_copy_that_fails_keeps_no_bytes(kept: tuple[Emulator, Path]) -> None:
    oci, directory = kept
    client = Client(oci, oci.login())
    oci.create_bucket("gone")
    oci.put_object("backups", "it", b"data")
    oci.configure(copy_seconds=60.0)
    asked = copy(client, destinationBucket="gone")
    work = client.post(client.path("actions/copyObject"), asked).headers["opc-work-request-id"]
    assert client.call("DELETE", "/n/ns1/b/gone").status == 204
    assert client.call("DELETE", client.path("o", "it")).status == 204
    assert bodies(directory) == 1, "the copy needs them"
    oci.configure(clock_offset=61.0)
    assert finished(client, work)["status"] == "FAILED"
    assert bodies(directory) == 0


@pytest.mark.parametrize(
    "more", [{"destinationObjectName": "\0"}, {"destinationObjectMetadata": ["a"]}]
)
def test_a_copy_that_is_refused_keeps_no_bytes(
    kept: tuple[Emulator, Path], more: dict[str, object]
) -> None:
    oci, directory = kept
    client = Client(oci, oci.login())
    oci.put_object("backups", "it", b"data")
    assert client.post(client.path("actions/copyObject"), copy(client, **more)).status == 400
    assert client.call("DELETE", client.path("o", "it")).status == 204
    assert bodies(directory) == 0
