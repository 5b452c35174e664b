"""The right that an upload holds beside the session: a PAR, kept on disk for the next run.

The file is a secret and made private before anything is written into it; it goes away with the
upload.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ocihaul.errors import JournalError

#: What the right lasts at least, seconds.
_LEAST = 24 * 3600.0
#: Bytes per second to reckon with where nothing is known: slower lines than that are rare.
_SLOW = 2.0**20
#: How much longer than the forecast, for pauses and retries.
_MARGIN = 2.0
#: Of a stream the length is not known: the right lasts a week, seconds.
_STREAM = 7 * 24 * 3600.0


def lifetime(size: int | None, rate: float | None) -> float:
    """Seconds that a PAR has to be valid for `size` bytes at `rate` bytes per second; pure."""
    if size is None:
        return _STREAM
    return max(_LEAST, _MARGIN * size / (rate or _SLOW))


@dataclass(frozen=True, slots=True)
class Access:
    """A PAR and the upload that was begun through it. `expires_at` is epoch seconds."""

    par_id: str
    expires_at: float
    upload_id: str
    access_uri: str = field(repr=False)


class AccessFile:
    """Where the next run finds it; without a `path` it is only remembered here."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._access: Access | None = None

    def save(self, access: Access) -> None:
        """Keep it. Raises JournalError when it cannot be written."""
        self._access = access
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                json.dump(asdict(access), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error

    def load(self) -> Access | None:
        """What an earlier run has kept; None where there is nothing that can be read."""
        if self._access is None and self._path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._access = Access(**json.loads(self._path.read_text()))
        return self._access

    def remove(self) -> None:
        """The upload is over."""
        self._access = None
        if self._path is not None:
            with contextlib.suppress(OSError):  # it is worthless without its PAR
                self._path.unlink(missing_ok=True)
