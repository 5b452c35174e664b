"""rclone as a judge, by each way of its own to sign that works here: of the emulator, and of ours.

It comes from the official environment, where `make test-compat` installs it, or from PATH.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Official
from .programs import MIB

#: rclone's providers, and the profile whose credential it signs with: one that the configuration
#: of the remote names (an API key or a session), or what the environment has.
WAYS = {
    "an API key": ("user_principal_auth", "KEYS"),
    "a session": ("user_principal_auth", "DEFAULT"),
    "the environment": ("env_auth", None),
}
PART = 5 * MIB


@pytest.fixture(scope="session")
def program(venv: Path) -> Path:
    found = venv / "bin" / "rclone"
    if found.exists():
        return found
    elsewhere = shutil.which("rclone")
    if elsewhere is None:
        pytest.skip(f"rclone is neither in {venv} nor on PATH: run `make test-compat`")
    return Path(elsewhere)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "sub").mkdir(parents=True)
    (directory / "small").write_bytes(os.urandom(70_001))
    (directory / "sub" / "large").write_bytes(os.urandom(2 * PART + 12_345))
    return directory


def rclone(
    official: Official, program: Path, way: tuple[str, str | None], *words: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `rclone …` with a remote `oos:` that is the emulator."""
    provider, profile = way
    remote = {
        "TYPE": "oracleobjectstorage",
        "PROVIDER": provider,
        "NAMESPACE": official.oci.namespace,
        "REGION": "eu-frankfurt-1",
        "ENDPOINT": official.oci.endpoint,
        "CHUNK_SIZE": f"{PART}B",
        "UPLOAD_CUTOFF": f"{PART}B",
    }
    if profile is not None:
        remote |= {"CONFIG_FILE": str(official.config), "CONFIG_PROFILE": profile}
    official.environment |= {f"RCLONE_CONFIG_OOS_{key}": value for key, value in remote.items()}
    official.environment["RCLONE_CONFIG"] = str(official.home / "rclone.conf")
    flags = ("--retries", "1", "--low-level-retries", "1")
    return official.program([str(program), *words, *flags])


def succeeded(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def ours(official: Official, *words: str) -> str:
    """`ocihaul os object …` in the bucket, which must succeed; its stderr."""
    flags = ("--config-file", str(official.config), "--endpoint", official.oci.endpoint)
    command = (sys.executable, "-m", "ocihaul", "--auth", "security_token", *flags, "os", "object")
    done = official.program([*command, *words, *official.place()])
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def way(official: Official, request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """A way to sign, with the files that it reads."""
    provider, profile = request.param
    official.oci.write_api_key_profile(official.config.parent, "KEYS")
    if profile is None:
        # The provider of the environment takes the profile DEFAULT of this file.
        keys = official.oci.write_api_key_profile(official.home / "keys", "DEFAULT")
        official.environment["OCI_CONFIG_FILE"] = str(keys)
    return provider, profile


def signed_by_token(official: Official) -> set[bool]:
    entries = official.oci.log.entries(operation="ListObjects", status=200)
    return {entry.token_id is not None for entry in entries}


def test_what_rclone_has_written_is_proved(
    official: Official, program: Path, way: tuple[str, str | None], source: Path
) -> None:
    succeeded(rclone(official, program, way, "copy", str(source), "oos:backups/rc"))
    assert official.oci.object_names("backups") == ["rc/small", "rc/sub/large"]
    assert official.oci.object_info("backups", "rc/sub/large").part_count == 3
    succeeded(rclone(official, program, way, "check", str(source), "oos:backups/rc", "--download"))
    listed = succeeded(rclone(official, program, way, "lsf", "-R", "oos:backups/rc"))
    assert sorted(listed.split()) == ["small", "sub/", "sub/large"]
    assert signed_by_token(official) == {way[1] == "DEFAULT"}
    for name in ("small", "sub/large"):
        back = official.home / "back"
        said = ours(official, "get", "--debug", "--name", f"rc/{name}", "--file", str(back))
        assert "compared" in said
        assert back.read_bytes() == (source / name).read_bytes()


def test_rclone_reads_what_ours_has_written(
    official: Official, program: Path, way: tuple[str, str | None], source: Path
) -> None:
    ours(official, "bulk-upload", "--src-dir", str(source), "--object-prefix", "o/")
    ours(
        official,
        *("put", "--file", str(source / "sub" / "large"), "--name", "o/sub/large", "--force"),
        *("--part-size", "5"),
    )
    assert official.oci.object_info("backups", "o/sub/large").part_count == 3
    succeeded(rclone(official, program, way, "check", str(source), "oos:backups/o", "--download"))
    back = official.home / "back"
    succeeded(rclone(official, program, way, "copy", "oos:backups/o", str(back)))
    for name in ("small", "sub/large"):
        assert (back / name).read_bytes() == (source / name).read_bytes()


@pytest.mark.parametrize(
    ("access", "shown"),
    [
        ("ObjectRead", (True, True)),
        ("ObjectReadWithoutList", (True, False)),
        ("NoPublicAccess", (False, False)),
    ],
)
def test_without_a_credential_it_reads_what_a_bucket_shows_to_all(
    official: Official, program: Path, source: Path, access: str, shown: tuple[bool, bool]
) -> None:
    reads, lists = shown
    official.os("bucket", "update", *official.place(), "--public-access-type", access)
    ours(official, "put", "--file", str(source / "small"), "--name", "small")
    nobody = ("no_auth", None)
    back = official.home / "back"
    read = rclone(official, program, nobody, "copyto", "oos:backups/small", str(back))
    assert (read.returncode == 0, back.exists()) == (reads, reads)
    if reads:
        assert back.read_bytes() == (source / "small").read_bytes()
    listed = rclone(official, program, nobody, "lsf", "oos:backups")
    assert (listed.returncode == 0, listed.stdout.decode()) == (lists, "small\n" if lists else "")
    assert rclone(official, program, nobody, "touch", "oos:backups/new").returncode != 0
    assert official.oci.object_names("backups") == ["small"]
