"""The right that an upload holds beside the session: a PAR, kept on disk for the next run.

The file is a secret and made private before anything is written into it; it goes away with the
upload. It is there before the PAR is: whatever moment a run is killed at, the next one finds the
PAR by the name that only it has, and ends it.
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
from ocihaul.held_secrets import hold_access_uri
from ocihaul.storage.client import StorageClient
from ocihaul.storage.fields import is_url_path
from ocihaul.transfer.journal.journal import Journal, Target
from ocihaul.transfer.journal.state_file import narrow

#: What the right lasts at least, seconds.
_LEAST = 24 * 3600.0
#: And at most, seconds: ten years.
_MOST = 3650 * 24 * 3600.0
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
    return min(max(_LEAST, _MARGIN * size / (rate or _SLOW)), _MOST)


@dataclass(frozen=True, slots=True)
class Access:
    """A PAR and the upload that was begun through it. `expires_at` is epoch seconds.

    What is not known yet is empty: the PAR is about to be made, or its upload to be begun. No
    other PAR has its `name`.
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
                sync_file(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error

    def load(self) -> Access | None:
        """What an earlier run has kept; None where there is nothing that can be read."""
        if self._access is None and self._path is not None:
            narrow(self._path)
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._access = Access(**read_object(read_text(self._path)))
        return self._access

    def remove(self) -> None:
        """The upload is over."""
        self._access = None
        if self._path is not None:
            with contextlib.suppress(OSError):  # it is worthless without its PAR
                self._path.unlink(missing_ok=True)


def access_of(journal: Journal | None, target: Target) -> AccessFile:
    """The right to upload to this target, where the journal lies; else only remembered."""
    return AccessFile(journal.private_file(target, "par") if journal is not None else None)


def end_access(
    kept: AccessFile, storage: StorageClient, target: Target, listener: Listener
) -> None:
    """Delete the PAR that is kept, if there is one, and forget it; where that fails, say how."""
    access = kept.load()
    if access is None:
        return
    ids = [access.par_id] if access.par_id else []
    try:
        ids += _others(access, storage, target)
    except OcihaulError:
        if not ids:
            return  # a later run may be able to look
    for par_id in ids:
        try:
            storage.delete_preauthenticated_request(target.namespace, target.bucket, par_id)
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                listener(Notice(how_to_end(target, par_id)))
    kept.remove()


def how_to_end(target: Target, par_id: str) -> str:
    """What to tell people of a PAR that could not be deleted."""
    return (
        "The pre-authenticated request of this upload is left. Delete it with: "
        f"ocihaul os preauth-request delete -ns {target.namespace} -bn {target.bucket} "
        f"--par-id '{par_id}'"
    )


def _others(access: Access, storage: StorageClient, target: Target) -> list[str]:
    """A creation whose reply was lost has made a PAR that nobody knows but by its name."""
    listed = storage.list_preauthenticated_requests(
        target.namespace, target.bucket, object_name_prefix=target.object
    )
    return [
        each.par_id
        for each in listed
        if access.name and each.name == access.name and each.par_id != access.par_id
    ]
