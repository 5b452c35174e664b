"""`python -m ocihaul.emulator`, profiles on disk, the log file."""

import json
import signal
import stat
import subprocess
import sys
import threading
import time
from configparser import ConfigParser
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.emulator import Emulator, LogEntry
from ocihaul.emulator.cli import main, size

from .client import Client


@pytest.mark.parametrize(("text", "value"), [("5M", 5 * 2**20), ("1.5KiB", 1536), ("7", 7)])
def test_sizes(text: str, value: float) -> None:
    assert size(text) == value


def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    ready, log = tmp_path / "ready", tmp_path / "log"
    command = [sys.executable, "-m", "ocihaul.emulator", "--ready-file", str(ready)]
    command += ["--log-file", str(log), "--tls", "--discard", "--profile", "night"]
    command += ["--profile-dir", str(tmp_path / "oci")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)  # another process: there is nothing else to wait on
        told = json.loads(ready.read_text())
        assert Path(told["config"]).exists()
        assert Path(told["ca_file"]).exists()
    finally:
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=10)[0].decode()
    assert process.returncode == 0
    assert f"listening on {told['endpoint']}" in output
    assert "--profile night" in output
    assert log.read_text() == ""


def test_a_profile_is_laid_out_as_the_stock_cli_does(oci: Emulator, tmp_path: Path) -> None:
    session = oci.login()
    directory = tmp_path / "oci"
    oci.write_profile(directory, "one")
    oci.write_api_key_profile(directory)
    path = oci.write_profile(directory, "one", session=session, passphrase="open")
    config = ConfigParser()
    config.read(path)
    assert sorted(config.sections()) == ["APIKEY", "one"]
    section = config["one"]
    assert Path(section["security_token_file"]).read_text() == session.token
    assert section["fingerprint"] == session.fingerprint
    pem = Path(section["key_file"]).read_bytes()
    assert pem.endswith(b"-----\nOCI_API_KEY")
    load_pem_private_key(pem, b"open")
    home = directory / "sessions" / "one"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in home.iterdir()} == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("session_first", [True, False])
def test_finding_e06_an_api_key_inherits_nothing_of_a_session(
    oci: Emulator, tmp_path: Path, session_first: bool
) -> None:
    if session_first:
        oci.write_profile(tmp_path, passphrase="open")
    path = oci.write_api_key_profile(tmp_path, "ROBOT")
    if not session_first:
        oci.write_profile(tmp_path, passphrase="open")
    config = ConfigParser(interpolation=None)  # [DEFAULT] is inherited, as the SDKs have it
    config.read(path)
    assert config["ROBOT"]["security_token_file"] == config["ROBOT"]["pass_phrase"] == ""
    assert config["DEFAULT"]["pass_phrase"] == "open"
    load_pem_private_key(Path(config["ROBOT"]["key_file"]).read_bytes(), None)


def test_finding_e06_beside_other_sessions_an_api_key_is_as_it_was(
    oci: Emulator, tmp_path: Path
) -> None:
    oci.write_profile(tmp_path, "WORK")
    path = oci.write_api_key_profile(tmp_path, "ROBOT")
    config = ConfigParser(interpolation=None)
    config.read(path)
    assert "security_token_file" not in config["ROBOT"]


def test_no_secret_is_in_the_log(oci: Emulator) -> None:
    client = Client(oci, oci.login())
    client.refresh()
    client.call("GET", "/n")
    entries = str(oci.log.entries())
    assert client.session.token not in entries
    assert "sha256:" in entries


def test_where_it_cannot_begin_it_says_why(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator() as other:
        port = other.endpoint.rpartition(":")[2]
        with pytest.raises(SystemExit, match="2"):
            main(["--port", port])
    assert "Address already in use" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(SystemExit, match="2"):
        main(["--tls"])
    assert "pip install trustme" in capfd.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ("--port", "70000"),
        ("--port", "-1"),
        ("--bandwidth", "0"),
        ("--bandwidth", "-5M"),
        ("--bandwidth", "nan"),
        ("--bandwidth", "inf"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    capfd: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    name, value = option
    with pytest.raises(SystemExit, match="2"):
        main([f"{name}={value}", "--like", "/no/such/answers"])
    error = capfd.readouterr().err
    assert f"argument {name}: invalid" in error
    assert value in error


def test_a_session_shows_no_secret(oci: Emulator) -> None:
    session = oci.login()
    token = oci.auth.find(session.token)
    for shown in (repr(session), repr(token)):
        assert session.token not in shown
        assert "PRIVATE KEY" not in shown
    assert session.fingerprint in repr(session)


def test_a_log_that_is_not_kept_is_given_out_and_forgotten() -> None:
    heard: list[LogEntry] = []
    ended = threading.Semaphore(0)

    def hear(entry: LogEntry) -> None:
        heard.append(entry)
        ended.release()

    with Emulator(on_request=hear, keep_log=False) as oci:
        client = Client(oci, oci.login())
        for _ in range(5):
            assert client.call("GET", "/n").status == 200
            assert ended.acquire(timeout=30)
    assert [entry.operation for entry in heard] == ["GetNamespace"] * 5
    assert oci.log.entries() == []
