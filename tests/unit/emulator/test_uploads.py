"""Multipart uploads, as dialogues."""

import base64
import hashlib

import crc32c
import pytest

from ocihaul.emulator import Emulator, Settings

from .client import Client

PARTS = {3: b"third", 1: b"first" * 1000, 2: b"", 7: b"last"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def send(client: Client, algorithm: str | None = None) -> tuple[str, dict[int, str]]:
    headers = {"opc-checksum-algorithm": algorithm} if algorithm else {}
    upload = client.create("it", {"metadata": {"opc-meta-who": "me"}}, **headers)
    etags = {}
    for number, data in PARTS.items():
        reply = client.part("it", upload, number, data, **headers)
        assert reply.status == 200
        etags[number] = reply.headers["etag"]
    return upload, etags


@pytest.mark.parametrize("algorithm", [None, "CRC32C", "SHA256", "SHA384"])
def test_the_object_is_its_parts_in_order(
    oci: Emulator, client: Client, algorithm: str | None
) -> None:
    upload, etags = send(client, algorithm)
    assert oci.object_names("backups") == []
    reply = client.commit("it", upload, etags)
    whole = b"".join(PARTS[number] for number in sorted(PARTS))
    assert oci.read_object("backups", "it") == whole
    md5s = b"".join(hashlib.md5(PARTS[n]).digest() for n in sorted(PARTS))
    expected = {"opc-multipart-md5": b64(hashlib.md5(md5s).digest()) + "-4"}
    if algorithm == "CRC32C":
        expected["opc-content-crc32c"] = b64(crc32c.crc32c(whole).to_bytes(4, "big"))
    elif algorithm:
        name = algorithm.lower()
        shas = b"".join(hashlib.new(name, PARTS[n]).digest() for n in sorted(PARTS))
        expected[f"opc-multipart-{name}"] = b64(hashlib.new(name, shas).digest()) + "-4"
    head = client.head("it").headers
    assert {name: reply.headers[name] for name in expected} == expected
    assert {name: head[name] for name in expected} == expected
    assert head["opc-meta-who"] == "me"
    assert oci.uploads("backups") == []


def test_the_old_object_stays_until_the_commit(oci: Emulator, client: Client) -> None:
    oci.put_object("backups", "it", b"old")
    upload, etags = send(client)
    assert client.get("it").body == b"old"
    client.commit("it", upload, etags)
    assert client.get("it").body != b"old"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda etags: {**etags, 9: "never-sent"},
        lambda etags: {**etags, 1: "wrong"},
        lambda _etags: {},
    ],
    ids=["unknown part", "wrong etag", "no parts"],
)
def test_a_commit_that_does_not_fit_is_refused(
    oci: Emulator, client: Client, spoil: object
) -> None:
    upload, etags = send(client)
    assert callable(spoil)
    reply = client.commit("it", upload, spoil(etags))
    assert (reply.status, reply.code) == (400, "InvalidUploadPart")
    assert len(oci.uploads("backups")) == 1


def test_a_second_commit_finds_no_upload(client: Client) -> None:
    upload, etags = send(client)
    assert client.commit("it", upload, etags).status == 200
    assert client.commit("it", upload, etags).code == "UploadNotFound"
    assert client.part("it", upload, 1, b"late").code == "UploadNotFound"


@pytest.mark.parametrize(("number", "code"), [(0, "InvalidUploadPart"), (6, "InvalidUploadPart")])
def test_part_numbers_have_limits(oci: Emulator, client: Client, number: int, code: str) -> None:
    oci.configure(max_parts=5)
    upload = client.create("it")
    assert client.part("it", upload, number, b"x").code == code


def test_small_parts_are_refused_when_the_minimum_is_enforced(
    oci: Emulator, client: Client
) -> None:
    oci.configure(enforce_min_part_size=True)
    upload, etags = send(client)
    assert client.commit("it", upload, etags).code == "InvalidUploadPart"
    upload, etags = client.create("it"), {}
    etags[1] = client.part("it", upload, 1, b"tiny").headers["etag"]
    assert client.commit("it", upload, etags).status == 200


def test_each_part_is_in_exactly_one_list(oci: Emulator, client: Client) -> None:
    upload, etags = send(client)
    target = f"{client.path('u', 'it')}?uploadId={upload}"
    both = [{"partNum": number, "etag": etag} for number, etag in etags.items()]
    last = max(etags)
    body = {"partsToCommit": both, "partsToExclude": [last]}
    assert client.post(target, body).code == "InvalidUploadPart"
    body = {"partsToCommit": both[:1], "partsToExclude": []}
    assert client.post(target, body).code == "InvalidUploadPart"
    assert len(oci.uploads("backups")) == 1
    left = [each["partNum"] for each in both[1:]]
    assert client.post(target, {**body, "partsToExclude": left}).status == 200
    upload, etags = send(client)
    oci.configure(commit_needs_every_part=False)
    assert client.commit("it", upload, {1: etags[1]}).status == 200


def test_a_part_has_conditions(client: Client) -> None:
    upload = client.create("it")
    etag = client.part("it", upload, 1, b"first", if_none_match="*").headers["etag"]
    assert client.part("it", upload, 1, b"second", if_none_match="*").code == "IfNoneMatchFailed"
    assert client.part("it", upload, 1, b"third", if_match="other").code == "IfMatchFailed"
    assert client.part("it", upload, 1, b"fourth", if_match=etag).status == 200


def test_a_part_sent_again_replaces_the_first(oci: Emulator, client: Client) -> None:
    upload = client.create("it")
    first = client.part("it", upload, 1, b"one").headers["etag"]
    second = client.part("it", upload, 1, b"two").headers["etag"]
    assert client.commit("it", upload, {1: first}).status == 400
    assert client.commit("it", upload, {1: second}).status == 200
    assert oci.read_object("backups", "it") == b"two"


def test_parts_and_uploads_are_listed_in_pages(client: Client) -> None:
    upload, _ = send(client)
    target = f"{client.path('u', 'it')}?uploadId={upload}&limit=3"
    first = client.call("GET", target)
    assert [part["partNumber"] for part in first.json()] == [1, 2, 3]
    assert first.json()[2]["size"] == 5
    assert first.json()[2]["md5"] == b64(hashlib.md5(b"third").digest())
    rest = client.call("GET", f"{target}&page={first.headers['opc-next-page']}")
    assert [part["partNumber"] for part in rest.json()] == [7]
    assert "opc-next-page" not in rest.headers
    second = client.create("other")
    page = client.call("GET", client.path("u") + "?limit=1")
    assert [each["uploadId"] for each in page.json()] == [upload]
    page = client.call("GET", f"{client.path('u')}?page={page.headers['opc-next-page']}")
    assert [each["uploadId"] for each in page.json()] == [second]


def test_abort_forgets_everything(oci: Emulator, client: Client) -> None:
    upload, etags = send(client)
    target = f"{client.path('u', 'it')}?uploadId={upload}"
    assert client.call("DELETE", target).status == 204
    assert client.call("DELETE", target).code == "UploadNotFound"
    assert client.commit("it", upload, etags).code == "UploadNotFound"
    assert oci.uploads("backups") == []


@pytest.mark.parametrize("fast", [False, True])
def test_discarded_bodies_keep_their_checksums(fast: bool) -> None:
    with Emulator(Settings(discard=True, fast=fast)) as oci:
        client = Client(oci, oci.login())
        upload, etags = send(client, "CRC32C")
        reply = client.commit("it", upload, etags)
        whole = b"".join(PARTS[number] for number in sorted(PARTS))
        value = b64(crc32c.crc32c(whole).to_bytes(4, "big"))
        assert reply.headers["opc-content-crc32c"] == value
        assert ("opc-multipart-md5" in reply.headers) is not fast
        assert oci.object_info("backups", "it").size == len(whole)
        with pytest.raises(ValueError, match="discarded"):
            oci.object_digest("backups", "it")
