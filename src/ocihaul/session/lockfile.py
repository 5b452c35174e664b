"""The lock files of a session: where they are, and which processes hold them right now.

A lock file counts only while a process holds it, and is removed with its session only.
`KeeperLock` shows that `session keep` is running, by a shared lock next to the token file; the
kernel releases it when its process ends, however that ends, so it is never stale. The holders are
for people to read (`status`, `doctor`); no decision depends on them.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock; the fields are None where they are not known."""

    pid: int | None = None
    program: str | None = None

    def __str__(self) -> str:
        return f"process {self.pid} ({self.program})" if self.pid else "a process"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file. `held` is None where the system cannot tell; `pid` and `program` if known."""

    path: Path
    held: bool | None
    pid: int | None = None
    program: str | None = None

    @property
    def holder(self) -> Holder:
        """The process that holds it, as far as it is known."""
        return Holder(self.pid, self.program)


def lock_file_for(token_file: Path, kind: str = "lock") -> Path:
    """Return the lock file of a token: beside it, or else in the temporary directory.

    All processes that share the token must find the same file. Raises OSError when the token's
    directory cannot be read.
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
    """Create a lock file for the token's owner, if that is another user and there is none yet.

    Root may renew a user's session: the user could not take a lock file of root's. Only a file that
    we have created is given away, as any other could be a link. Errors surface when the lock is
    taken.
    """
    with contextlib.suppress(OSError):
        if not hasattr(os, "geteuid") or token_file.stat().st_uid == os.geteuid():
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        give_to_owner_of(token_file, descriptor)
        os.close(descriptor)


def give_to_owner_of(path: Path, descriptor: int) -> None:
    """Give an open file to the owner of `path`, if it exists and the system allows that."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            status = path.stat()
            os.fchown(descriptor, status.st_uid, status.st_gid)


def check_locks(path: Path) -> None:
    """Raise OSError where the file system of a lock file has no locks; the file may be made.

    Lustre answers ENOSYS to flock(2), unless it is mounted with `flock`. filelock would take the
    file's existence for a lock then, and lock files stay. Nothing is locked by the probe.
    """
    try:
        import fcntl  # noqa: PLC0415  POSIX only
    except ImportError:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def lock_at(path: Path) -> Lock:
    """Return the state of the lock at `path`."""
    held = _is_held(path, shared=False)
    holder = next(iter(_holders(path)), Holder()) if held else Holder()
    return Lock(path, held, holder.pid, holder.program)


def sharers_of(path: Path) -> tuple[Holder, ...]:
    """Return the visible processes that share the lock at `path`."""
    if not _is_held(path, shared=True):
        return ()
    return tuple(_holders(path)) or (Holder(),)


def _is_held(path: Path, *, shared: bool) -> bool | None:
    """Return whether it is held: exclusively, or (`shared`) at all. None where it is not known."""
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
        # Held for a moment: a process that wants the lock meanwhile tries again at once.
        fcntl.flock(descriptor, (fcntl.LOCK_EX if shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _holders(path: Path) -> Iterator[Holder]:
    """Yield the holders that Linux names, if their processes are visible from here."""
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


_KIND = "keepers"


class KeeperLock:
    """The shared lock of one keeper for one token. Where it cannot be taken, nothing happens."""

    def __init__(self, token_file: Path) -> None:
        self._token_file = token_file
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, unless it is held; a process that checks it right now may delay that."""
        if self._descriptor is not None:
            return
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # noqa: PLC0415  POSIX only

            path = lock_file_for(self._token_file, _KIND)
            make_for_owner(path, self._token_file)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise
            self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; harmless when it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def find_keepers(token_file: Path) -> tuple[Holder, ...]:
    """Return the visible keepers of this token's session."""
    with contextlib.suppress(OSError):
        return sharers_of(lock_file_for(token_file, _KIND))
    return ()
