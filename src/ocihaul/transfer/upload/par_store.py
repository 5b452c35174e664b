"""The PAR of an upload that survives its session, kept on disk for the next run.

The file is a secret: it is private before anything is written into it, and removed with the upload.
It is written before the PAR is made: whenever a run is killed, the next one finds the PAR by its
unique name, and deletes it.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ocihaul.documents import TOO_LARGE, is_utf8, read_object, read_text
from ocihaul.errors import JournalError, OcihaulError, ServiceError
from ocihaul.events import Listener, Notice
from ocihaul.filesystem import sync_file
from ocihaul.redaction import hold_access_uri
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import is_url_path
from ocihaul.transfer.journal.journal import Journal, Target
from ocihaul.transfer.journal.state_file import narrow

#: How long a PAR is valid at least, seconds.
_LEAST = 24 * 3600.0
#: And at most, seconds: ten years.
_MOST = 3650 * 24 * 3600.0
#: The rate to assume where none is given, bytes per second: slower lines are rare.
_SLOW = 2.0**20
#: Factor for pauses and retries.
_MARGIN = 2.0
#: The length of a stream is not known: its PAR is valid for a week, seconds.
_STREAM = 7 * 24 * 3600.0


def lifetime(size: int | None, rate: float | None) -> float:
    """Seconds that a PAR has to be valid for `size` bytes at `rate` bytes per second; pure."""
    if size is None:
        return _STREAM
    return min(max(_LEAST, _MARGIN * size / (rate or _SLOW)), _MOST)


@dataclass(frozen=True, slots=True)
class StoredPar:
    """A PAR and the upload that was begun through it. `expires_at` is epoch seconds.

    What is not known yet is empty: the PAR is about to be made, or its upload to be begun. Its
    `name` is unique.
    """

    par_id: str
    expires_at: float
    upload_id: str
    access_uri: str = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if not _are_sound(self.expires_at, self.par_id, self.upload_id, self.access_uri, self.name):
            raise TypeError("not the values of a PAR")
        if self.access_uri and not is_url_path(self.access_uri):
            raise TypeError("not the path of a URL")
        hold_access_uri(self.access_uri)


def _are_sound(moment: object, *texts: object) -> bool:
    """Whether these are a time and texts, as far as they may come from a file."""
    is_time = isinstance(moment, int | float) and 0 <= moment < TOO_LARGE
    return is_time and all(isinstance(text, str) and is_utf8(text) for text in texts)


class ParStore:
    """The file that keeps one PAR; without a `path` it is kept in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._par: StoredPar | None = None

    def save(self, par: StoredPar) -> None:
        """Keep it. Raises JournalError when it cannot be written."""
        self._par = par
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                json.dump(asdict(par), file)
                file.flush()
                sync_file(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error

    def load(self) -> StoredPar | None:
        """The PAR of an earlier run; None where there is none that can be read."""
        if self._par is None and self._path is not None:
            narrow(self._path)
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._par = StoredPar(**read_object(read_text(self._path)))
        return self._par

    def remove(self) -> None:
        """Forget the PAR, and remove the file."""
        self._par = None
        if self._path is not None:
            with contextlib.suppress(OSError):  # it is worthless without its PAR
                self._path.unlink(missing_ok=True)


def par_store_of(journal: Journal | None, target: Target) -> ParStore:
    """The store for the PAR of this target, beside the journal; without one in memory."""
    return ParStore(journal.private_file(target, "par") if journal is not None else None)


def end_par(store: ParStore, storage: StorageClient, target: Target, listener: Listener) -> None:
    """Delete the stored PAR, if there is one; where that fails, tell the listener how."""
    par = store.load()
    if par is None:
        return
    ids = [par.par_id] if par.par_id else []
    try:
        ids += _others(par, storage, target)
    except OcihaulError:
        if not ids:
            return  # a later run may be able to look
    for par_id in ids:
        try:
            storage.delete_preauthenticated_request(target.namespace, target.bucket, par_id)
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                listener(Notice(how_to_end(target, par_id)))
    store.remove()


def how_to_end(target: Target, par_id: str) -> str:
    """The notice of a PAR that could not be deleted."""
    return (
        "The pre-authenticated request of this upload is left. Delete it with: "
        f"ocihaul os preauth-request delete -ns {target.namespace} -bn {target.bucket} "
        f"--par-id '{par_id}'"
    )


def _others(par: StoredPar, storage: StorageClient, target: Target) -> list[str]:
    """PARs of the same name: a creation whose reply was lost has made one, with an unknown id."""
    listed = storage.list_preauthenticated_requests(
        target.namespace, target.bucket, object_name_prefix=target.object
    )
    return [
        each.par_id
        for each in listed
        if par.name and each.name == par.name and each.par_id != par.par_id
    ]
