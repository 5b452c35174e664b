"""The official TypeScript SDK as a judge: of the emulator, and of what ours writes and reads.

The SDK comes from the directory that OCIHAUL_OFFICIAL_NODE names; its programs are in node/.
"""

import hashlib
import json
import os
import random
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Emulator, Settings
from ocihaul.emulator.auth import TENANCY

from .conftest import Official

PROGRAMS = Path(__file__).parent / "node"
#: What the SDK has and the emulator does not: private endpoints.
PRIVATE = {
    *("createPrivateEndpoint", "getPrivateEndpoint", "listPrivateEndpoints"),
    *("updatePrivateEndpoint", "deletePrivateEndpoint"),
}
OPERATIONS = 56
_OPERATION = re.compile(
    r"(abort|batch|cancel|commit|copy|create|delete|get|head|list|make|put|reencrypt|rename|restore|"
    r"update|upload)(?!All|Waiters)[A-Za-z]+(?<!Iterator)"
)


@pytest.fixture(scope="session")
def modules() -> Path:
    path = os.environ.get("OCIHAUL_OFFICIAL_NODE")
    if not path:
        pytest.skip("OCIHAUL_OFFICIAL_NODE is not set: run `make test-compat`")
    if shutil.which("node") is None:
        pytest.skip("there is no node (20 or newer) on PATH")
    found = Path(path) / "node_modules"
    if not (found / "oci-objectstorage").is_dir():
        pytest.skip(f"the TypeScript SDK is not in {found}: see what npm said")
    return found


@pytest.fixture
def settings() -> Settings:
    return Settings(copy_seconds=60.0)


@pytest.fixture
def sdk(modules: Path, settings: Settings, tmp_path: Path) -> Iterator[Official]:
    """An emulator, a profile, and Node with the SDK."""
    with Emulator(settings) as oci:
        home = tmp_path / "home"
        home.mkdir()
        config = oci.write_profile(home / ".oci", region="eu-frankfurt-1")
        environment = {"NODE_PATH": str(modules), "OCIHAUL_AUTH_ENDPOINT": oci.endpoint}
        yield Official(oci, modules, home, config, environment)


def node(sdk: Official, program: str, *arguments: object) -> Any:
    """What the program prints, which must succeed."""
    places = [sdk.oci.endpoint, str(sdk.config)]
    command = ["node", str(PROGRAMS / program), *places, *map(str, arguments)]
    done = sdk.program(command)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def ours(sdk: Official, *arguments: object) -> str:
    """`ocihaul os object …` in the bucket, which must succeed; its stderr."""
    flags = ["--config-file", str(sdk.config), "--endpoint", sdk.oci.endpoint]
    flags += ["--auth", "security_token", "-ns", "ns1", "-bn", "backups"]
    command = [sys.executable, "-m", "ocihaul", "os", "object", *map(str, arguments), *flags]
    done = sdk.program(command)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def test_each_operation_of_the_sdk_is_answered(sdk: Official) -> None:
    outcome = node(sdk, "operations.js", TENANCY)
    assert {name: what for name, what in outcome.items() if what != "ok"} == {}
    assert len(outcome) == OPERATIONS - len(PRIVATE)
    refused = [entry for entry in sdk.oci.log.entries() if (entry.status or 500) >= 400]
    assert refused == []
    signed = {entry.headers.get("x-content-sha256") is not None for entry in sdk.oci.log.entries()}
    assert signed == {True, False}


def test_private_endpoints_are_all_that_is_missing(sdk: Official) -> None:
    code = (
        "const {ObjectStorageClient} = require('oci-objectstorage');"
        "console.log(JSON.stringify(Object.getOwnPropertyNames(ObjectStorageClient.prototype)))"
    )
    done = sdk.program(["node", "-e", code])
    # The other methods are helpers, and walks over the pages of a list.
    names = {name for name in json.loads(done.stdout) if _OPERATION.fullmatch(name)}
    assert len(names) == OPERATIONS
    outcome = node(sdk, "operations.js", TENANCY)
    assert names - set(outcome) == PRIVATE


def made(sdk: Official, size: int) -> Path:
    path = sdk.home / "file"
    path.write_bytes(random.Random(size).randbytes(size))  # noqa: S311  no secret
    return path


def same(sdk: Official, name: str, path: Path) -> bool:
    return sdk.oci.object_digest("backups", name) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "settings", [Settings(token_ttl=3.0, bandwidth=1_500_000.0, refresh_kills_old_after=1.0)]
)
def test_a_multipart_upload_outlives_its_first_tokens(sdk: Official) -> None:
    file = made(sdk, 9_000_001)
    sdk.log_in()
    told = node(sdk, "upload.js", file, 1_000_000, 1000)
    assert told["failure"] is None
    assert told["refreshes"] >= 2
    assert same(sdk, "by-sdk", file)
    info = sdk.oci.object_info("backups", "by-sdk")
    assert (info.part_count, info.etag) == (10, told["etag"])
    tokens = {entry.token_id for entry in sdk.oci.log.entries(operation="UploadPart")}
    assert len(tokens) >= 2


@pytest.mark.parametrize(
    ("part_size", "flags"),
    [(5_000_000, ()), (2**20 * 3, ()), (1_234_567, ("--part-size", "1234567B"))],
    ids=["decimal", "whole MiB", "odd, named"],
)
def test_what_the_sdk_has_written_is_proved(
    sdk: Official, part_size: int, flags: tuple[str, ...]
) -> None:
    file = made(sdk, 7 * 2**20 + 3)
    node(sdk, "upload.js", file, part_size, 0)
    back = sdk.home / "back"
    said = ours(sdk, "get", "--debug", "--name", "by-sdk", "--file", back, *flags)
    assert back.read_bytes() == file.read_bytes()
    assert "MD5" in said


def test_what_ours_has_written_is_read(sdk: Official) -> None:
    file = made(sdk, 12 * 2**20 + 1)
    ours(sdk, "put", "--file", file, "--name", "ours", "--part-size", "10", "--force")
    back = sdk.home / "back"
    told = node(sdk, "download.js", "ours", back)
    assert back.read_bytes() == file.read_bytes()
    assert told["size"] == file.stat().st_size
    assert told["crc32c"] == sdk.oci.object_info("backups", "ours").headers["opc-content-crc32c"]
