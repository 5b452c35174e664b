"""`oci session …`, unmodified, and the defect that this project is about."""

import configparser
import json
import os
import sys
import zipfile
from pathlib import Path

import jwt
import pytest

from ocihaul.emulator import Settings

from .conftest import Official
from .programs import assert_no_secret

MIB = 2**20


def expiry(token: str) -> int:
    return int(jwt.decode(token, options={"verify_signature": False})["exp"])


class TestOverTls:
    """The official refresh goes to https only; a region with a dot leads it here."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(tls=True, token_ttl=1800)

    def test_session_refresh(self, official: Official) -> None:
        token_file = official.config.parent / "sessions" / "DEFAULT" / "token"
        before = token_file.read_text()
        official.oci.configure(token_ttl=3600)
        done = official.bare("session", "refresh", "--config-file", str(official.config))
        assert done.returncode == 0, done.stdout + done.stderr
        after = token_file.read_text()
        assert expiry(after) > expiry(before)
        assert official.oci.auth.refreshes == 1
        (entry,) = official.oci.log.entries(operation="RefreshToken")
        assert entry.headers["host"].startswith("auth.x.y@")

    def test_session_refresh_refused(self, official: Official) -> None:
        official.oci.revoke_all()
        done = official.bare("session", "refresh", "--config-file", str(official.config))
        assert done.returncode == 1
        assert b"no longer valid" in done.stdout + done.stderr

    def test_put_over_tls(self, official: Official, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(os.urandom(3 * MIB))
        official.os(
            *["object", "put", *official.place(), "--file", str(source), "--force"],
            *["--part-size", "1"],
        )
        assert official.oci.read_object("backups", "source") == source.read_bytes()


def test_session_validate(official: Official) -> None:
    place = ["--config-file", str(official.config)]
    local = official.bare("session", "validate", "--local", *place)
    assert local.returncode == 0, local.stderr
    remote = ["session", "validate", *place, "--endpoint", official.oci.endpoint]
    done = official.bare(*remote)
    assert done.returncode == 0, done.stdout + done.stderr
    assert official.oci.log.count(operation="ListRegions", status=200) == 1
    official.oci.revoke_all()
    assert official.bare(*remote).returncode == 1


def test_authenticate_without_a_browser(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    done = official.bare(
        *["session", "authenticate", "--no-browser", "--session-expiration-in-minutes", "5"],
        *["--config-file", str(official.config), "--profile", "APIKEY", "--profile-name", "minted"],
        *["--region", "eu-frankfurt-1", "--auth", "api_key", "--endpoint", official.oci.endpoint],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert official.oci.auth.minted == 1


class TestTheDefect:
    """A token that dies during the upload: the official CLI fails, whoever refreshes meanwhile."""

    FLAGS = ("--part-size", "10", "--parallel-upload-count", "3", "--no-overwrite")

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(token_ttl=5, bandwidth=12 * MIB)

    def test_the_stock_cli_fails_when_the_token_dies(
        self, official: Official, tmp_path: Path
    ) -> None:
        source = tmp_path / "night.tar"
        source.write_bytes(os.urandom(90 * MIB))
        official.log_in()
        done = official.run(
            "os", "object", "put", *official.place(), "--file", str(source), *self.FLAGS
        )
        assert done.returncode == 1
        assert b"NotAuthenticated" in done.stdout + done.stderr
        assert official.oci.object_names("backups") == []
        refused = official.oci.log.entries(operation="UploadPart", status=401)
        assert refused
        assert all((entry.token_age_fraction or 0) > 0.8 for entry in refused)
        (left_behind,) = official.oci.uploads("backups")
        assert 0 < len(left_behind.parts) < 9

    def test_ocihaul_with_the_same_flags_finishes(self, official: Official, tmp_path: Path) -> None:
        source = tmp_path / "night.tar"
        source.write_bytes(os.urandom(90 * MIB))
        official.log_in()
        official.environment["OCIHAUL_AUTH_ENDPOINT"] = official.oci.endpoint
        done = official.program(
            [
                str(Path(sys.executable).with_name("ocihaul")),
                *["--config-file", str(official.config), "--auth", "security_token"],
                *["--endpoint", official.oci.endpoint],
                *["os", "object", "put", *official.place(), "--file", str(source), *self.FLAGS],
            ]
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert official.oci.read_object("backups", "night.tar") == source.read_bytes()
        assert official.oci.auth.refreshes >= 1
        finished = official.oci.log.entries(operation="UploadPart", status=200)
        numbers = [entry.part_number for entry in finished]
        assert len(numbers) == len(set(numbers))


def test_answers_are_json_that_the_cli_prints(official: Official) -> None:
    bucket = official.os("bucket", "get", *official.place())
    assert bucket["data"]["name"] == "backups"
    done = official.run("os", "object", "head", *official.place(), "--name", "nothing")
    assert done.returncode == 1
    error = json.loads(done.stderr.decode().split("ServiceError:", 1)[1])
    assert error["status"] == 404


# Archives: `session export` and `session import`, both ways


def archived(text: str) -> dict[str, str]:
    """The options of the archive's one profile."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    (name,) = parser.sections()
    return {"profile": name, **parser[name]}


def test_the_official_cli_imports_what_ours_has_exported(official: Official) -> None:
    official.oci.write_profile(official.config.parent, "NIGHT")
    archive = official.home / "night"
    config = ("--config-file", str(official.config))
    program = str(Path(sys.executable).with_name("ocihaul"))
    export = ("session", "export", *config, "--profile", "NIGHT", "--output-file", str(archive))
    done = official.program([program, *export])
    assert done.returncode == 0, done.stderr
    assert_no_secret(official, done.stdout + done.stderr)
    other = official.home / "other" / "config"
    other.parent.mkdir()
    flags = ("--config-file", str(other))
    done = official.bare("session", "import", *flags, "--session-archive", f"{archive}.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    ns = ("os", "ns", "get", "--auth", "security_token", "--endpoint", official.oci.endpoint)
    done = official.bare(*ns, *flags, "--profile", "NIGHT")
    assert done.returncode == 0, done.stdout + done.stderr
    assert official.oci.namespace.encode() in done.stdout


def test_ours_imports_what_the_official_cli_has_exported(official: Official) -> None:
    official.oci.write_profile(official.config.parent, "NIGHT")
    archive = official.home / "night"
    config = ("--config-file", str(official.config))
    done = official.bare(
        *("session", "export", *config, "--profile", "NIGHT", "--output-file", str(archive))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    other = official.home / "other" / "config"
    program = [str(Path(sys.executable).with_name("ocihaul"))]
    flags = ("--config-file", str(other))
    done = official.program(
        [
            *program,
            "session",
            "import",
            *flags,
            "--session-archive",
            f"{archive}.zip",
            "--from-home",
        ]
    )
    assert done.returncode == 0, done.stderr
    assert_no_secret(official, done.stdout + done.stderr)
    text = other.read_text()
    assert "security_token_file=~/.oci/sessions/NIGHT/token" in text, "the official CLI reads it"
    ns = ("os", "ns", "get", "--auth", "security_token", "--endpoint", official.oci.endpoint)
    done = official.program([*program, *ns, *flags, "--profile", "NIGHT"])
    assert done.returncode == 0, done.stderr
    done = official.bare(*ns, *flags, "--profile", "NIGHT")
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_write_the_same_archive(official: Official) -> None:
    official.oci.write_profile(official.config.parent, "NIGHT")
    config = ("--config-file", str(official.config))
    program = [str(Path(sys.executable).with_name("ocihaul"))]
    found = []
    for name, command in (("ours", program), ("theirs", [str(official.venv / "bin" / "oci")])):
        flags = ("--profile", "NIGHT", "--output-file", str(official.home / name))
        done = official.program([*command, "session", "export", *config, *flags])
        assert done.returncode == 0, done.stdout + done.stderr
        with zipfile.ZipFile(official.home / f"{name}.zip") as zipped:
            members = {each: zipped.read(each) for each in zipped.namelist()}
        options = archived(members.pop("config").decode())
        found.append((options, members))
    (ours, our_files), (theirs, their_files) = found
    assert our_files == their_files
    assert set(our_files) == {"oci_api_key.pem", "token"}
    # What only DEFAULT says belongs to other profiles: ours leaves it there.
    assert ours.items() <= theirs.items()
    assert {"profile", "key_file", "security_token_file", "region"} <= ours.keys()


def test_both_terminate_to_the_same_end(official: Official) -> None:
    config = ("--config-file", str(official.config))
    program = [str(Path(sys.executable).with_name("ocihaul"))]
    for command in (program, [str(official.venv / "bin" / "oci")]):
        official.oci.write_profile(official.config.parent, "NIGHT")
        directory = official.home / ".oci" / "sessions" / "NIGHT"
        assert directory.is_dir()
        done = official.program([*command, "session", "terminate", *config, "--profile", "NIGHT"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert not directory.exists()
        assert "[NIGHT]" not in official.config.read_text()
        default = official.program([*command, "session", "terminate", *config])
        assert default.returncode == 1
