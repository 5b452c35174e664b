"""Single objects and lists, as dialogues."""

import base64
import hashlib

import crc32c

from ocihaul.emulator import Emulator

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
