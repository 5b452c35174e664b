"""`oci os object …`, unmodified, against the emulator."""

import base64
import hashlib
import os
from pathlib import Path

import crc32c
import pytest

from .conftest import Official
from .programs import with_client

MIB = 2**20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that makes three parts of 1 MiB, the last one short."""
    path = tmp_path / "backup.tar"
    path.write_bytes(os.urandom(2 * MIB + 12345))
    return path


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_single_put_with_everything(official: Official, source: Path) -> None:
    answer = official.os(
        *["object", "put", *official.place(), "--file", str(source), "--name", "a/b"],
        *["--no-multipart", "--force", "--verify-checksum"],
        *["--opc-checksum-algorithm", "CRC32C", "--storage-tier", "InfrequentAccess"],
        *["--metadata", '{"who": "me"}', "--content-type", "text/plain"],
    )
    data = source.read_bytes()
    assert answer["opc-content-md5"] == b64(hashlib.md5(data).digest())
    assert answer["opc-content-crc32c"] == b64(crc32c.crc32c(data).to_bytes(4, "big"))
    info = official.oci.object_info("backups", "a/b")
    assert official.oci.read_object("backups", "a/b") == data
    assert info.storage_tier == "InfrequentAccess"
    assert info.metadata == {"who": "me"}
    assert info.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256"])
def test_multipart_put_with_a_checksum(official: Official, source: Path, algorithm: str) -> None:
    answer = official.os(
        *["object", "put", *official.place(), "--file", str(source), "--name", "big"],
        *["--part-size", "1", "--parallel-upload-count", "3", "--verify-checksum"],
        *["--opc-checksum-algorithm", algorithm, "--storage-tier", "Archive"],
        *["--metadata", '{"who": "me"}', "--no-overwrite"],
    )
    data = source.read_bytes()
    parts = [data[at : at + MIB] for at in range(0, len(data), MIB)]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert answer["opc-multipart-md5"] == b64(hashlib.md5(digests).digest()) + "-3"
    if algorithm == "CRC32C":
        assert answer["opc-content-crc32c"] == b64(crc32c.crc32c(data).to_bytes(4, "big"))
    else:
        shas = b"".join(hashlib.sha256(part).digest() for part in parts)
        assert answer["opc-multipart-sha256"] == b64(hashlib.sha256(shas).digest()) + "-3"
    info = official.oci.object_info("backups", "big")
    assert official.oci.read_object("backups", "big") == data
    assert (info.part_count, info.archival_state, info.metadata) == (3, "Archived", {"who": "me"})
    assert official.oci.log.count(operation="UploadPart", status=200) == 3
    assert official.oci.log.count(operation="GetNamespace") == 0


def test_stdin_put_sends_md5_that_match(official: Official, source: Path) -> None:
    data = source.read_bytes()
    official.os(
        *["object", "put", *official.place(), "--file", "-", "--name", "piped", "--force"],
        *["--part-size", "1"],
        stdin=data,
    )
    assert official.oci.read_object("backups", "piped") == data
    parts = official.oci.log.entries(operation="UploadPart")
    assert len(parts) == 3
    assert all("content-md5" in part.headers for part in parts)


def test_get_list_head_delete(official: Official, source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    official.oci.put_object("backups", "dir/one", data, metadata={"who": "me"})
    official.oci.put_object("backups", "two", b"2")
    target = tmp_path / "got"
    official.os("object", "get", *official.place(), "--name", "dir/one", "--file", str(target))
    assert target.read_bytes() == data
    listed = official.os("object", "list", "-bn", "backups", "--delimiter", "/")
    assert [each["name"] for each in listed["data"]] == ["two"]
    assert listed["prefixes"] == ["dir/"]
    assert official.oci.log.count(operation="GetNamespace") == 1
    head = official.os("object", "head", *official.place(), "--name", "dir/one")
    assert head["content-length"] == str(len(data))
    assert head["opc-meta-who"] == "me"
    official.os("object", "delete", *official.place(), "--name", "dir/one", "--force")
    assert official.oci.object_names("backups") == ["two"]


def test_get_in_ranges(official: Official, tmp_path: Path) -> None:
    # 128 MiB is the smallest part that the official CLI lets one choose.
    block = os.urandom(MIB)
    data = block * 128 + b"the last few bytes"
    official.oci.put_object("backups", "big", data, part_size=64 * MIB)
    target = tmp_path / "got"
    official.os(
        *["object", "get", *official.place(), "--name", "big", "--file", str(target)],
        *["--part-size", "128", "--multipart-download-threshold", "128"],
    )
    assert hashlib.sha256(target.read_bytes()).hexdigest() == official.oci.object_digest(
        "backups", "big"
    )
    ranges = [
        entry.headers.get("range") for entry in official.oci.log.entries(operation="GetObject")
    ]
    assert len(ranges) == 2
    assert None not in ranges


#: Begins a multipart upload of "resumed" and sends its first part; prints the upload's id.
BEGIN = """
details = models.CreateMultipartUploadDetails(object="resumed")
upload = client.create_multipart_upload("ns1", "backups", details).data.upload_id
data = open(*arguments, "rb").read(2**20)
client.upload_part("ns1", "backups", "resumed", upload, 1, data)
print(upload)
"""


def begun(official: Official, source: Path) -> str:
    return with_client(official, BEGIN, str(source))


def test_multipart_abort_drops_what_was_begun(official: Official, source: Path) -> None:
    upload = begun(official, source)
    flags = ["-on", "resumed", "--upload-id", upload, "--force"]
    done = official.run("os", "multipart", "abort", *official.place(), *flags)
    assert done.returncode == 0, done.stderr.decode()
    assert official.oci.uploads("backups") == []


def test_resume_put_finishes_what_was_begun(official: Official, source: Path) -> None:
    upload = begun(official, source)
    listed = official.os("multipart", "list", *official.place())
    assert [each["upload-id"] for each in listed["data"]] == [upload]
    official.os(
        *["object", "resume-put", *official.place(), "--file", str(source), "--name", "resumed"],
        *["--upload-id", upload, "--part-size", "1"],
    )
    assert official.oci.read_object("backups", "resumed") == source.read_bytes()
    assert official.oci.log.count(operation="UploadPart", status=200) == 3
    assert official.oci.uploads("backups") == []


def test_abort_and_restore_and_rename(official: Official) -> None:
    official.oci.put_object("backups", "cold", b"ice", storage_tier="Archive")
    official.os("object", "restore", *official.place(), "--name", "cold", "--hours", "2")
    status = official.run("os", "object", "restore-status", *official.place(), "--name", "cold")
    assert status.returncode == 0
    assert official.oci.object_info("backups", "cold").archival_state in {"Restoring", "Restored"}
    official.os(
        *["object", "rename", *official.place(), "--source-name", "cold", "--new-name", "colder"]
    )
    assert official.oci.object_names("backups") == ["colder"]


def test_sse_c_needs_the_same_key(official: Official, source: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(b64(os.urandom(32)))
    place = [*official.place(), "--name", "secret"]
    flags = ["--encryption-key-file", str(key)]
    official.os(
        *["object", "put", *place, "--file", str(source), "--force", "--part-size", "1"], *flags
    )
    target = tmp_path / "got"
    without = official.run("os", "object", "get", *place, "--file", str(target))
    assert without.returncode == 1
    official.os("object", "get", *place, "--file", str(target), *flags)
    assert target.read_bytes() == source.read_bytes()


def test_sdk_upload_manager(official: Official, source: Path) -> None:
    code = """
import sys, oci
config = oci.config.from_file(sys.argv[1], "APIKEY")
client = oci.object_storage.ObjectStorageClient(config, service_endpoint=sys.argv[2])
manager = oci.object_storage.UploadManager(client, allow_parallel_uploads=True)
answer = manager.upload_file("ns1", "backups", "managed", sys.argv[3], part_size=2**20)
print(answer.headers["opc-multipart-md5"])
"""
    config = official.oci.write_api_key_profile(official.config.parent)
    done = official.script(code, str(config), official.oci.endpoint, str(source))
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip().endswith("-3")
    assert official.oci.read_object("backups", "managed") == source.read_bytes()
