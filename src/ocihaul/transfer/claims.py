"""Who is at an upload right now: a lock file per object, which ends with its process."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ocihaul.errors import JournalError, UploadBusy

#: Somebody who only looks (`is_held`) has the lock for a moment: wait for that at least, seconds.
_LOOK = 0.4


class HeldError(Exception):
    """Another process has the lock; `who` names it."""

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self.who = who


@contextlib.contextmanager
def hold(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock file `path`, and say beside it who does.

    Raises HeldError after `wait` seconds, OSError when there can be no lock.
    """
    lock = FileLock(path, timeout=max(wait, _LOOK), poll_interval=_LOOK / 4, mode=0o600)
    owner = path.with_suffix(".owner")
    try:
        lock.acquire()
    except Timeout:
        raise HeldError(_read(owner) or "another process") from None
    try:
        with contextlib.suppress(OSError):  # only told to others, nothing depends on it
            owner.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def claimed(directory: Path, name: str, what: str, *, wait: float) -> Iterator[None]:
    """Hold the lock `name` in `directory` for as long as the context lasts.

    `what` is what an error calls it. Raises UploadBusy after `wait` seconds, naming who has it;
    JournalError when there can be no lock.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold(directory / f"{name}.lock", wait=wait))
        except HeldError as other:
            raise UploadBusy(
                f"{what!r} is already being uploaded by {other.who}",
                hint="Wait until it has ended.",
            ) from None
        except OSError as error:
            raise JournalError(
                f"the journal in {directory} cannot be used: {error}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error
        yield


def is_held(directory: Path, name: str) -> bool:
    """Whether a process has the lock; looks without leaving a trace."""
    path = directory / f"{name}.lock"
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def _read(path: Path) -> str | None:
    try:
        return path.read_text() or None
    except OSError:
        return None
