"""Built as a release builds them, installed as people install them, and used."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.dist.conftest import ROOT, URL, VERSIONS, Built, clean, python, tool
from tests.world import MIB, World, world

LEAN = 40 * 10**6


def run(*command: object, cwd: Path | None = None, environ: Mapping[str, str] = {}) -> str:
    """Run it with what an installation has, and nothing of this clone; its stdout."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**clean(), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def put(w: World, program: Path) -> None:
    """One upload by an installed command."""
    file = w.file(11 * MIB)
    done = subprocess.run(
        [str(program), *w.put(file)],
        cwd=w.home,
        env=w.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert w.arrived_whole(file)


def test_finding_d15_the_packages_are_what_an_index_takes(built: Built) -> None:
    assert "PASSED" in run(tool("twine"), "check", "--strict", built.sdist, built.wheel)
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith("/METADATA")]
        metadata = wheel.read(name).decode()
        assert not [each for each in wheel.namelist() if not each.startswith("ocihaul")]
    assert f"Project-URL: Source, {URL}\n" in metadata
    assert "Author: The ocihaul developers" in metadata


def test_finding_d15_the_sdist_has_all_that_the_repository_has(built: Built) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no clone")
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {name for name in listed.stdout.split() if (ROOT / name).exists()}
    assert wanted - names == set()
    assert names - wanted == {"PKG-INFO"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works_with_each_python_that_is_here(
    version: str, built: Built, w: World
) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    place = w.home / "venv"
    run(interpreter, "-m", "venv", place)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet"]
    hashed = ["--require-hashes", "-r", ROOT / "requirements" / "runtime.txt"]
    run(*pip, *hashed)
    run(*pip, "--no-deps", "--no-index", built.wheel)
    assert run(place / "bin" / "python", "-m", "pip", "check")
    assert run(place / "bin" / "ocihaul", "--version", cwd=w.home).startswith("ocihaul ")
    put(w, place / "bin" / "ocihaul")
    packages = next((place / "lib").glob("python*")) / "site-packages"
    size = sum(
        path.lstat().st_size
        for path in packages.rglob("*")
        if not path.is_dir()
        and path.suffix != ".pyc"
        and path.relative_to(packages).parts[0].partition("-")[0] not in {"pip", "setuptools"}
    )
    assert size < LEAN, f"{size / 10**6:.1f} MB"


@pytest.fixture
def unpacked(built: Built, tmp_path: Path) -> Path:
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (place,) = [each for each in tmp_path.iterdir() if each.name.startswith("ocihaul-")]
    return place


def make(place: Path, *words: str) -> str:
    """A target in the unpacked sdist: its own source, in the environment that is there."""
    stamp = f"{sys.prefix}/.made"
    words = (f"--old-file={stamp}", f"VENV={sys.prefix}", *words)
    return run("make", *words, cwd=place, environ={"PYTHONPATH": str(place / "src")})


def test_finding_d15_the_demo_runs_from_the_sdist(unpacked: Path) -> None:
    shown = make(unpacked, "demo", "DEMO_ARGS=--short")
    assert "object identical to the file (SHA-256) │ yes" in shown
    assert "with one token, as the official CLI does it: failed" in shown


def test_tests_run_from_the_sdist(unpacked: Path) -> None:
    chosen = "tests/unit/test_deploy.py tests/unit/test_findings.py tests/functional/test_verify.py"
    shown = make(unpacked, "test", f"PYTEST_ARGS=-n 2 {chosen} --import-mode=importlib")
    assert " passed" in shown
    assert "skipped" not in shown.splitlines()[-1] or shutil.which("systemd-analyze") is None
    # It is the sdist's own source that was tested.
    found = run(
        sys.executable,
        *("-c", "import ocihaul; print(ocihaul.__file__)"),
        environ={"PYTHONPATH": str(unpacked / "src")},
    )
    assert Path(found.strip()).is_relative_to(unpacked)


def test_the_wheelhouse_installs_without_a_network(w: World) -> None:
    place = w.home / "wheelhouse"
    run(tool("python"), ROOT / "tools" / "wheelhouse.py", place)
    # The same Python as that of the tools made it; no index is there to be asked.
    alone = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    installed = w.home / "installed"
    nothing = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    nothing["PYTHON"] = tool("python")
    run(*alone, "sh", place / "install.sh", installed, environ=nothing)
    put(w, installed / "bin" / "ocihaul")


def test_the_bill_of_materials_names_what_is_installed(tmp_path: Path) -> None:
    place = tmp_path / "venv"
    run(tool("python"), "-m", "venv", "--without-pip", place)
    packages = next((place / "lib").glob("python*")) / "site-packages"
    requirements = ROOT / "requirements" / "runtime.txt"
    run(
        *(tool("pip"), "install", "--quiet", "--require-hashes", "-r", requirements),
        *("--target", packages),
    )
    bill = tmp_path / "sbom.json"
    words = ["environment", "--pyproject", ROOT / "pyproject.toml", "--mc-type", "application"]
    words += ["--of", "JSON", "-o", bill, "--validate", place / "bin" / "python"]
    run(tool("cyclonedx-py"), *words)
    told = json.loads(bill.read_text())
    assert told["metadata"]["component"]["name"] == "ocihaul"
    pins = [line.split()[0] for line in requirements.read_text().splitlines() if "==" in line]
    there = {f"{each['name'].lower()}=={each['version']}" for each in told["components"]}
    assert {pin.lower() for pin in pins} <= there
