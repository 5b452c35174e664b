"""The packages, built once; the Pythons that are here."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
URL = "https://example.com/haulers/ocihaul"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Built:
    """An sdist, and the wheel that was made of it."""

    sdist: Path
    wheel: Path


def tool(name: str) -> str:
    """One of the programs of `make test-dist`."""
    return str(Path(os.environ["OCIHAUL_TOOLS_VENV"]) / "bin" / name)


def python(version: str) -> Path | None:
    """A Python of this version that can make virtual environments."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    on_path = shutil.which(f"python{version}")
    for each in (*found, *([Path(on_path)] if on_path else [])):
        asked = [str(each), "-c", "import ensurepip, ssl, sqlite3"]
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return each
    return None


def clean() -> dict[str, str]:
    """An environment without a trace of this clone."""
    names = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    return {name: value for name, value in os.environ.items() if name not in names}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    place = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [tool("python"), "-m", "build", "--outdir", str(place), str(ROOT)],
        env=clean() | {"OCIHAUL_PROJECT_URL": f"{URL}/"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    (sdist,) = place.glob("*.tar.gz")
    (wheel,) = place.glob("*.whl")
    yield Built(sdist, wheel)
