"""`Client`'s calls for those who make one of them: each opens a client and closes it."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from ocihaul.client import Client
from ocihaul.events import Listener, ignore
from ocihaul.options import (
    DirectoryDownloadOptions,
    DirectoryUploadOptions,
    DownloadOptions,
    ProfileOptions,
    UploadOptions,
    checked,
)
from ocihaul.storage.values import SseCustomerKey

if TYPE_CHECKING:
    from ocihaul.directories.run import DirectoryResult
    from ocihaul.transfer.download.request import DownloadResult
    from ocihaul.transfer.receipt_check import Verification
    from ocihaul.transfer.upload.incomplete import IncompleteUpload
    from ocihaul.transfer.upload.request import Stream, UploadResult


class UploadCall(UploadOptions, ProfileOptions, total=False):
    """What `upload` takes: the options of the upload and of the client."""


class DownloadCall(DownloadOptions, ProfileOptions, total=False):
    """What `download` takes."""


class DirectoryUploadCall(DirectoryUploadOptions, ProfileOptions, total=False):
    """What `upload_directory` takes."""


class DirectoryDownloadCall(DirectoryDownloadOptions, ProfileOptions, total=False):
    """What `download_directory` takes."""


def upload(
    source: "str | Path | Stream",
    bucket: str,
    name: str | None = None,
    *,
    namespace: str | None = None,
    listener: Listener = ignore,
    cancel: threading.Event | None = None,
    **options: Unpack[UploadCall],
) -> "UploadResult":
    """Upload one file or stream: `Client.upload`, by a client of its own.

        >>> import ocihaul
        >>> ocihaul.upload("backup.tar", "backups").size  # doctest: +SKIP
        1048576

    `options` are those of `Client.upload` and, to find the profile, of `Client.from_profile`.
    For more than one call, keep a client: its session, connections and journal stay.
    """
    client, given = _client(options, listener)
    with client:
        return client.upload(source, bucket, name, namespace=namespace, cancel=cancel, **given)


def download(
    bucket: str,
    name: str,
    target: str | Path | BinaryIO,
    *,
    namespace: str | None = None,
    listener: Listener = ignore,
    cancel: threading.Event | None = None,
    **options: Unpack[DownloadCall],
) -> "DownloadResult":
    """Download one object: `Client.download`, by a client of its own; see `upload`."""
    client, given = _client(options, listener)
    with client:
        return client.download(bucket, name, target, namespace=namespace, cancel=cancel, **given)


def upload_directory(
    directory: str | Path,
    bucket: str,
    *,
    prefix: str = "",
    namespace: str | None = None,
    listener: Listener = ignore,
    cancel: threading.Event | None = None,
    **options: Unpack[DirectoryUploadCall],
) -> "DirectoryResult":
    """Upload a directory: `Client.upload_directory`, by a client of its own; see `upload`."""
    client, given = _client(options, listener)
    with client:
        return client.upload_directory(
            directory, bucket, prefix=prefix, namespace=namespace, cancel=cancel, **given
        )


def download_directory(
    bucket: str,
    directory: str | Path,
    *,
    prefix: str = "",
    namespace: str | None = None,
    listener: Listener = ignore,
    cancel: threading.Event | None = None,
    **options: Unpack[DirectoryDownloadCall],
) -> "DirectoryResult":
    """Download a directory: `Client.download_directory`, by a client of its own; see `upload`."""
    client, given = _client(options, listener)
    with client:
        return client.download_directory(
            bucket, directory, prefix=prefix, namespace=namespace, cancel=cancel, **given
        )


def verify(
    receipt: str | Path,
    *,
    file: str | Path | None = None,
    stored: bool = True,
    sse_customer_key: SseCustomerKey | None = None,
    listener: Listener = ignore,
    cancel: threading.Event | None = None,
    **options: Unpack[ProfileOptions],
) -> "Verification":
    """Compare a file and an object with a receipt: `Client.verify`, by a client of its own.

    Without `stored` neither a profile nor a service is needed.
    """
    checked(options, ProfileOptions)
    if not stored:
        from ocihaul.transfer.receipt_check import verify_here  # noqa: PLC0415

        return verify_here(Path(receipt), file, stop=cancel or threading.Event())
    client, _ = _client(options, listener)
    with client:
        return client.verify(
            receipt, file=file, stored=stored, sse_customer_key=sse_customer_key, cancel=cancel
        )


def find_incomplete_uploads_here() -> "list[IncompleteUpload]":
    """The uploads of the journal that were not finished, the oldest first; nothing is asked.

    Raises JournalError. `Client.find_incomplete_uploads` has the service's, too.
    """
    from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
    from ocihaul.transfer.upload.incomplete import list_in_journal  # noqa: PLC0415

    with Journal(state_directory()) as journal:
        return list_in_journal(journal)


def forget_incomplete_upload(upload: "IncompleteUpload", *, listener: Listener = ignore) -> None:
    """Drop one from the journal alone; `listener` hears of a pre-authenticated request it has.

    Raises JournalError, and TransferInProgressError when a process on this machine is at it.
    """
    from ocihaul.transfer.journal.journal import Journal, state_directory  # noqa: PLC0415
    from ocihaul.transfer.upload.incomplete import forget  # noqa: PLC0415

    with Journal(state_directory()) as journal:
        forget(upload, journal, listener)


def _client(options: Any, listener: Listener) -> tuple[Client, Any]:
    """A client by those of the options that are about it, and the rest."""
    about = {name: options[name] for name in options if name in ProfileOptions.__annotations__}
    rest = {name: options[name] for name in options if name not in about}
    return Client.from_profile(**about, listener=listener), rest
