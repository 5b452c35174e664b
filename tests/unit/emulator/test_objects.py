"""Single objects and lists, as dialogues."""

import base64
import hashlib
from urllib.parse import quote

import crc32c
import pytest

from ocihaul.emulator import Emulator
from ocihaul.emulator.settings import Checksums

from .client import Client


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_is_put_is_what_is_got(oci: Emulator, client: Client) -> None:
    data = b"x" * 300_000
    put = client.put("a/b c", data, opc_meta_who="me", content_type="text/plain")
    assert put.status == 200
    assert put.headers["opc-content-md5"] == b64(hashlib.md5(data).digest())
    got = client.get("a/b c")
    assert (got.status, got.body) == (200, data)
    assert got.headers["opc-meta-who"] == "me"
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["etag"] == put.headers["etag"]
    assert oci.read_object("backups", "a/b c") == data
    assert oci.object_digest("backups", "a/b c") == hashlib.sha256(data).hexdigest()
    assert oci.object_info("backups", "a/b c").crc32c == crc32c.crc32c(data)


def test_head_of_a_missing_object_has_no_body(client: Client) -> None:
    reply = client.head("nothing")
    assert (reply.status, reply.body) == (404, b"")
    assert client.get("nothing").code == "ObjectNotFound"
    client.bucket = "nowhere"
    assert client.get("nothing").code == "BucketNotFound"


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=4-2", 416, None, "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
    ],
)
def test_ranges(
    *,
    oci: Emulator,
    client: Client,
    header: str,
    status: int,
    body: bytes | None,
    content_range: str | None,
) -> None:
    oci.put_object("backups", "ten", b"0123456789", part_size=3)
    reply = client.get("ten", range=header)
    assert reply.status == status
    assert body is None or reply.body == body
    assert reply.headers.get("content-range") == content_range


@pytest.mark.parametrize(
    ("exists", "header", "value", "status", "code"),
    [
        (False, "if-none-match", "*", 200, None),
        (True, "if-none-match", "*", 412, "IfNoneMatchFailed"),
        (True, "if-match", "{etag}", 200, None),
        (True, "if-match", '"{etag}"', 200, None),
        (True, "if-match", "other", 412, "IfMatchFailed"),
        (False, "if-match", "other", 412, "IfMatchFailed"),
        (True, "if-none-match", "other", 400, "InvalidParameter"),
    ],
)
def test_conditions_of_a_write_hold_for_put_create_and_commit(
    *,
    oci: Emulator,
    client: Client,
    exists: bool,
    header: str,
    value: str,
    status: int,
    code: str | None,
) -> None:
    begun = client.create("it")
    etag = client.part("it", begun, 1, b"new").headers["etag"]
    if exists:
        value = value.format(etag=oci.put_object("backups", "it", b"old").etag)
    create = client.post(client.path("u"), {"object": "it"}, {header: value})
    assert (create.status, create.json().get("code")) == (status, code)
    commit = client.commit("it", begun, {1: etag}, **{header: value})
    assert (commit.status, commit.code) == (status, code)
    if exists:
        if (header, status) == ("if-match", 200):
            value = oci.object_info("backups", "it").etag
        put = client.put("it", b"newer", **{header: value})
        assert (put.status, put.code) == (status, code)


def test_conditions_of_a_read(oci: Emulator, client: Client) -> None:
    etag = oci.put_object("backups", "it", b"data").etag
    assert client.get("it", if_match=etag).status == 200
    assert client.get("it", if_match="other").code == "IfMatchFailed"
    unchanged = client.get("it", if_none_match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert client.head("it", if_match="other").status == 412


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-md5": "{md5}"}, 200, None),
        ({"content-md5": b64(bytes(16))}, 400, "UnmatchedContentMD5"),
        ({"opc-content-crc32c": "{crc32c}"}, 200, None),
        ({"opc-checksum-algorithm": "CRC32C", "opc-content-crc32c": "{crc32c}"}, 200, None),
        ({"opc-content-crc32c": "AAAAAA=="}, 400, "UnmatchedContentCRC32C"),
        ({"opc-checksum-algorithm": "SHA256", "opc-content-sha256": "{sha256}"}, 200, None),
        ({"opc-content-sha256": "AAAA"}, 400, "UnmatchedContentSHA256"),
        ({"opc-content-sha384": "AAAA"}, 400, "UnmatchedContentSHA384"),
        ({"opc-checksum-algorithm": "CRC64"}, 400, "InvalidParameter"),
    ],
)
def test_checksums_that_come_with_a_body_are_checked(
    oci: Emulator, client: Client, headers: dict[str, str], status: int, code: str | None
) -> None:
    data = b"some data"
    values = {
        "md5": b64(hashlib.md5(data).digest()),
        "crc32c": b64(crc32c.crc32c(data).to_bytes(4, "big")),
        "sha256": b64(hashlib.sha256(data).digest()),
    }
    given = {name: value.format(**values) for name, value in headers.items()}
    put = client.put("it", data, **given)
    upload = client.create("it")
    part = client.part("it", upload, 1, data, **given)
    assert (put.status, put.code) == (status, code)
    assert (part.status, part.code) == (status, code)
    assert len(oci.uploads("backups")[0].parts) == (1 if status == 200 else 0)
    if (declared := headers.get("opc-checksum-algorithm")) and status == 200:
        name = declared.lower()
        assert part.headers[f"opc-content-{name}"] == values[name]
        assert client.head("it").headers[f"opc-content-{name}"] == values[name]


@pytest.mark.parametrize(
    ("checksums", "declared", "told"),
    [("declared", False, False), ("declared", True, True), ("always", False, True)],
)
def test_checksums_in_answers_as_set(
    oci: Emulator, client: Client, checksums: Checksums, declared: bool, told: bool
) -> None:
    oci.configure(checksums=checksums)
    headers = {"opc-checksum-algorithm": "CRC32C"} if declared else {}
    assert ("opc-content-crc32c" in client.put("it", b"data", **headers).headers) is told
    oci.configure(checksums="never")
    assert "opc-content-crc32c" not in client.put("it", b"data", **headers).headers


def test_an_archived_object_is_read_after_its_restore(oci: Emulator, client: Client) -> None:
    client.put("cold", b"ice", storage_tier="Archive")
    assert client.head("cold").headers["archival-state"] == "Archived"
    assert client.get("cold").code == "NotRestored"
    oci.configure(restore_seconds=0.0)
    restore = {"objectName": "cold", "hours": 1}
    assert client.post(client.path("actions/restoreObjects"), restore).status == 200
    head = client.head("cold").headers
    assert head["archival-state"] == "Restored"
    assert "time-of-archival" in head
    assert client.get("cold").body == b"ice"


def test_a_customer_key_is_needed_again_and_never_kept(oci: Emulator, client: Client) -> None:
    def headers(raw: bytes) -> dict[str, str]:
        return {
            "opc-sse-customer-algorithm": "AES256",
            "opc-sse-customer-key": b64(raw),
            "opc-sse-customer-key-sha256": b64(hashlib.sha256(raw).digest()),
        }

    right, wrong = headers(b"k" * 32), headers(b"w" * 32)
    assert client.put("it", b"data", **right).status == 200
    assert client.get("it", **right).body == b"data"
    assert client.get("it").code == "MissingSSECustomerKey"
    assert client.get("it", **wrong).code == "IncorrectSSECustomerKey"
    assert client.head("it").status == 400
    assert client.put("x", b"", **{**right, "opc-sse-customer-key": "AA=="}).status == 400
    upload = client.create("big", **right)
    assert client.part("big", upload, 1, b"data").code == "MissingSSECustomerKey"
    assert client.part("big", upload, 1, b"data", **right).status == 200
    secret = right["opc-sse-customer-key"]
    assert all(secret not in str(entry) for entry in oci.log.entries())


def test_lists_page_by_next_start_with(oci: Emulator, client: Client) -> None:
    for name in ("a", "b/1", "b/2", "c", "d"):
        oci.put_object("backups", name, b"x")
    seen: list[str] = []
    start = ""
    while True:
        page = client.call("GET", client.path("o") + f"?limit=2&delimiter=/&start={start}").json()
        seen += [each["name"] for each in page["objects"]] + page["prefixes"]
        start = page.get("nextStartWith")
        if not start:
            break
    assert sorted(seen) == ["a", "b/", "c", "d"]
    target = client.path("o") + "?prefix=b/&fields=name,size,md5&startAfter=b/1"
    listed = client.call("GET", target).json()
    assert listed["objects"] == [{"name": "b/2", "size": 1, "md5": b64(hashlib.md5(b"x").digest())}]
    versions = client.call("GET", client.path("objectversions") + "?limit=3")
    assert len(versions.json()["items"]) == 3
    page = quote(versions.headers["opc-next-page"])
    rest = client.call("GET", client.path("objectversions") + f"?limit=3&page={page}")
    assert [each["name"] for each in rest.json()["items"]] == ["c", "d"]
    assert "opc-next-page" not in rest.headers


def test_delete_and_rename(oci: Emulator, client: Client) -> None:
    etag = oci.put_object("backups", "it", b"data").etag
    target = client.path("o", "it")
    assert client.call("DELETE", target, None, {"if-match": "other"}).code == "IfMatchFailed"
    rename = {"sourceName": "it", "newName": "new", "srcObjIfMatchETag": etag}
    assert client.post(client.path("actions/renameObject"), rename).status == 200
    assert client.get("new").body == b"data"
    assert client.call("DELETE", target).status == 404
    assert client.call("DELETE", client.path("o", "new")).status == 204
    assert oci.object_names("backups") == []


def test_http_response_overrides(client: Client) -> None:
    client.put("it", b"data")
    reply = client.get("it", "?httpResponseContentType=text/x&httpResponseExpires=never")
    assert (reply.headers["content-type"], reply.headers["expires"]) == ("text/x", "never")


def test_namespace_buckets_and_unknown_operations(oci: Emulator, client: Client) -> None:
    assert client.call("GET", "/n").json() == "ns1"
    assert client.call("GET", "/n/ns1").json()["defaultSwiftCompartmentId"].startswith("ocid1.")
    assert client.call("GET", "/n/other").code == "NamespaceNotFound"
    assert client.call("HEAD", "/n/ns1/b/backups").status == 200
    assert client.call("GET", "/n/ns1/b/backups").json()["name"] == "backups"
    assert client.call("GET", "/n/other/b/backups").code == "NamespaceNotFound"
    assert client.call("GET", "/nonsense").code == "NotFound"
    assert oci.log.entries()[-1].operation == "Unknown"
    echo = client.call("GET", "/n", None, {"opc-client-request-id": "mine"})
    assert echo.headers["opc-client-request-id"] == "mine"
    assert echo.headers["opc-request-id"]


def test_a_put_that_is_too_large_is_refused_from_its_head(oci: Emulator, client: Client) -> None:
    oci.configure(max_object_put=1000)
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 1001))
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")
