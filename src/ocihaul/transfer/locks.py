"""Locks between the processes of this machine: lock files, which end with their process.

The file is removed when its lock is released, so that lock files do not pile up. That is safe
because a lock counts only while its file has the name: a process that locks a file which was
removed meanwhile tries again with the new one.
"""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ocihaul.errors import JournalError, TransferInProgressError
from ocihaul.events import Listener, Notice
from ocihaul.filesystem import is_own

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: `is_held` takes the lock for a moment: `hold` waits for that at least, seconds.
_PROBE = 0.4
#: Seconds between two tries.
_POLL_INTERVAL = 0.02
#: How long `alone` waits before it checks for a stop, seconds.
_WAIT = 1.0


class HeldError(Exception):
    """Another process has the lock; `holder` names it."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextlib.contextmanager
def hold(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock file `path` for as long as the context lasts.

    Raises HeldError after `wait` seconds, OSError when there can be no lock.
    """
    with _hold(path, max(wait, _PROBE)):
        yield


@contextlib.contextmanager
def claimed(directory: Path, name: str, what: str, *, wait: float) -> Iterator[None]:
    """Be the only process that uploads `what`, by the lock `name` in `directory`.

    Raises TransferInProgressError after `wait` seconds, naming the holder; JournalError when there
    can be no lock.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(hold(directory / f"{name}.lock", wait=wait))
        except HeldError as other:
            raise TransferInProgressError(
                f"{what!r} is already being uploaded by {other.holder}",
                hint="Wait until it has ended.",
            ) from None
        except OSError as error:
            raise JournalError(
                f"the journal in {directory} cannot be used: {error}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error
        yield


def is_held(directory: Path, name: str) -> bool:
    """Whether a process holds the lock; makes no lock file."""
    path = directory / f"{name}.lock"
    if not path.exists():
        return False
    try:
        with _hold(path, 0):
            return False
    except FileNotFoundError:
        return False
    except (HeldError, OSError):
        return True


@contextlib.contextmanager
def alone(
    path: Path, what: str, *, wait: bool, listener: Listener, stop: threading.Event
) -> Iterator[None]:
    """Be the only process that downloads to `what`, by the lock file `path`.

    While there is another: wait, or raise TransferInProgressError, which names it. Where no lock
    file can be made there is no lock, and the listener hears a Notice.
    """
    with contextlib.ExitStack() as held:
        told = False
        while True:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                held.enter_context(hold(path, wait=_WAIT if told else 0))
            except HeldError as other:
                busy = TransferInProgressError(
                    f"{what} is already being fetched by {other.holder}",
                    hint="Wait for it, or run again without `wait=False`.",
                )
                if not wait or stop.is_set():
                    raise busy from None
                if not told:
                    listener(Notice(f"{busy.message}: waiting for it to end."))
                told = True
                continue
            except OSError as error:
                text = f"No other process is kept from writing {what} at the same time: {error}"
                listener(Notice(f"{text}. Name a writable directory with OCIHAUL_STATE_DIR."))
            break
        yield


def _hold(path: Path, wait: float) -> contextlib.AbstractContextManager[None]:
    return _windows_lock(path, wait) if fcntl is None else _lock(path, wait)


@contextlib.contextmanager
def _lock(path: Path, wait: float) -> Iterator[None]:
    until = time.monotonic() + wait
    while (file := _locked(path)) is None:
        if time.monotonic() >= until:
            raise HeldError(_read(path) or "another process")
        time.sleep(_POLL_INTERVAL)  # another process: a lock tells no one when it is free
    try:
        # For messages alone: another user's file, or a second name of one of ours, is locked as
        # well as any, but not written.
        with contextlib.suppress(OSError):
            if is_own(os.fstat(file)):
                os.ftruncate(file, 0)
                os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            if _is_named(file, path):
                path.unlink()
        os.close(file)


def _locked(path: Path) -> int | None:
    """A descriptor of the file of this name, locked; None while another process has the lock."""
    assert fcntl is not None  # noqa: S101  for the type checker
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # its holder has removed it


def _is_named(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _windows_lock(path: Path, wait: float) -> Iterator[None]:
    from filelock import FileLock, Timeout  # noqa: PLC0415  start-up time: Windows only

    try:
        with FileLock(path, timeout=wait, poll_interval=_POLL_INTERVAL):
            yield
    except Timeout:
        raise HeldError("another process") from None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace") or None
    except OSError:
        return None
