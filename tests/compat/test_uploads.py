"""What ours has stored in parts, read by the official CLI and SDK: byte for byte, and proven."""

import os
import sys
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault

from .conftest import Official
from .programs import MIB, with_client


def ours(official: Official, *arguments: str, stdin: bytes | None = None) -> None:
    """`ocihaul os object put … --name x`, which must succeed."""
    official.environment |= {
        "OCIHAUL_STATE_DIR": str(official.home / "state"),
        "OCIHAUL_AUTH_ENDPOINT": official.oci.endpoint,
    }
    command = [sys.executable, "-m", "ocihaul", "os", "object", "put", *official.place()]
    flags = ["--config-file", str(official.config), "--auth", "security_token"]
    flags += ["--endpoint", official.oci.endpoint, "--name", "x", "--no-overwrite"]
    done = official.program([*command, *flags, *arguments], stdin)
    assert done.returncode == 0, done.stderr.decode()


#: Reads "x" with the SDK's own manager, in ranges, which compares the CRC32C of the whole object;
#: prints its size, or the name of what was raised.
VERIFIED = """
from oci.object_storage.transfer.internal.download import DownloadConfiguration, DownloadManager
wishes = DownloadConfiguration.DownloadConfiguration(
    part_size_in_bytes=7 * 2**20, is_enforce_data_integrity_for_download=True)
manager = DownloadManager.DownloadManager(wishes, client)
try:
    print(manager.get_object_to_path("ns1", "backups", "x", *arguments)[0])
except Exception as error:
    print(type(error).__name__)
"""


def test_the_stock_cli_reads_our_parts_as_one_stream_and_in_ranges(
    official: Official, tmp_path: Path
) -> None:
    # 128 MiB is the smallest range that the official CLI lets one choose.
    source = tmp_path / "backup.tar"
    with source.open("wb") as file:
        for _ in range(128):
            file.write(os.urandom(MIB))
        file.write(b"the last few bytes")
    ours(official, "--file", str(source), "--part-size", "48", "--verify-checksum")
    assert official.oci.object_info("backups", "x").part_count == 3
    for flags, requests in (([], 2), (["--no-multipart"], 1)):
        before = official.oci.log.count(operation="GetObject")
        target = tmp_path / "got"
        official.os(
            "object", "get", *official.place(), "--name", "x", "--file", str(target), *flags
        )
        assert official.oci.log.count(operation="GetObject") - before == requests
        assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_the_sdk_reads_our_parts_and_finds_our_checksum_right(
    official: Official, tmp_path: Path, how: str
) -> None:
    data = os.urandom(25 * MIB + 4321)
    source, target = tmp_path / "backup.tar", tmp_path / "got"
    source.write_bytes(data)
    if how == "file":
        ours(official, "--file", str(source), "--part-size", "10")
    else:
        ours(official, "--file", "-", "--part-size", "10", stdin=data)
    assert official.oci.object_info("backups", "x").part_count == 3
    assert with_client(official, VERIFIED, str(target)) == str(len(data))
    assert target.read_bytes() == data
    # It does compare: one bit that is wrong on its way is found.
    official.oci.faults.add(Fault(operation="GetObject", corrupt_at_byte=1000))
    assert with_client(official, VERIFIED, str(target)) == "ChecksumVerificationError"
    official.oci.faults.assert_all_fired()
