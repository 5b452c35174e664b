"""The fixtures for other people's tests, in a pytest of their own."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

PLUGIN = "ocihaul.pytest_plugin"

A_TEST = """
import subprocess, sys
from pathlib import Path
import pytest
from ocihaul.emulator import Fault

def test_a_program_meets_the_emulator(oci_profile, tmp_path):
    file = tmp_path / "db.tar"
    file.write_bytes(b"x" * 70_000)
    words = ["os", "object", "put", "-bn", "backups", "--file", str(file)]
    subprocess.run([sys.executable, "-m", "ocihaul", *words], check=True)
    assert oci_profile.object_names("backups") == ["db.tar"]

@pytest.mark.oci_emulator(namespace="mine")
def test_settings(oci_emulator):
    assert oci_emulator.namespace == "mine"

def test_each_has_its_own(oci_emulator):
    assert oci_emulator.object_names("backups") == []
"""

A_FAULT = """
from ocihaul.emulator import Fault

def test_a_fault_that_does_not_fire(oci_emulator):
    oci_emulator.faults.add(Fault(operation="UploadPart", status=503))
"""


def run_pytest(place: Path, text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    (place / "test_theirs.py").write_text(text)
    (place / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_test_gets_an_emulator_and_a_profile(tmp_path: Path) -> None:
    # Without "-p": pytest finds it by its entry point.
    ran = run_pytest(tmp_path, A_TEST)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


@pytest.mark.slow
def test_a_fault_that_has_not_fired_is_an_error(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, A_FAULT)
    assert "1 passed, 1 error" in ran.stdout, ran.stdout
    assert "UploadPart" in ran.stdout


def test_without_the_extra_it_is_said_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['jwt'] = None\n")
    ran = run_pytest(tmp_path, "def test_it(oci_emulator):\n    pass\n")
    assert ran.returncode == 1, ran.stdout
    assert "needs jwt: pip install 'ocihaul[pytest]'" in ran.stdout


def test_a_misspelt_setting_is_told_the_one_that_is_near(tmp_path: Path) -> None:
    mark = "@pytest.mark.oci_emulator(tokenttl=4.0)"
    ran = run_pytest(tmp_path, f"import pytest\n{mark}\ndef test_it(oci_emulator):\n    pass\n")
    assert ran.returncode == 1, ran.stdout
    assert "no setting 'tokenttl'; did you mean token_ttl?" in ran.stdout


def test_it_imports_nothing_before_it_is_used() -> None:
    code = f"import sys, {PLUGIN}; print([m for m in sys.modules if m.startswith('ocihaul.emu')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_pytest_finds_it_by_its_entry_point(request: pytest.FixtureRequest) -> None:
    (entry,) = [each for each in entry_points(group="pytest11") if each.name == "ocihaul"]
    assert entry.value == PLUGIN
    assert not request.config.pluginmanager.has_plugin("ocihaul"), "our own tests do without it"
