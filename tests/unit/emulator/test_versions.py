"""Buckets that keep versions, and lists of them."""

from typing import Any

import pytest

from ocihaul.emulator import Emulator

from .client import Client


@pytest.fixture
def kept(oci: Emulator, client: Client) -> Client:
    """A client of a bucket that keeps versions."""
    oci.create_bucket("kept", versioning="Enabled")
    client.bucket = "kept"
    return client


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    page = ""
    while True:
        reply = client.call("GET", client.path("objectversions") + f"?x={query}{page}")
        assert reply.status == 200, reply
        items += reply.json()["items"]
        if "opc-next-page" not in reply.headers:
            return items
        page = f"&page={reply.headers['opc-next-page']}"


def test_what_is_replaced_or_deleted_is_still_there(oci: Emulator, kept: Client) -> None:
    first = kept.put("it", b"1").headers["version-id"]
    second = kept.put("it", b"2").headers["version-id"]
    gone = kept.call("DELETE", kept.path("o", "it"))
    assert (gone.status, gone.headers["is-delete-marker"]) == (204, "true")
    assert kept.get("it").status == 404
    assert kept.call("DELETE", kept.path("o", "it")).status == 404
    assert oci.object_names("kept") == []
    assert kept.get("it", f"?versionId={first}").body == b"1"
    assert kept.get("it", f"?versionId={second}").body == b"2"
    marker = gone.headers["version-id"]
    assert kept.get("it", f"?versionId={marker}").status == 404
    assert [(each["versionId"], each["isDeleteMarker"]) for each in listed(kept)] == [
        (marker, True),
        (second, False),
        (first, False),
    ]
    assert kept.call("GET", kept.path("o")).json()["objects"] == []


def test_a_version_that_is_deleted_is_gone_for_good(kept: Client) -> None:
    first = kept.put("it", b"1").headers["version-id"]
    second = kept.put("it", b"2").headers["version-id"]
    marker = kept.call("DELETE", kept.path("o", "it")).headers["version-id"]
    one = kept.path("o", "it") + "?versionId="
    lifted = kept.call("DELETE", one + marker)
    assert lifted.headers["is-delete-marker"] == "true"
    assert kept.get("it").body == b"2"
    assert "is-delete-marker" not in kept.call("DELETE", one + second).headers
    assert kept.get("it").body == b"1"
    assert kept.call("DELETE", one + second).status == 404
    assert kept.call("DELETE", one + first).status == 204
    assert listed(kept) == []


def test_without_versions_nothing_is_kept(oci: Emulator, client: Client) -> None:
    client.put("it", b"1")
    client.put("it", b"2")
    assert len(listed(client)) == 1
    assert client.call("DELETE", client.path("o", "it")).status == 204
    assert listed(client) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_no_version_is_listed_twice_or_left_out(kept: Client, limit: int) -> None:
    put = [
        (name, kept.put(name, b"x").headers["version-id"])
        for name in ("a", "b", "b", "b", "c/1", "d", "d")
    ]
    found = [(each["name"], each["versionId"]) for each in listed(kept, f"&limit={limit}")]
    assert sorted(found) == sorted(put)
    assert [name for name, _ in found] == sorted(name for name, _ in put)
    grouped = listed(kept, f"&limit={limit}&delimiter=/")
    assert [each["name"] for each in grouped] == ["a", "b", "b", "b", "d", "d"]


def test_versions_that_come_and_go_between_pages_lose_nothing(kept: Client) -> None:
    old = [kept.put("it", b"x").headers["version-id"] for _ in range(4)]
    first = kept.call("GET", kept.path("objectversions") + "?limit=2")
    assert [each["versionId"] for each in first.json()["items"]] == [old[3], old[2]]
    kept.put("it", b"new")
    kept.call("DELETE", kept.path("o", "it") + f"?versionId={old[3]}")
    page = first.headers["opc-next-page"]
    second = kept.call("GET", kept.path("objectversions") + f"?page={page}")
    assert [each["versionId"] for each in second.json()["items"]] == [old[1], old[0]]


def test_a_rename_leaves_a_marker(oci: Emulator, kept: Client) -> None:
    kept.put("new", b"hidden")
    kept.put("it", b"data")
    renamed = kept.post(kept.path("actions/renameObject"), {"sourceName": "it", "newName": "new"})
    assert renamed.status == 200
    assert oci.object_names("kept") == ["new"]
    found = [(each["name"], each["isDeleteMarker"]) for each in listed(kept)]
    assert found == [("it", True), ("new", False), ("new", False)]
    assert kept.get("new").body == b"data"


def test_versioning_is_a_setting_of_the_bucket(oci: Emulator, client: Client) -> None:
    new = {"name": "made", "compartmentId": "c"}
    assert client.post("/n/ns1/b", new).json()["versioning"] == "Disabled"
    assert client.post("/n/ns1/b", new).code == "BucketAlreadyExists"
    on = client.post("/n/ns1/b/made", {"versioning": "Enabled"})
    assert on.json()["versioning"] == "Enabled"
    assert client.post("/n/ns1/b/made", {"versioning": "Disabled"}).status == 400
    got = client.call("GET", "/n/ns1/b/made?fields=approximateCount,approximateSize").json()
    assert (got["approximateCount"], got["approximateSize"]) == (0, 0)
    assert client.call("GET", "/n/ns1/b/made").json()["approximateCount"] is None
    assert client.call("GET", "/n/ns1/b").code == "MissingParameter"
    assert client.call("GET", "/n/ns1/b?compartmentId=c&limit=0").status == 400
    assert client.call("GET", "/n/ns1/b?compartmentId=c&page=1").code == "InvalidPage"
    names = client.call("GET", "/n/ns1/b?compartmentId=c&limit=1")
    assert [each["name"] for each in names.json()] == ["made"]
    assert "opc-next-page" not in names.headers


def test_while_versioning_is_suspended_earlier_versions_stay(oci: Emulator, kept: Client) -> None:
    first = kept.put("it", b"1").headers["version-id"]
    suspended = kept.post("/n/ns1/b/kept", {"versioning": "Suspended"})
    assert suspended.json()["versioning"] == "Suspended"
    kept.put("it", b"2")
    third = kept.put("it", b"3").headers["version-id"]
    assert [each["versionId"] for each in listed(kept)] == [third, first]
    assert kept.call("DELETE", kept.path("o", "it")).headers["is-delete-marker"] == "true"
    assert [each["isDeleteMarker"] for each in listed(kept)] == [True, False]
    oci.configure(suspended_replaces_latest=True)
    kept.post("/n/ns1/b/kept", {"versioning": "Enabled"})
    kept.put("it", b"4")
    kept.post("/n/ns1/b/kept", {"versioning": "Suspended"})
    fifth = kept.put("it", b"5").headers["version-id"]
    assert [each["versionId"] for each in listed(kept) if not each["isDeleteMarker"]] == [
        fifth,
        first,
    ]
    assert kept.post("/n/ns1/b/backups", {"versioning": "Suspended"}).status == 400
