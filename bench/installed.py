"""Prints the bytes that a package and its requirements take in this environment."""

import re
import sys
from importlib import metadata
from pathlib import Path


def closure(name: str) -> dict[str, metadata.Distribution]:
    """The installed distributions that `name` needs, and itself; extras are left out."""
    found: dict[str, metadata.Distribution] = {}
    wanted = [name]
    while wanted:
        key = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if key in found:
            continue
        try:
            found[key] = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform or Python
        needed = [one for one in found[key].requires or () if "extra ==" not in one]
        wanted += [re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0] for one in needed]
    return found


def size(distribution: metadata.Distribution) -> int:
    """Bytes of the files that its installation has written."""
    paths = (distribution.locate_file(file) for file in distribution.files or ())
    return sum(path.stat().st_size for path in map(_local, paths) if path.is_file())


def _local(path: object) -> Path:
    return Path(str(path))


if __name__ == "__main__":
    print(sum(size(one) for one in closure(sys.argv[1]).values()))
