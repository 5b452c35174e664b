"""Show that `session keep` is running, by a shared lock next to the token file.

`status` and `doctor` show it to people; no decision depends on it. The kernel releases the lock
when its process ends, however that ends, so it is never stale.
"""

import contextlib
import os
from pathlib import Path

from ocihaul.session.lockfile import Holder, lock_file_for, make_for_owner, sharers_of

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
