"""The official packages: which extra brings them, and what to say when one is missing."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ocihaul.errors import UsageError

SDK = "sdk"
OCI_CLI = "oci-cli"

_MODULES = {SDK: "oci", OCI_CLI: "oci_cli"}


def is_there(extra: str) -> bool:
    """Whether the package that `extra` brings can be imported; imports nothing."""
    return find_spec(_MODULES[extra]) is not None


def require(extra: str, *, by: str) -> None:
    """Raise UsageError with the command that installs `extra`, unless it is there."""
    if not is_there(extra):
        raise UsageError(
            f"{by} needs the official package {_MODULES[extra]!r}, which is not installed",
            hint=f"Install it with: pip install 'ocihaul[{extra}]'",
        )


def versions() -> str:
    """The versions of the official packages, for an error."""
    return ", ".join(f"{name} {_version(name)}" for name in ("oci-cli", "oci"))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
