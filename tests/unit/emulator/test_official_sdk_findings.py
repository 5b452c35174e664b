"""What the official TypeScript SDK has found in the emulator, each fault with its siblings."""

import base64
from typing import Any

import pytest

from ocihaul.emulator import Emulator

from .client import Client

B = "/n/ns1/b"


def begun(client: Client, name: str, parts: int) -> tuple[str, list[dict[str, Any]]]:
    """An upload with parts of one byte each."""
    upload = client.post(client.path("u"), {"object": name}).json()["uploadId"]
    listed = []
    for number in range(1, parts + 1):
        target = f"{client.path('u', name)}?uploadId={upload}&uploadPartNum={number}"
        etag = client.call("PUT", target, b"x").headers["etag"]
        listed.append({"partNum": number, "etag": etag})
    return upload, listed


@pytest.mark.parametrize(
    ("commit", "exclude", "status"),
    [
        ((1, 2, 3), (), 200),
        ((1, 2), (3,), 200),
        ((1, 2), (), 400),  # the third is in neither
        ((1, 2, 3), (2,), 400),
        ((1, 2, 2, 3), (), 400),
        ((), (1, 2, 3), 400),
    ],
)
def test_finding_e02_each_part_is_in_exactly_one_list(
    oci: Emulator, client: Client, commit: tuple[int, ...], exclude: tuple[int, ...], status: int
) -> None:
    upload, parts = begun(client, "x", 3)
    body = {
        "partsToCommit": [parts[number - 1] for number in commit],
        "partsToExclude": list(exclude),
    }
    assert client.post(f"{client.path('u', 'x')}?uploadId={upload}", body).status == status
    assert (oci.object_names("backups") == ["x"]) is (status == 200)


def test_finding_e03_a_bucket_changes_as_asked_and_so_does_its_etag(client: Client) -> None:
    before = client.call("GET", f"{B}/backups").json()
    changes: dict[str, Any] = {
        "metadata": {"a": "1"},
        "freeformTags": {"b": "2"},
        "publicAccessType": "ObjectRead",
        "objectEventsEnabled": True,
        "kmsKeyId": "key-7",
        "compartmentId": "elsewhere",
        "versioning": "Enabled",
    }
    etags = {before["etag"]}
    for key, value in changes.items():
        changed = client.post(f"{B}/backups", {key: value}).json()
        assert changed[key] == value
        etags.add(changed["etag"])
    assert len(etags) == len(changes) + 1
    stale = client.post(f"{B}/backups", {"versioning": "Suspended"}, {"if-match": before["etag"]})
    assert stale.code == "IfMatchFailed"
    listed = client.call("GET", f"{B}?compartmentId=elsewhere").json()
    assert [each["name"] for each in listed] == ["backups"]
    assert client.call("GET", f"{B}?compartmentId={before['compartmentId']}").json() == []


@pytest.mark.parametrize("kind", ["o", "objectversions"])
def test_finding_e04_each_repeated_parameter_counts(client: Client, kind: str) -> None:
    client.put("x", b"123")
    reply = client.call("GET", f"{client.path(kind)}?fields=size&fields=md5&fields=etag").json()
    (entry,) = reply["objects" if kind == "o" else "items"]
    assert entry["size"] == 3
    assert len(base64.b64decode(entry["md5"])) == 16
    assert entry["etag"]


@pytest.mark.slow
def test_finding_e05_what_the_service_refuses_is_refused(client: Client) -> None:
    upload, _ = begun(client, "x", 1)
    target = f"{client.path('u', 'x')}?uploadId={upload}&uploadPartNum=1"
    assert client.call("PUT", target, b"y", {"if-none-match": "*"}).status == 412
    assert client.call("PUT", target, b"y", {"if-match": "other"}).status == 412
    etag = client.put("o", b"1").headers["etag"]
    assert client.put("o", b"2", if_none_match=etag).status == 400
    for name in ("no spaces/please", "a/b", ""):
        asked = {"name": name, "compartmentId": "c"}
        assert client.post(B, asked).status == 400, name
    asked = {"name": "cold", "compartmentId": "c", "storageTier": "InfrequentAccess"}
    assert client.post(B, asked).status == 400
    assert client.put("n" * 1025, b"").status == 400
    for path in ("o", "u", "p", "objectversions"):
        assert client.call("GET", f"{client.path(path)}?limit=0").status == 400, path
