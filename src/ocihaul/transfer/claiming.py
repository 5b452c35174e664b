"""Being the only process at something, on this machine."""

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ocihaul.errors import DownloadBusy
from ocihaul.events import Listener, Notice

#: How long one wait is, so that a stop is noticed: seconds.
_PATIENCE = 1.0


@contextlib.contextmanager
def claim(
    path: Path, what: str, *, wait: bool, listener: Listener, stop: threading.Event
) -> Iterator[None]:
    """Hold the lock file `path` for as long as the context lasts.

    While another process holds it: waits, or raises DownloadBusy, which says who has `what`.
    Where no lock file can be made there is no lock, and it is said.
    """
    owner = path.with_suffix(".owner")
    lock = FileLock(path, poll_interval=0.2, mode=0o600)
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _acquire(lock, owner, what, wait=wait, listener=listener, stop=stop)
            held.callback(lock.release)
            held.callback(_remove, owner)
            owner.write_text(f"process {os.getpid()} on {platform.node()}")
        except OSError as error:
            text = f"Nobody is kept from writing {what} at the same time: {error}"
            listener(Notice(f"{text}. Name a writable directory with OCIHAUL_STATE_DIR."))
        yield


def _acquire(
    lock: FileLock, owner: Path, what: str, *, wait: bool, listener: Listener, stop: threading.Event
) -> None:
    told = False
    while True:
        try:
            lock.acquire(timeout=_PATIENCE if told else 0)
        except Timeout:
            who = _read(owner) or "another process"
            busy = DownloadBusy(
                f"{what} is already being fetched by {who}",
                hint="Wait for it, or run again without --no-wait.",
            )
            if not wait or stop.is_set():
                raise busy from None
            if not told:
                listener(Notice(f"{busy.message}: waiting for it to end."))
            told = True
        else:
            return


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text() or None
    except OSError:
        return None
