"""The lock files of a session: where they are, and who holds them right now.

A file stays where it is for ever: it is only a lock while somebody holds it. Who that is, is for
people to read and never to decide by.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock, as far as it is known."""

    pid: int | None = None
    program: str | None = None

    def __str__(self) -> str:
        return f"process {self.pid} ({self.program})" if self.pid else "a process"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file. `held` is None where that cannot be asked; `pid` and `program` if known."""

    path: Path
    held: bool | None
    pid: int | None = None
    program: str | None = None

    @property
    def holder(self) -> Holder:
        """Who holds it, if it is held."""
        return Holder(self.pid, self.program)


def lock_file_for(token_file: Path, kind: str = "lock") -> Path:
    """Beside the token where that can be; the lock must be the same for all who share it.

    Raises OSError when the token's place cannot be looked at.
    """
    beside = token_file.with_name(f"{token_file.name}.{kind}")
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside
    # An inode is unique on its device only, and another user's lock file cannot be opened.
    status = token_file.stat()
    user = os.getuid() if hasattr(os, "getuid") else 0
    name = f"ocihaul-{user}-{status.st_dev:x}-{status.st_ino:x}.{kind}"
    return Path(tempfile.gettempdir()) / name


def make_for_owner(path: Path, token_file: Path) -> None:
    """Make a lock file for the token's owner, where that is somebody else, unless it is there.

    Root may renew a user's session: a lock of root's could not be taken by the user. Only a file
    that we have made is given away, as any other could be a link to something. Whatever goes wrong
    is told by who takes the lock.
    """
    with contextlib.suppress(OSError):
        if not hasattr(os, "geteuid") or token_file.stat().st_uid == os.geteuid():
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        give_to_owner_of(token_file, descriptor)
        os.close(descriptor)


def give_to_owner_of(path: Path, descriptor: int) -> None:
    """Give an open file to the owner of `path`, where there is one and the system lets us."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            status = path.stat()
            os.fchown(descriptor, status.st_uid, status.st_gid)


def lock_at(path: Path) -> Lock:
    """The state of the lock at `path`."""
    held = _is_held(path, shared=False)
    holder = next(iter(_holders(path)), Holder()) if held else Holder()
    return Lock(path, held, holder.pid, holder.program)


def sharers_of(path: Path) -> tuple[Holder, ...]:
    """Who holds a share of the lock at `path`, as far as it can be seen."""
    if not _is_held(path, shared=True):
        return ()
    return tuple(_holders(path)) or (Holder(),)


def _is_held(path: Path, *, shared: bool) -> bool | None:
    """Whether somebody holds it: alone, or (`shared`) a share of it."""
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
        # Held for a moment: who wants the lock meanwhile tries again at once.
        fcntl.flock(descriptor, (fcntl.LOCK_EX if shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _holders(path: Path) -> Iterator[Holder]:
    """The processes that Linux names as the holders, if they live where we can see them."""
    with contextlib.suppress(OSError, ValueError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                pid = int(fields[4])
                if pid > 0:
                    yield Holder(pid, _program(pid))


def _program(pid: int) -> str | None:
    # The name alone: the arguments of a foreign process may hold anything.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return None
