"""What may stand in a command line: by the words before the cursor, without a shell."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.cli import app, completion
from ocihaul.cli.completion import Choice, choices
from ocihaul.emulator import Fault
from ocihaul.session.diagnostics import probe
from tests.world import World
from tests.world import world as make_world


def values(line: str) -> list[str]:
    return [each.value for each in choices(app.app, line.split(" ")) if each.kind == "value"]


def kinds(line: str) -> set[str]:
    return {each.kind for each in choices(app.app, line.split(" "))}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("os obj", ["object", "object-lifecycle-policy"]),
        ("os object bulk-d", ["bulk-delete", "bulk-delete-versions", "bulk-download"]),
        ("--profile x os buck", ["bucket"]),
        ("--debug doct", ["doctor"]),
        ("os object put --parallel", ["--parallel-upload-count"]),
        ("os object put -b", ["-bn"]),
        ("os object put --if-exists ke", ["keep", "keep-same"]),
        ("os object put --if-exists=ke", ["--if-exists=keep", "--if-exists=keep-same"]),
        ("os object get --output t", ["table"]),
        ("--region eu-zu", ["eu-zurich-1"]),
        ("os object copy --destination-region uk-l", ["uk-london-1"]),
        ("completion z", ["zsh"]),
        ("help os", ["os"]),
        ("session l", ["login"]),
        ("os object put --name os obj", []),
        ("compute inst", []),
        ("compute instance launch --sh", []),
        ("exec -- os ob", []),
        ("os nonsense put --f", []),
    ],
)
def test_what_may_stand_there(line: str, expected: list[str]) -> None:
    assert values(line) == expected


def test_global_options_follow_those_of_the_command() -> None:
    found = values("os object put --")
    assert found.index("--part-size") < found.index("--profile")
    assert len(found) == len(set(found)) > 50
    assert "--federation-endpoint" not in found  # it has no effect


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("os object put --file ", "file"),
        ("os object put --file=da", "file"),
        ("--config-file ", "file"),
        ("os object sync --src-dir ", "dir"),
        ("verify ", "file"),
    ],
)
def test_files_are_left_to_the_shell(line: str, kind: str) -> None:
    assert kinds(line) == {kind}


def test_a_choice_has_a_short_help() -> None:
    (found,) = choices(app.app, ["os", "object", "put", "--part-s"])
    assert found == Choice("--part-size", "Size of a part in MiB, or with its unit")


def test_profiles_are_those_of_the_config_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OCI_CLI_CONFIG_FILE", raising=False)
    config = tmp_path / "other"
    config.write_text("[DEFAULT]\nregion=x\n[backup]\nuser=y\n[build]\nuser=z\n")
    assert values(f"--config-file {config} --profile b") == ["backup", "build"]
    assert values(f"os object put --config-file {config} --profile ") == [
        "DEFAULT",
        "backup",
        "build",
    ]


def test_nothing_is_said_when_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(app.SHELL_ASKS, "bash")
    for words in (["--config-file", "/nowhere", "--profile", ""], ["compute", "inst"], []):
        assert app.run(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Usage" not in captured.out


# Buckets


@pytest.fixture
def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with make_world(tmp_path) as world:
        for name, value in world.environ().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OCI_CLI_AUTH", "security_token")
        yield world


def test_buckets_are_those_of_the_service(w: World) -> None:
    assert values("os object put -bn back") == ["backups"]
    assert values("os object put --bucket-name=b") == ["--bucket-name=backups"]
    assert values("os object put -bn zzz") == []


def test_a_session_that_has_expired_is_asked_nothing_and_renews_nothing(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = w.token_file.read_bytes()
    w.end_sessions()
    assert values("os object put -bn b") == []
    assert w.token_file.read_bytes() == before
    refused = [entry.operation for entry in w.oci.log.entries()]
    assert set(refused) <= {"GetNamespace"}

    monkeypatch.setattr(f"{probe.__name__}.time.time", lambda: time.monotonic() + 4e9)
    assert values("os object put -bn b") == []
    assert len(w.oci.log.entries()) == len(refused)  # a token that has ended is not sent


def test_a_service_that_does_not_answer_is_not_waited_for(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "PATIENCE", 0.5)
    fault = w.oci.faults.add(Fault(operation="GetNamespace", stall_seconds=8.0))
    began = time.monotonic()
    assert values("os object put -bn b") == []
    assert time.monotonic() - began < 5
    assert fault.seen == 1


def test_addresses_are_completed_a_prefix_at_a_time(w: World) -> None:
    for name in ("2026/x", "2026/y", "2025/z"):
        w.oci.put_object("backups", name, b"1")
    assert values("ls oc") == ["oci://"]
    assert values("ls oci://ba") == ["oci://backups/"]
    assert values("cp f oci://backups/202") == ["oci://backups/2025/", "oci://backups/2026/"]
    assert values("rm oci://backups@ns1/2026/") == [
        "oci://backups@ns1/2026/x",
        "oci://backups@ns1/2026/y",
    ]
    assert kinds("cp f") == {"file"}
