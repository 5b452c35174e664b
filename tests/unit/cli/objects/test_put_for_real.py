"""The command line on the real core, against the emulator: what is printed, and what never is."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocihaul.cli import app
from ocihaul.emulator import Emulator, Settings
from tests.unit.cli.conftest import Outcome

MIB = 1024 * 1024
SSE_KEY = base64.b64encode(b"k" * 32).decode()

Put = Callable[..., Outcome]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Settings(token_ttl=3600)) as running:
        yield running


@pytest.fixture
def put(emulator: Emulator, home: Path, capsys: pytest.CaptureFixture[str]) -> Put:
    """Run `os object put` on a file of 21 MiB, with more options."""
    config = emulator.write_profile(home / "oci")
    source = home / "big.bin"
    source.write_bytes(b"\0" * (21 * MIB))

    def command(*options: object) -> Outcome:
        code = app.run(
            [
                *("os", "object", "put", "--config-file", str(config)),
                *("--auth", "security_token", "--file", str(source)),
                *("--endpoint", emulator.endpoint, "--auth-endpoint", emulator.endpoint),
                *(() if "-bn" in options else ("-bn", "backups")),
                *(str(option) for option in options),
            ]
        )
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


def secrets(home: Path) -> list[str]:
    """What must not be printed: token, key, SSE-C key, in the pieces that could be."""
    found = [SSE_KEY]
    for path in (home / "oci").rglob("*"):
        if path.is_file() and path.suffix in {"", ".pem"} and path.name != "config":
            text = path.read_text()
            pieces = text.split(".") if text.startswith("eyJ") else text.splitlines()
            found += [piece for piece in pieces if len(piece) > 40]
    assert len(found) > 10
    return found


def test_weakness_24_no_output_holds_a_secret_even_with_debug(
    put: Put, emulator: Emulator, home: Path
) -> None:
    (home / "aes").write_text(SSE_KEY)
    outcome = put(
        "--part-size", 10, "--verify-checksum", "--debug", "--encryption-key-file", home / "aes"
    )
    assert outcome.code == 0
    assert outcome.err.count("UploadPart") == 3
    assert "Split file into 3 parts for upload." in outcome.err
    assert "md5 checksum matches [Local: " in outcome.err
    assert emulator.object_info("backups", "big.bin").size == 21 * MIB
    for secret in secrets(home):
        assert secret not in outcome.out + outcome.err


def test_a_missing_bucket_names_the_options_to_check(put: Put) -> None:
    outcome = put("-bn", "nowhere", "-ns", "ns1", "--debug")
    assert outcome.code == 1
    assert '"code": "BucketNotFound"' in outcome.err
    assert "Check --bucket-name, --namespace and --region" in outcome.err


@pytest.mark.parametrize("size", [0, 60000])
def test_a_part_size_outside_the_limits_names_them(put: Put, emulator: Emulator, size: int) -> None:
    outcome = put("--part-size", size, "-ns", "ns1")
    assert outcome.code == 2
    assert f"{size} MiB" in outcome.err or f"{size} bytes" in outcome.err
    assert "1 MiB to 50 GiB" in outcome.err
    assert emulator.object_names("backups") == []


def test_an_existing_object_is_kept_replaced_or_in_the_way(put: Put) -> None:
    assert put().code == 0
    kept = put("--no-overwrite")
    assert (kept.code, kept.out) == (0, "")
    assert "The object already exists and was not overwritten" in kept.err
    refused = put()
    assert refused.code == 1
    assert "There is no terminal to ask on." in refused.err
    assert put("--force").code == 0
