"""Being the only process that writes something here, on this machine."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from ocihaul.errors import DownloadBusy
from ocihaul.events import Listener, Notice
from ocihaul.transfer.claims import HeldError, hold

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
    told = False
    with contextlib.ExitStack() as held:
        while True:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                held.enter_context(hold(path, wait=_PATIENCE if told else 0.0))
                break
            except HeldError as other:
                busy = DownloadBusy(
                    f"{what} is already being fetched by {other.who}",
                    hint="Wait for it, or run again without --no-wait.",
                )
                if not wait or stop.is_set():
                    raise busy from None
                if not told:
                    listener(Notice(f"{busy.message}: waiting for it to end."))
                told = True
            except OSError as error:
                text = f"Nobody is kept from writing {what} at the same time: {error}"
                listener(Notice(f"{text}. Name a writable directory with OCIHAUL_STATE_DIR."))
                break
        yield
