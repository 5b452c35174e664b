"""What a profile's settings say: who speaks (`auth`, keys, token), and where to, how patiently.

Files are looked for here, and their permissions looked at; they are opened in `session/`.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ocihaul.config.ini import path_exists
from ocihaul.config.settings import Flags, Found
from ocihaul.config.sources import (
    TRUE,
    Places,
    Section,
    existing_file,
    expand_home,
    from_file,
    login_command,
)
from ocihaul.documents import DocumentError, read_text
from ocihaul.endpoints import (
    METADATA_FILE,
    Region,
    host_of,
    is_exposed,
    refused,
    resolve_region,
    split_url,
)
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


CONNECTION_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
ALLOW_PLAIN_HTTP = "OCIHAUL_ALLOW_PLAIN_HTTP"
#: Timeouts are at most this, seconds: a day.
LONGEST_TIMEOUT = 86400.0
#: Attempts are at most so many.
MOST_ATTEMPTS = 1_000_000


#: Of an algorithm: what Linux takes (TCP_CA_NAME_MAX).
_CONGESTION_CONTROL = re.compile(r"[a-z0-9_-]{1,15}")


class ResolvedRegion(NamedTuple):
    region: Region | None
    notices: tuple[str, ...]


def congestion_control(flags: Flags, places: Places) -> str:
    """ "auto", "system" or the name of an algorithm. Raises UsageError for what is no name."""
    found = (
        places.parameter("congestion_control", flags.congestion_control)
        or places.env("OCIHAUL_CONGESTION_CONTROL")
        or places.default("congestion-control")
    )
    if found is None:
        return "auto"
    if not _CONGESTION_CONTROL.fullmatch(found.value):
        raise UsageError(
            f"{found.origin}: {found.value!r} is no congestion control",
            hint="It is auto, system, or a name such as bbr or cubic.",
        )
    return found.value


def find_region(
    found: Found | None,
    *,
    endpoint: str | None,
    auth: str,
    auth_endpoint: str | None,
    places: Places,
    home: Path,
    needed: bool = True,
) -> ResolvedRegion:
    """The region, as far as anything still depends on it.

    With `--endpoint` no region is needed to reach the service, so an unknown one is no error: it
    only takes away the address where the session could be refreshed. The same goes for commands
    that do not speak to Object Storage (not `needed`). The signers of the SDK know the region that
    they run in.
    """
    needed = needed and endpoint is None
    if found is None and auth in SDK_AUTH:
        return ResolvedRegion(None, ())
    if found is None:
        if needed:
            raise ConfigError(
                "no region is given: not by `region`, OCI_CLI_REGION, nor in the profile "
                f"{places.profile!r}",
                hint="Say `region='us-ashburn-1'` (or yours), or `endpoint` with a full URL.",
            )
        return ResolvedRegion(None, _no_refresh("no region", auth, auth_endpoint))
    try:
        region = resolve_region(
            found.value,
            environ=places.environ,
            metadata_file=text_of(expand_home(METADATA_FILE, home)),
            where=found.origin,
        )
    except ConfigError as error:
        if needed:
            raise
        return ResolvedRegion(None, _no_refresh(error.message, auth, auth_endpoint))
    unaddressed = needed or (auth == "security_token" and auth_endpoint is None)
    return ResolvedRegion(region, (region.notice,) if region.notice and unaddressed else ())


def _no_refresh(reason: str, auth: str, auth_endpoint: str | None) -> tuple[str, ...]:
    if auth != "security_token" or auth_endpoint:
        return ()
    cure = "give `region`, or `auth_endpoint` or OCIHAUL_AUTH_ENDPOINT"
    return (f"{reason}: the session cannot be refreshed ({cure})",)


def allows_plain_http(flags: Flags, places: Places) -> bool:
    return places.is_on(flags.allow_plain_http, ALLOW_PLAIN_HTTP, "allow-plain-http")


def check_endpoint(found: Found | None, *, plain_http: bool) -> str | None:
    """The base URL; ConfigError where it is none, UsageError for http that is not allowed."""
    if found is None:
        return None
    url = found.value.strip().rstrip("/")
    try:
        parts = split_url(url)
        usable = parts.scheme in {"http", "https"} and bool(host_of(parts))
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        raise ConfigError(
            f"{found.origin} is not the base URL of a service",
            hint="It has the form https://host or https://host:port, with nothing behind it.",
        )
    if not plain_http and is_exposed(parts.scheme, parts.hostname or ""):
        raise refused(f"{found.origin}: {url}")
    return url


def find_cert_bundle(flags: Flags, places: Places, home: Path) -> Path | None:
    found = (
        places.parameter("cert_bundle", flags.cert_bundle)
        or places.env("OCI_CLI_CERT_BUNDLE")
        or places.default("cert-bundle", "cert_bundle")
        or places.env("REQUESTS_CA_BUNDLE")
        or places.env("CURL_CA_BUNDLE")
    )
    if found is None:
        return None
    path = expand_home(found.value, home)
    if not path_exists(path):
        raise ConfigError(
            f"{found.origin} names {path}, where certificates should be: there is no such file",
            hint="Name a PEM file with the certificates to trust.",
        )
    return path


def find_proxy(found: Found | None) -> str | None:
    if found is None:
        return None
    return found.value if "://" in found.value else f"http://{found.value}"


def seconds(name: str, value: float | None, default: float) -> float:
    if value is not None and not 0 <= value <= LONGEST_TIMEOUT:
        raise UsageError(
            f"`{name}`: {value} (a number of seconds from 0 to {LONGEST_TIMEOUT:.0f})",
            hint=f"0 stands for the usual {default:.0f} seconds.",
        )
    return value or default


def attempts(flags: Flags, places: Places) -> int | None:
    if flags.max_retries is not None:
        if flags.no_retry:
            raise UsageError("`max_retries` and `no_retry` exclude each other", hint="Give one.")
        if not 0 <= flags.max_retries <= MOST_ATTEMPTS:
            raise UsageError(
                f"`max_retries`: {flags.max_retries} (a number from 0 to {MOST_ATTEMPTS})",
                hint="For one attempt: `no_retry`",
            )
        return max(1, flags.max_retries)
    return 1 if places.is_on(flags.no_retry, "", "no-retry", "no_retry") else None


def text_of(path: Path) -> str | None:
    try:
        return read_text(path)
    except (OSError, DocumentError):  # as if it were not there: it is only asked if needed
        return None
