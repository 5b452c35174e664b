"""The sign that a keeper gives: a share of a lock beside the token, for as long as it keeps.

What belongs here: giving the sign. It is for people to read (`inspection`), and nobody decides by
it. The kernel takes it back when its process ends, however that ends, so it is never stale.
"""

import contextlib
import os
from pathlib import Path

from ocihaul.session.lockfile import Holder, lock_file_for, make_for_owner, sharers_of

_KIND = "keepers"


class Sign:
    """One keeper's sign at a token. Where there can be none, nothing happens."""

    def __init__(self, token_file: Path) -> None:
        self._token_file = token_file
        self._descriptor: int | None = None

    def give(self) -> None:
        """Give it, unless it is given; somebody who looks just now may put that off."""
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

    def take_back(self) -> None:
        """Take it back; harmless when it was not given."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def keepers_of(token_file: Path) -> tuple[Holder, ...]:
    """Who keeps the session of this token alive, as far as it can be seen."""
    with contextlib.suppress(OSError):
        return sharers_of(lock_file_for(token_file, _KIND))
    return ()
