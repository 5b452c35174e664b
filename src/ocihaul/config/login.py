"""Where a new session goes and who lets it in: the config file, the region, the login page.

A login may be the first thing that ever happens on a machine: neither the config file nor the
profile need be there yet, so this asks fewer places than `resolve`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ocihaul import regions
from ocihaul.config.ini import path_exists, read_ini, with_inherited
from ocihaul.config.profile import ALLOW_PLAIN_HTTP, check_endpoint, text_of
from ocihaul.config.resolve import minting_environ, resolve
from ocihaul.config.settings import Flags, Found, Settings, whole_number
from ocihaul.config.sources import TRUE, Places, config_file_path, expand_home, load_rc
from ocihaul.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoginPage:
    """`region` is what the new section will say; `endpoint` the base URL of the page."""

    region: str
    endpoint: str
    notice: str | None = None


def login_config_file(
    flags: Flags, environ: Mapping[str, str], home: Path, *, given: str | None
) -> Path:
    """The config file that gets the new section: `given`, or the one that would be read."""
    return expand_home(given, home) if given else config_file_path(flags, environ, home)


def find_region(
    flags: Flags,
    environ: Mapping[str, str],
    home: Path,
    *,
    profile: str,
    config_file: Path,
    command: Sequence[str],
) -> Found | None:
    """The region of the new session: flag, environment, rc file, and what the profile had."""
    places = Places(environ, load_rc(flags, environ, home), profile, command)
    found = places.parameter("region", flags.region) or places.env("OCI_CLI_REGION")
    found = found or places.default("region")
    if found is None and path_exists(config_file):
        values = with_inherited(read_ini(config_file), profile)
        if region := values.get("region", "").strip():
            found = Found(region, f"{config_file}, section [{profile}]: region")
    return found or places.env("OCI_REGION")


def find_login_page(
    region: Found,
    *,
    given: str | None,
    dual_stack: bool,
    plain_http: bool = False,
    environ: Mapping[str, str],
    home: Path,
) -> LoginPage:
    """The login page of a region, or the one that `--login-endpoint` (`given`) names.

    Raises ConfigError when the region is unknown and no page is named, UsageError for a page over
    plain HTTP on another machine, unless `plain_http` (or the environment) allows it.
    """
    named = Found(given, "`login_endpoint`") if given else None
    variable = environ.get("OCIHAUL_LOGIN_ENDPOINT")
    if named is None and variable:
        named = Found(variable, "OCIHAUL_LOGIN_ENDPOINT")
    plain_http = plain_http or environ.get(ALLOW_PLAIN_HTTP, "").strip().lower() in TRUE
    endpoint = check_endpoint(named, plain_http=plain_http)
    try:
        resolved = regions.resolve_region(
            region.value,
            environ=environ,
            metadata_file=text_of(expand_home(regions.METADATA_FILE, home)),
            where=region.origin,
        )
    except ConfigError:
        if endpoint is None:
            raise
        return LoginPage(region.value, endpoint)  # a private realm, known by its page only
    if endpoint is not None:
        return LoginPage(resolved.name, endpoint)
    page = regions.login_endpoint(resolved, dual_stack=dual_stack)
    return LoginPage(resolved.name, page, resolved.notice)


def callback_port(given: int | None, environ: Mapping[str, str]) -> int | None:
    """The port that the login page leads back to; None where nobody session_options for one."""
    text = environ.get("OCIHAUL_CALLBACK_PORT", "")
    if given is not None or not text:
        return given
    return whole_number(Found(text, "OCIHAUL_CALLBACK_PORT"), 1, 65535, "a port")


def resolve_signer(
    flags: Flags, environ: Mapping[str, str], home: Path, *, command: Sequence[str]
) -> Settings:
    """The settings of who signs for a minted session.

    That is the API key of `--renew-with`, or, without it, whatever the profile in use signs with.
    `--endpoint` means the auth service here, as it does for the official command.
    """
    auth_endpoint = flags.auth_endpoint or flags.endpoint
    flags = replace(flags, auth_endpoint=auth_endpoint, endpoint=None)
    profile = flags.renew_with or environ.get("OCIHAUL_RENEW_WITH")
    environ = {name: value for name, value in environ.items() if name != "OCIHAUL_RENEW_WITH"}
    if profile:
        flags = replace(flags, profile=profile, auth="api_key", renew_with=None)
        environ = minting_environ(environ)
    return resolve(flags, environ, home, command=command)
