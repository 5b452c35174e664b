"""The packages of the extras: which extra brings them, and what to say when one is missing."""

from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from ocihaul.errors import UsageError

SDK = "sdk"
OCI_CLI = "oci-cli"
EMULATOR = "emulator"
DASK = "dask"
NOTIFY = "notify"

_MODULES = {
    SDK: "oci",
    OCI_CLI: "oci_cli",
    EMULATOR: "jwt",
    DASK: "distributed",
    NOTIFY: "apprise",
}
_PACKAGES = {
    SDK: ["oci"],
    OCI_CLI: ["oci-cli"],
    EMULATOR: ["PyJWT", "trustme"],
    DASK: ["distributed"],
    NOTIFY: ["apprise"],
}


def is_there(extra: str) -> bool:
    """Whether the package that `extra` brings can be imported; imports nothing."""
    return find_spec(_MODULES[extra]) is not None


def require(extra: str, *, by: str) -> None:
    """Raise UsageError with the command that installs `extra`, unless it is there."""
    if not is_there(extra):
        raise UsageError(
            f"{by} needs the package {_MODULES[extra]!r}, which is not installed",
            hint=f"Install it with: {installing(extra)}",
        )


def installing(extra: str) -> str:
    """The command that installs what `extra` brings, in a version that was tested.

    It names the packages themselves, as ocihaul may have come from anywhere.
    """
    try:
        wanted = requires("ocihaul") or []
    except PackageNotFoundError:
        wanted = []
    mark = f'extra == "{extra}"'
    found = [each.partition(";")[0].strip() for each in wanted if mark in each.replace("'", '"')]
    return "pip install " + " ".join(f"'{each}'" for each in found or _PACKAGES[extra])


def versions() -> str:
    """The versions of the official packages, for an error."""
    return ", ".join(f"{name} {_version(name)}" for name in ("oci-cli", "oci"))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
