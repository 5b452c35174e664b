"""Who speaks: the way to authenticate, the key, the token file, the names of an API key.

Files are looked for here, and their permissions looked at; they are opened in `session/`.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from ocihaul.config.settings import Flags
from ocihaul.config.sources import TRUE, Places, Section, existing_file, from_file, login_command
from ocihaul.config.units import Found
from ocihaul.errors import ConfigError, UsageError

#: These sign with a signer of the official SDK: the extra ocihaul[sdk]. They need no profile.
SDK_AUTH = (
    "instance_principal",
    "resource_principal",
    "instance_obo_user",
    "oke_workload_identity",
)
SUPPORTED_AUTH = ("security_token", "api_key", *SDK_AUTH)

_OCID = re.compile(r"([0-9a-zA-Z_-]+[.:])([0-9a-zA-Z_-]*[.:]){3,}[0-9a-zA-Z_-]+")
_FINGERPRINT = re.compile(r"([0-9a-fA-F]{2}:){15}[0-9a-fA-F]{2}")


def is_sdk_auth(flags: Flags, places: Places) -> bool:
    """Whether a way to authenticate was asked for that the SDK brings."""
    found = _asked_for(flags, places)
    return found is not None and found.value in SDK_AUTH


def _asked_for(flags: Flags, places: Places) -> Found | None:
    return (
        places.parameter("auth", flags.auth) or places.env("OCI_CLI_AUTH") or places.default("auth")
    )


def choose_auth(flags: Flags, places: Places, section: Section) -> tuple[str, tuple[str, ...]]:
    found = _asked_for(flags, places)
    if found:
        if found.value not in SUPPORTED_AUTH:
            raise UsageError(
                f"{found.origin}: authentication by {found.value!r} is not supported",
                hint=f"Supported are: {', '.join(SUPPORTED_AUTH)}",
            )
        return found.value, ()
    token_profile = "security_token_file" in section.own and "user" not in section.own
    token_env = section.path is None and places.env("OCI_CLI_SECURITY_TOKEN_FILE")
    if token_profile or token_env:
        return "security_token", (
            f"{section.where()} has a session token and `auth` is not given: using security_token",
        )
    return "api_key", ()


def find_token_file(places: Places, section: Section, home: Path) -> Path:
    found = places.env("OCI_CLI_SECURITY_TOKEN_FILE") or from_file(section, "security_token_file")
    if found is None:
        raise ConfigError(
            f"{section.where()}: there is no security_token_file, which "
            "`auth='security_token'` needs",
            hint=f"Log in with: {login_command(section.name)}; or choose another `profile`.",
        )
    return existing_file(found, "the session token", home, cure=login_command(section.name))


def find_key(places: Places, section: Section, home: Path) -> tuple[Path | None, str | None]:
    if content := places.env("OCI_CLI_KEY_CONTENT"):
        return None, content.value
    found = places.env("OCI_CLI_KEY_FILE") or from_file(section, "key_file")
    if found is None:
        raise ConfigError(
            f"{section.where()}: there is no key_file",
            hint=f"Name the private key there, in OCI_CLI_KEY_FILE or in OCI_CLI_KEY_CONTENT; "
            f"or log in with: {login_command(section.name)}",
        )
    return existing_file(found, "the private key", home, cure=login_command(section.name)), None


def find_delegation_token(places: Places, section: Section, home: Path) -> Path:
    """The file with the token by which an instance acts for a user. Raises ConfigError."""
    found = places.env("OCI_CLI_DELEGATION_TOKEN_FILE") or from_file(
        section, "delegation_token_file"
    )
    if found is None:
        raise ConfigError(
            f"{section.where()}: there is no delegation_token_file, which "
            "`auth='instance_obo_user'` needs",
            hint="Name it there or in OCI_CLI_DELEGATION_TOKEN_FILE.",
        )
    return existing_file(found, "the delegation token", home, cure="your cloud shell")


def find_identity(places: Places, section: Section, auth: str) -> dict[str, str | None]:
    found = {
        key: places.env(f"OCI_CLI_{key.upper()}") or from_file(section, key)
        for key in ("tenancy", "user", "fingerprint")
    }
    values = {key: item.value if item else None for key, item in found.items()}
    if auth != "api_key":
        return values
    missing = [key for key, item in found.items() if item is None]
    if missing:
        token = section.values.get("security_token_file")
        raise ConfigError(
            f"{section.where()}: {', '.join(missing)} missing, which `auth='api_key'` needs",
            hint="It has a session token: say `auth='security_token'`."
            if token
            else "See https://docs.oracle.com/iaas/Content/API/Concepts/sdkconfig.htm",
        )
    for key, item in found.items():
        pattern = _FINGERPRINT if key == "fingerprint" else _OCID
        if item and not pattern.fullmatch(item.value):
            form = "16 pairs of hex digits" if key == "fingerprint" else "an OCID"
            raise ConfigError(
                f"{item.origin}: {item.value!r} is not {form}",
                hint="Copy it from the console: your profile, API keys, configuration file.",
            )
    return values


def permission_notices(paths: Sequence[Path | None], environ: Mapping[str, str]) -> tuple[str, ...]:
    suppressed = environ.get("OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING", "")
    if os.name != "posix" or suppressed.strip().lower() in TRUE:
        return ()
    notices = []
    for path in paths:
        if path is None:
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o177:
            notices.append(f"{path} is open to others (mode {mode:o}); run: chmod 600 {path}")
    return tuple(notices)
