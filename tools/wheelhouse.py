"""All wheels of an installation in one directory, for machines without a network.

    python tools/wheelhouse.py build/wheelhouse
    python tools/wheelhouse.py build/arm --python-version 3.12 --platform manylinux2014_aarch64

What is downloaded has the hashes of requirements/runtime.txt. The directory is complete: install.sh
makes a virtual environment of it, and asks no index.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALL = """#!/bin/sh
# sh install.sh [DIRECTORY]: ocihaul in a virtual environment, from the wheels beside this file.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
place=${1:-$HOME/.local/share/ocihaul}
${PYTHON:-python3} -m venv "$place"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 PIP_FIND_LINKS="$here"
"$place/bin/pip" install --quiet --require-hashes -r "$here/requirements.txt"
"$place/bin/pip" install --quiet --no-deps "$here"/ocihaul-*.whl
echo "$place/bin/ocihaul"
"""


def main(argv: list[str] | None = None) -> int:
    """Fill the directory; what was in it goes."""
    parser = argparse.ArgumentParser(description="An installation for machines without a network.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--pip", nargs="+", default=[sys.executable, "-m", "pip"])
    parser.add_argument("--python-version", help="such as 3.12 [that of pip]")
    parser.add_argument("--platform", help="such as manylinux2014_aarch64 [that of pip]")
    given = parser.parse_args(argv)
    place: Path = given.directory
    if place.exists() and not (place / "install.sh").exists() and any(place.iterdir()):
        print(f"{place}: not a wheelhouse (an empty directory, or one of this program)")
        return 2
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    pip = [*given.pip]
    quiet = ["--quiet", "--disable-pip-version-check"]
    requirements = ROOT / "requirements" / "runtime.txt"
    other = ["--only-binary", ":all:"]
    if given.python_version:
        other += ["--python-version", given.python_version, "--implementation", "cp"]
    if given.platform:
        other += ["--platform", given.platform]
    download = ["download", *quiet, *other, "--require-hashes", "-r", str(requirements)]
    subprocess.run([*pip, *download, "--dest", str(place)], check=True)
    subprocess.run([*pip, "wheel", *quiet, "--no-deps", "-w", str(place), str(ROOT)], check=True)
    shutil.copy(requirements, place / "requirements.txt")
    (place / "install.sh").write_text(INSTALL, encoding="utf-8")
    print(f"{place}: {len(list(place.glob('*.whl')))} wheels; sh install.sh [DIRECTORY] installs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
