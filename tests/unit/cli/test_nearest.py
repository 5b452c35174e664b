"""Typing errors in commands: our own are named before those of any other package."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocihaul.cli import app
from ocihaul.integrations import oci_cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("os objet put", "ocihaul os object put"),
        ("sesion login", "ocihaul session login"),
        ("sesion logn --profile x", "ocihaul session login"),
        ("os object puut", "ocihaul os object put"),
        ("session logn", "ocihaul session login"),
        ("os object bulk-uplaod --src-dir d", "ocihaul os object bulk-upload"),
        ("os bukcet lsit", "ocihaul os bucket list"),
        ("UPLOADS", "ocihaul uploads"),
        ("help os objet put", "ocihaul os object put"),
        ("os object lst", "ocihaul os object list"),
        ("put --file x", "ocihaul os object put"),
        ("os sync", "ocihaul os object sync"),
        ("help login", "ocihaul session login"),
    ],
)
def test_finding_d04_the_nearest_command_is_named(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(typed.split()) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[0].endswith(f"Did you mean: {meant}")
    assert "oci-cli" not in error


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("typed", ["compute instance list", "os replication list", "ons", "lfs"])
def test_what_is_the_official_command_lines_is_no_typing_error(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci_cli, "is_installed", lambda: False)
    assert app.run(typed.split()) == 2
    error = capsys.readouterr().err
    assert "Did you mean" not in error
    assert "oci-cli" in error


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("word", "goes_there"), [("uploadz", True), ("uplods", False)])
def test_a_service_of_the_installed_official_command_line_goes_there(
    word: str,
    goes_there: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = tmp_path / "site" / "oci_cli"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it takes seconds')\n")
    (package / "service_mapping.py").write_text("service_mapping = {'uploadz': ['a', 'b']}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "oci_cli", raising=False)
    monkeypatch.setattr(oci_cli, "is_installed", lambda: True)
    ran: list[list[str]] = []

    def run(argv: Sequence[str]) -> int:
        ran.append(list(argv))
        return 7

    monkeypatch.setattr(oci_cli, "run", run)
    assert app.run([word, "list"]) == (7 if goes_there else 2)
    assert ran == ([[word, "list"]] if goes_there else [])
    assert ("Did you mean: ocihaul uploads" in capsys.readouterr().err) is not goes_there


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [[], ["os"], ["os", "object", "put"], ["uploads"]])
def test_finding_d04_help_is_a_command_too(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["help", *words]) == 0
    said = capsys.readouterr().out
    assert app.run([*words, "--help"]) == 0
    assert said == capsys.readouterr().out
    assert said.startswith(f"Usage: {' '.join(['ocihaul', *words])}")
