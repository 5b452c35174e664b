"""OCI sessions that do not die, and transfers that do not lose a byte.

The public names are imported when they are first used, so that `ocihaul --version` answers at
once:

* `Client`: a profile's session, connections and journal; what moves bytes. `Client.from_profile()`.
* `Session`: the credential of a profile's session, kept alive; `Session.from_profile()`.
* `SessionStatus`: what a session says of itself.
* `upload`, `download`, `upload_directory`, `download_directory`, `verify`: `Client`'s calls, by a
  client of their own.
* `options`: what a transfer can be asked, by name and type.
* `errors`, `events`: what is raised, and what a listener hears.

See docs/library.md.
"""

# Nothing is imported here: the command starts with this, and is deaf to Ctrl-C until it runs.
TYPE_CHECKING = False  # type checkers know better
if TYPE_CHECKING:
    import threading
    from pathlib import Path
    from typing import Any, BinaryIO, Unpack

    from ocihaul import errors, events, options
    from ocihaul.client import Client
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.run import DirectoryResult
    from ocihaul.events import Listener
    from ocihaul.options import (
        DirectoryDownloadOptions,
        DirectoryUploadOptions,
        DownloadOptions,
        ProfileOptions,
        UploadOptions,
    )
    from ocihaul.session.credential import Credential
    from ocihaul.session.session import Session
    from ocihaul.session.state import SessionStatus
    from ocihaul.storage.values import SseCustomerKey
    from ocihaul.transfer.download.request import DownloadResult
    from ocihaul.transfer.receipt_check import Verification
    from ocihaul.transfer.upload.request import IfExists, Stream, UploadResult

    class UploadCall(UploadOptions, ProfileOptions, total=False):
        """What `upload` takes: the options of the upload and of the client."""

    class DownloadCall(DownloadOptions, ProfileOptions, total=False):
        """What `download` takes."""

    class DirectoryUploadCall(DirectoryUploadOptions, ProfileOptions, total=False):
        """What `upload_directory` takes."""

    class DirectoryDownloadCall(DirectoryDownloadOptions, ProfileOptions, total=False):
        """What `download_directory` takes."""


__version__ = "0.1.0"

__all__ = [
    "Client",
    "Credential",
    "DirectoryResult",
    "DownloadResult",
    "IfExists",
    "Session",
    "SessionStatus",
    "SyncMode",
    "UploadResult",
    "Verification",
    "__version__",
    "download",
    "download_directory",
    "errors",
    "events",
    "options",
    "upload",
    "upload_directory",
    "verify",
]

#: Where each public name lives; None: it is a module of that name.
_HOMES: dict[str, str | None] = {
    "Client": "ocihaul.client",
    "Credential": "ocihaul.session.credential",
    "DirectoryResult": "ocihaul.directories.run",
    "DownloadResult": "ocihaul.transfer.download.request",
    "IfExists": "ocihaul.transfer.upload.request",
    "SyncMode": "ocihaul.directories.compare",
    "Session": "ocihaul.session.session",
    "SessionStatus": "ocihaul.session.state",
    "UploadResult": "ocihaul.transfer.upload.request",
    "Verification": "ocihaul.transfer.receipt_check",
    "errors": None,
    "events": None,
    "options": None,
}


if not TYPE_CHECKING:  # for a type checker a misspelt name has to stay an error

    def __getattr__(name: str) -> "Any":
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module 'ocihaul' has no attribute {name!r}")
        home = _HOMES[name]
        value = (
            import_module(f"ocihaul.{name}") if home is None else getattr(import_module(home), name)
        )
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def upload(
    source: "str | Path | Stream",
    bucket: str,
    name: str | None = None,
    *,
    namespace: str | None = None,
    listener: "Listener | None" = None,
    cancel: "threading.Event | None" = None,
    **options: "Unpack[UploadCall]",
) -> "UploadResult":
    """Upload one file or stream: `Client.upload`, by a client of its own.

        >>> import ocihaul
        >>> ocihaul.upload("backup.tar", "backups").size  # doctest: +SKIP
        1048576

    `options` are those of `Client.upload` and, to find the profile, of `Client.from_profile`.
    For more than one call, keep a client: its session, connections and journal stay.
    """
    from ocihaul.client import client_for

    client, given = client_for(options, listener)
    with client:
        return client.upload(source, bucket, name, namespace=namespace, cancel=cancel, **given)


def download(
    bucket: str,
    name: str,
    target: "str | Path | BinaryIO",
    *,
    namespace: str | None = None,
    listener: "Listener | None" = None,
    cancel: "threading.Event | None" = None,
    **options: "Unpack[DownloadCall]",
) -> "DownloadResult":
    """Download one object: `Client.download`, by a client of its own; see `upload`."""
    from ocihaul.client import client_for

    client, given = client_for(options, listener)
    with client:
        return client.download(bucket, name, target, namespace=namespace, cancel=cancel, **given)


def upload_directory(
    directory: "str | Path",
    bucket: str,
    *,
    prefix: str = "",
    namespace: str | None = None,
    listener: "Listener | None" = None,
    cancel: "threading.Event | None" = None,
    **options: "Unpack[DirectoryUploadCall]",
) -> "DirectoryResult":
    """Upload a directory: `Client.upload_directory`, by a client of its own; see `upload`."""
    from ocihaul.client import client_for

    client, given = client_for(options, listener)
    with client:
        return client.upload_directory(
            directory, bucket, prefix=prefix, namespace=namespace, cancel=cancel, **given
        )


def download_directory(
    bucket: str,
    directory: "str | Path",
    *,
    prefix: str = "",
    namespace: str | None = None,
    listener: "Listener | None" = None,
    cancel: "threading.Event | None" = None,
    **options: "Unpack[DirectoryDownloadCall]",
) -> "DirectoryResult":
    """Download a directory: `Client.download_directory`, by a client of its own; see `upload`."""
    from ocihaul.client import client_for

    client, given = client_for(options, listener)
    with client:
        return client.download_directory(
            bucket, directory, prefix=prefix, namespace=namespace, cancel=cancel, **given
        )


def verify(
    receipt: "str | Path",
    *,
    file: "str | Path | None" = None,
    stored: bool = True,
    sse_customer_key: "SseCustomerKey | None" = None,
    listener: "Listener | None" = None,
    cancel: "threading.Event | None" = None,
    **options: "Unpack[ProfileOptions]",
) -> "Verification":
    """Compare a file and an object with a receipt: `Client.verify`, by a client of its own.

    Without `stored` neither a profile nor a service is needed.
    """
    from ocihaul.client import client_for, verify_file
    from ocihaul.options import ProfileOptions, checked

    checked(options, ProfileOptions)
    if not stored:
        return verify_file(receipt, file, cancel)
    client, _ = client_for(options, listener)
    with client:
        return client.verify(
            receipt, file=file, stored=stored, sse_customer_key=sse_customer_key, cancel=cancel
        )
