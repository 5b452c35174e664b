"""OCI sessions that do not die, and transfers that do not lose a byte.

The public names are imported when they are first used, so that `ocihaul --version` answers at
once:

* `Session`: the credential of a profile's session, kept alive; `Session.from_profile()`.
* `SessionStatus`: what a session says of itself.
* `upload`, `download`: one file to one object, in one call, and back.
* `upload_tree`, `download_tree`: a directory to a bucket, and back.
* `verify`: a file and an object against the receipt of their upload.
* `errors`, `events`: what is raised, and what a listener hears.

See docs/library.md.
"""

# Nothing is imported here: the command starts with this, and is deaf to Ctrl-C until it runs.
TYPE_CHECKING = False  # type checkers know better
if TYPE_CHECKING:
    from typing import Any

    from ocihaul import errors, events
    from ocihaul.library import (
        TreeResult,
        Verification,
        download,
        download_tree,
        upload,
        upload_tree,
        verify,
    )
    from ocihaul.session.credential import Credential
    from ocihaul.session.session import Session
    from ocihaul.session.status import SessionStatus
    from ocihaul.transfer.downloads.request import DownloadResult
    from ocihaul.transfer.uploads.request import Existing, UploadResult
    from ocihaul.trees.compare import Mode

__version__ = "0.1.0"

__all__ = [
    "Credential",
    "DownloadResult",
    "Existing",
    "Mode",
    "Session",
    "SessionStatus",
    "TreeResult",
    "UploadResult",
    "Verification",
    "__version__",
    "download",
    "download_tree",
    "errors",
    "events",
    "upload",
    "upload_tree",
    "verify",
]

#: Where each public name lives; None: it is a module of that name.
_HOMES: dict[str, str | None] = {
    "Credential": "ocihaul.session.credential",
    "DownloadResult": "ocihaul.transfer.downloads.request",
    "Existing": "ocihaul.transfer.uploads.request",
    "Mode": "ocihaul.trees.compare",
    "Session": "ocihaul.session.session",
    "SessionStatus": "ocihaul.session.status",
    "TreeResult": "ocihaul.library",
    "UploadResult": "ocihaul.transfer.uploads.request",
    "Verification": "ocihaul.library",
    "download": "ocihaul.library",
    "download_tree": "ocihaul.library",
    "errors": None,
    "events": None,
    "upload": "ocihaul.library",
    "upload_tree": "ocihaul.library",
    "verify": "ocihaul.library",
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
