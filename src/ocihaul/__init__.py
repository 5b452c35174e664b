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
    from typing import Any

    from ocihaul import errors, events, options
    from ocihaul.client import Client
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.run import DirectoryResult
    from ocihaul.functions import download, download_directory, upload, upload_directory, verify
    from ocihaul.session.credential import Credential
    from ocihaul.session.session import Session
    from ocihaul.session.state import SessionStatus
    from ocihaul.transfer.download.request import DownloadResult
    from ocihaul.transfer.receipt_check import Verification
    from ocihaul.transfer.upload.request import IfExists, UploadResult

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
    "download": "ocihaul.functions",
    "download_directory": "ocihaul.functions",
    "errors": None,
    "events": None,
    "options": None,
    "upload": "ocihaul.functions",
    "upload_directory": "ocihaul.functions",
    "verify": "ocihaul.functions",
}


if not TYPE_CHECKING:  # for a type checker a misspelt name has to stay an error

    def __getattr__(name: str) -> "Any":
        from importlib import import_module  # noqa: PLC0415

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
