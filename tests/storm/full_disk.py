"""A disk that is nearly full, for the state directory: a small tmpfs for root, else a limit.

A limit on the size of files (RLIMIT_FSIZE) hits everything that the process writes, so it suits
uploads alone.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SIZE = 1024
_KIB = 1024


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path | None]:
    """A tmpfs of 1 MiB at `place`; None where it cannot be mounted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        yield None
        return
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}k,mode=700", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, room: int) -> None:
    """Empty it, and leave so many KiB of room."""
    for path in disk.iterdir():
        path.unlink()
    (disk / "filler").write_bytes(bytes((_SIZE - room) * _KIB))
