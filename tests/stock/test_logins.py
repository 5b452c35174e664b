"""Sessions go both ways: what ours writes the stock CLI reads, and the other way round."""

import re
import sys
from pathlib import Path

from ocihaul.config import Flags, resolve
from ocihaul.session.opening import store_for

from .conftest import Stock

MINT = ("--no-browser", "--session-expiration-in-minutes", "5", "--region", "eu-frankfurt-1")


def ours(stock: Stock, *arguments: str) -> str:
    """`ocihaul …`, which must succeed; what it says on stderr."""
    program = str(Path(sys.executable).with_name("ocihaul"))
    done = stock.program([program, *arguments])
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def test_stock_reads_a_session_that_ours_has_minted(stock: Stock) -> None:
    stock.oci.write_api_key_profile(stock.config.parent)
    config = ("--config-file", str(stock.config))
    ours(
        stock,
        *("session", "authenticate", *config, *MINT, "--renew-with", "APIKEY"),
        *("--profile-name", "night", "--endpoint", stock.oci.endpoint),
    )
    local = stock.bare("session", "validate", "--local", *config, "--profile", "night")
    assert local.returncode == 0, local.stdout + local.stderr
    assert b"Session is valid until" in local.stderr
    done = stock.run("os", "ns", "get", "--profile", "night")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stock.oci.namespace.encode() in done.stdout
    assert b"WARNING" not in done.stdout + done.stderr


def test_stock_reads_a_key_with_a_passphrase(stock: Stock) -> None:
    stock.oci.write_api_key_profile(stock.config.parent)
    stock.environment["OCI_CLI_PASSPHRASE"] = "open sesame"
    ours(
        stock,
        *("session", "login", "--config-file", str(stock.config), *MINT, "--use-passphrase"),
        *("--renew-with", "APIKEY", "--profile-name", "night"),
        *("--auth-endpoint", stock.oci.endpoint),
    )
    done = stock.run("os", "ns", "get", "--profile", "night")
    assert done.returncode == 0, done.stdout + done.stderr


def test_stock_reads_a_token_that_ours_has_minted_for_its_key(stock: Stock) -> None:
    stock.oci.write_api_key_profile(stock.config.parent)
    stock.oci.revoke_all()
    assert stock.run("os", "ns", "get").returncode == 1
    ours(
        stock,
        *("session", "mint", "--config-file", str(stock.config), "--renew-with", "APIKEY"),
        *("--auth-endpoint", stock.oci.endpoint),
    )
    assert stock.run("os", "ns", "get").returncode == 0


def test_ours_reads_a_session_that_stock_has_minted_beside_one_of_ours(stock: Stock) -> None:
    stock.oci.write_api_key_profile(stock.config.parent)
    config = ("--config-file", str(stock.config))
    place = ("--config-location", str(stock.config), "--endpoint", stock.oci.endpoint)
    ours(
        stock,
        *("session", "login", *config, *MINT, "--renew-with", "APIKEY", "--profile-name", "one"),
        *("--auth-endpoint", stock.oci.endpoint),
    )
    done = stock.bare(
        *("session", "authenticate", *config, *MINT, *place),
        *("--profile", "APIKEY", "--auth", "api_key", "--profile-name", "two"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for profile in ("one", "two"):
        flags = Flags(config_file=str(stock.config), profile=profile, auth="security_token")
        settings = resolve(flags, {}, stock.home)
        assert store_for(settings).read_once().token.tenancy == "ocid1.tenancy.oc1..emulated"
    # A token for the key that stock has made; then stock goes on with it.
    ours(
        stock,
        *("session", "mint", *config, "--profile", "two", "--renew-with", "APIKEY"),
        *("--auth-endpoint", stock.oci.endpoint),
    )
    assert stock.run("os", "ns", "get", "--profile", "two").returncode == 0


def test_both_write_the_same_layout(stock: Stock) -> None:
    stock.oci.write_api_key_profile(stock.config.parent)
    config = ("--config-file", str(stock.config))
    ours(
        stock,
        *("session", "login", *config, *MINT, "--renew-with", "APIKEY", "--profile-name", "one"),
        *("--auth-endpoint", stock.oci.endpoint),
    )
    done = stock.bare(
        *("session", "authenticate", *config, *MINT, "--config-location", str(stock.config)),
        *("--profile", "APIKEY", "--auth", "api_key", "--profile-name", "two"),
        *("--endpoint", stock.oci.endpoint),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = stock.config.read_text()
    keys = {
        name: re.findall(
            r"^(\w+) ?=", text.partition(f"[{name}]")[2].partition("[")[0], re.MULTILINE
        )
        for name in ("one", "two")
    }
    assert keys["one"] == keys["two"]
    folder = stock.home / ".oci" / "sessions"
    files = {"oci_api_key.pem", "oci_api_key_public.pem", "token"}
    for name in ("one", "two"):
        assert files <= {path.name for path in (folder / name).iterdir()}
        for file in files:
            assert ((folder / name / file).stat().st_mode & 0o777) == 0o600
    tails = {(folder / name / "oci_api_key.pem").read_bytes()[-36:] for name in ("one", "two")}
    assert len(tails) == 1
