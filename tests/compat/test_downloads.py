"""What the official CLI and SDK have stored, downloaded by ours: byte for byte, and proven."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Official
from .programs import with_client

MIB = 2**20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    path.write_bytes(os.urandom(20 * MIB + 1))
    return path


def fetched(official: Official, target: Path, *options: str) -> str:
    """Download "x" to `target` with our command; what it said."""
    command = (sys.executable, "-m", "ocihaul", "os", "object", "get", *official.place())
    flags = ("--config-file", str(official.config), "--auth", "security_token", "--verbose")
    here = ("--endpoint", official.oci.endpoint, "--name", "x", "--file", str(target))
    environment = {**os.environ, **official.environment, "OCIHAUL_STATE_DIR": str(official.home)}
    ran = subprocess.run(
        [*command, *flags, *here, *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    return ran.stderr


def stored(official: Official, source: Path, *options: str) -> None:
    official.os(
        *["object", "put", *official.place(), "--file", str(source), "--name", "x", "--force"],
        *options,
    )


@pytest.mark.parametrize("part_size", ["3", "7", "11", "19"])
def test_parts_of_odd_sizes_are_found_out(official: Official, source: Path, part_size: str) -> None:
    stored(official, source, "--part-size", part_size)
    target = source.with_name("target")
    for options in ((), ("--part-size", "5", "--multipart-download-threshold", "1")):
        assert "compared MD5" in fetched(official, target, *options)
        assert target.read_bytes() == source.read_bytes()
        target.unlink()


@pytest.mark.parametrize(
    ("options", "checked"),
    [
        (["--no-multipart"], "MD5"),
        (["--no-multipart", "--opc-checksum-algorithm", "CRC32C"], "CRC32C"),
        (["--part-size", "6", "--opc-checksum-algorithm", "CRC32C"], "CRC32C"),
        (["--part-size", "6", "--opc-checksum-algorithm", "SHA256"], "MD5"),
    ],
)
def test_each_kind_of_checksum(
    official: Official, source: Path, options: list[str], checked: str
) -> None:
    stored(official, source, *options)
    target = source.with_name("target")
    said = fetched(official, target, "--part-size", "4", "--multipart-download-threshold", "4")
    assert f"compared {checked}" in said
    assert target.read_bytes() == source.read_bytes()


def test_the_stock_cli_reads_the_same(official: Official, source: Path) -> None:
    stored(official, source, "--part-size", "7")
    ours, theirs = source.with_name("ours"), source.with_name("theirs")
    fetched(official, ours, "--range", "bytes=1000000-9999999")
    done = official.run(
        *["os", "object", "get", *official.place(), "--name", "x", "--file", str(theirs)],
        *["--range", "bytes=1000000-9999999"],
    )
    assert done.returncode == 0
    assert ours.read_bytes() == theirs.read_bytes() == source.read_bytes()[1_000_000:10_000_000]


#: Stores a file as "x" with the SDK's own manager, in parts of 6 MiB or of so many bytes.
MANAGED = """
manager = oci.object_storage.UploadManager(client, allow_parallel_uploads=True)
source, how, algorithm, *sizes = arguments
wishes = {"part_size": int(sizes[0]) if sizes else 6 * 2**20}
if algorithm != "none":
    wishes["opc_checksum_algorithm"] = algorithm
if how == "file":
    manager.upload_file("ns1", "backups", "x", source, **wishes)
else:
    with open(source, "rb") as stream:
        manager.upload_stream("ns1", "backups", "x", stream, **wishes)
"""


@pytest.mark.parametrize(
    ("how", "algorithm", "checked"),
    [
        ("file", "none", "MD5"),
        ("file", "CRC32C", "CRC32C"),
        ("file", "SHA256", "MD5"),
        ("stream", "none", "MD5"),
    ],
)
def test_what_the_sdks_manager_has_sent_in_parts(
    official: Official, source: Path, how: str, algorithm: str, checked: str
) -> None:
    with_client(official, MANAGED, str(source), how, algorithm)
    assert official.oci.object_info("backups", "x").part_count == 4
    target = source.with_name("target")
    for options in ((), ("--part-size", "5", "--multipart-download-threshold", "1")):
        assert f"compared {checked}" in fetched(official, target, *options)
        assert target.read_bytes() == source.read_bytes()
        target.unlink()


@pytest.mark.parametrize("how", ["file", "stream"])
@pytest.mark.parametrize("algorithm", ["none", "CRC32C", "SHA384"])
@pytest.mark.parametrize(
    "parts", [(7_000_000, ()), (10_000_000, ()), (6_543_210, ("--part-size", "6543210B"))]
)
def test_what_the_sdks_manager_has_sent_in_parts_of_no_whole_mib_is_proved(
    official: Official, source: Path, how: str, algorithm: str, parts: tuple[int, tuple[str, ...]]
) -> None:
    part_size, flags = parts
    with_client(official, MANAGED, str(source), how, algorithm, str(part_size))
    info = official.oci.object_info("backups", "x")
    assert info.part_count == -(-source.stat().st_size // part_size)
    target = source.with_name("target")
    checked = "CRC32C" if "opc-content-crc32c" in info.headers else "MD5"
    assert f"compared {checked}" in fetched(official, target, *flags)
    assert target.read_bytes() == source.read_bytes()
