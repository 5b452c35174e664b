"""The lock file of a session: where it is, and who holds it right now.

The file stays where it is for ever: it is only a lock while somebody holds it. Who that is, is for
people to read and never to decide by.
"""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file. `held` is None where that cannot be asked; `pid` and `program` if known."""

    path: Path
    held: bool | None
    pid: int | None = None
    program: str | None = None


def lock_file_for(token_file: Path) -> Path:
    """Beside the token where that can be; the lock must be the same for all who share it.

    Raises OSError when the token's place cannot be looked at.
    """
    beside = token_file.with_name(token_file.name + ".lock")
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside
    # An inode is unique on its device only, and another user's lock file cannot be opened.
    status = token_file.stat()
    user = os.getuid() if hasattr(os, "getuid") else 0
    name = f"ocihaul-{user}-{status.st_dev:x}-{status.st_ino:x}.lock"
    return Path(tempfile.gettempdir()) / name


def lock_at(path: Path) -> Lock:
    """The state of the lock at `path`."""
    held = _is_held(path)
    if not held:
        return Lock(path, held)
    pid = _holder(path)
    return Lock(path, held, pid, _program(pid) if pid else None)


def _is_held(path: Path) -> bool | None:
    try:
        import fcntl  # noqa: PLC0415  POSIX only
    except ImportError:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        # Held for a moment, and shared: who wants the lock meanwhile tries again at once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _holder(path: Path) -> int | None:
    """The process that Linux names as the holder, if it lives where we can see it."""
    with contextlib.suppress(OSError, ValueError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                return int(fields[4]) if int(fields[4]) > 0 else None
    return None


def _program(pid: int) -> str | None:
    # The name alone: the arguments of a foreign process may hold anything.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return None
