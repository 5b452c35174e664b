"""Sessions go both ways: what ours writes the official CLI reads, and the other way round."""

import os
import re
import sys
from pathlib import Path

import pytest

from ocihaul.config import Flags, resolve
from ocihaul.emulator import Settings
from ocihaul.session.session import store_for

from .conftest import Official
from .programs import MIB, assert_no_secret, meanwhile

MINT = ("--no-browser", "--session-expiration-in-minutes", "5", "--region", "eu-frankfurt-1")


def ours(official: Official, *arguments: str) -> str:
    """`ocihaul …`, which must succeed; what it says on stderr."""
    program = str(Path(sys.executable).with_name("ocihaul"))
    done = official.program([program, *arguments])
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def test_stock_reads_a_session_that_ours_has_minted(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    config = ("--config-file", str(official.config))
    ours(
        official,
        *("session", "authenticate", *config, *MINT, "--renew-with", "APIKEY"),
        *("--profile-name", "night", "--endpoint", official.oci.endpoint),
    )
    local = official.bare("session", "validate", "--local", *config, "--profile", "night")
    assert local.returncode == 0, local.stdout + local.stderr
    assert b"Session is valid until" in local.stderr
    done = official.run("os", "ns", "get", "--profile", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert official.oci.namespace.encode() in done.stdout
    assert b"WARNING" not in done.stdout + done.stderr


def test_stock_reads_a_key_with_a_passphrase(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    official.environment["OCI_CLI_PASSPHRASE"] = "open sesame"
    ours(
        official,
        *("session", "login", "--config-file", str(official.config), *MINT, "--use-passphrase"),
        *("--renew-with", "APIKEY", "--profile-name", "night"),
        *("--auth-endpoint", official.oci.endpoint),
    )
    done = official.run("os", "ns", "get", "--profile", "night")
    assert done.returncode == 0, done.stdout + done.stderr


def test_stock_reads_a_token_that_ours_has_minted_for_its_key(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    official.oci.revoke_all()
    assert official.run("os", "ns", "get").returncode == 1
    ours(
        official,
        *("session", "mint", "--config-file", str(official.config), "--renew-with", "APIKEY"),
        *("--auth-endpoint", official.oci.endpoint),
    )
    assert official.run("os", "ns", "get").returncode == 0


def test_ours_reads_a_session_that_stock_has_minted_beside_one_of_ours(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    config = ("--config-file", str(official.config))
    place = ("--config-location", str(official.config), "--endpoint", official.oci.endpoint)
    ours(
        official,
        *("session", "login", *config, *MINT, "--renew-with", "APIKEY", "--profile-name", "one"),
        *("--auth-endpoint", official.oci.endpoint),
    )
    done = official.bare(
        *("session", "authenticate", *config, *MINT, *place),
        *("--profile", "APIKEY", "--auth", "api_key", "--profile-name", "two"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for profile in ("one", "two"):
        flags = Flags(config_file=str(official.config), profile=profile, auth="security_token")
        settings = resolve(flags, {}, official.home)
        assert store_for(settings).read_once().token.tenancy == "ocid1.tenancy.oc1..emulated"
    # A token for the key that official has made; then official goes on with it.
    ours(
        official,
        *("session", "mint", *config, "--profile", "two", "--renew-with", "APIKEY"),
        *("--auth-endpoint", official.oci.endpoint),
    )
    assert official.run("os", "ns", "get", "--profile", "two").returncode == 0


def test_both_write_the_same_layout(official: Official) -> None:
    official.oci.write_api_key_profile(official.config.parent)
    config = ("--config-file", str(official.config))
    ours(
        official,
        *("session", "login", *config, *MINT, "--renew-with", "APIKEY", "--profile-name", "one"),
        *("--auth-endpoint", official.oci.endpoint),
    )
    done = official.bare(
        *("session", "authenticate", *config, *MINT, "--config-location", str(official.config)),
        *("--profile", "APIKEY", "--auth", "api_key", "--profile-name", "two"),
        *("--endpoint", official.oci.endpoint),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = official.config.read_text()
    keys = {
        name: re.findall(
            r"^(\w+) ?=", text.partition(f"[{name}]")[2].partition("[")[0], re.MULTILINE
        )
        for name in ("one", "two")
    }
    assert keys["one"] == keys["two"]
    folder = official.home / ".oci" / "sessions"
    files = {"oci_api_key.pem", "oci_api_key_public.pem", "token"}
    for name in ("one", "two"):
        assert files <= {path.name for path in (folder / name).iterdir()}
        for file in files:
            assert ((folder / name / file).stat().st_mode & 0o777) == 0o600
    tails = {(folder / name / "oci_api_key.pem").read_bytes()[-36:] for name in ("one", "two")}
    assert len(tails) == 1


class TestAnUploadThatWaits:
    """The official CLI's login, in another process and with another key, lets ours go on."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(bandwidth=20 * MIB)

    def test_it_goes_on_after_a_login_with_the_stock_cli(
        self, official: Official, tmp_path: Path
    ) -> None:
        official.oci.write_api_key_profile(official.config.parent)
        key = official.config.parent / "sessions" / "DEFAULT" / "oci_api_key.pem"
        before = key.read_bytes()
        source, parked = tmp_path / "night.tar", tmp_path / "parked"
        source.write_bytes(os.urandom(65 * MIB))
        logins = []

        def log_in() -> None:
            logins.append(
                official.bare(
                    *("session", "authenticate", "--config-file", str(official.config), *MINT),
                    *(
                        "--config-location",
                        str(official.config),
                        "--endpoint",
                        official.oci.endpoint,
                    ),
                    *("--profile", "APIKEY", "--auth", "api_key", "--profile-name", "DEFAULT"),
                )
            )

        with (
            meanwhile(
                lambda: official.oci.log.count(operation="UploadPart", status=200) > 1,
                official.oci.revoke_all,
            ) as revoked,
            meanwhile(parked.exists, log_in) as logged_in,
        ):
            said = ours(
                official,
                *("--config-file", str(official.config), "--auth", "security_token"),
                *("--endpoint", official.oci.endpoint, "--auth-endpoint", official.oci.endpoint),
                *(
                    "os",
                    "object",
                    "put",
                    *official.place(),
                    "--file",
                    str(source),
                    "--no-overwrite",
                ),
                *("--part-size", "10", "--parallel-upload-count", "2", "--session-wait", "5m"),
                *("--on-park", f"touch {parked}"),
            )
        assert revoked.is_set()
        assert logged_in.is_set()
        (login,) = logins
        assert login.returncode == 0, login.stdout + login.stderr
        assert official.oci.auth.minted == 1
        assert key.read_bytes() != before
        assert_no_secret(official, said.encode())
        assert "Waiting for a new login" in said
        assert "a new login has appeared" in said
        assert official.oci.read_object("backups", "night.tar") == source.read_bytes()
        sent = official.oci.log.entries(operation="UploadPart", status=200)
        assert sorted(entry.part_number or 0 for entry in sent) == list(range(1, 8))
        assert len({entry.session_id for entry in sent}) == 2
