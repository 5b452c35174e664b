"""Every setting, settled: the one function that asks all places in the right order.

What a person wants of the session (who renews it, how long to wait for a login) is read here, too,
and where a new session goes and who lets it in: the config file, the region, the login page. A
login may be the first thing that ever happens on a machine: neither the config file nor the profile
need be there yet, so it asks fewer places than `resolve`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ocihaul.config.ini import path_exists, read_ini, with_inherited
from ocihaul.config.profile import (
    ALLOW_PLAIN_HTTP,
    CONNECTION_TIMEOUT,
    READ_TIMEOUT,
    allows_plain_http,
    attempts,
    check_endpoint,
    choose_auth,
    congestion_control,
    find_cert_bundle,
    find_delegation_token,
    find_identity,
    find_key,
    find_proxy,
    find_region,
    find_token_file,
    is_sdk_auth,
    permission_notices,
    seconds,
    text_of,
)
from ocihaul.config.settings import (
    Bandwidth,
    Flags,
    Found,
    SessionOptions,
    Settings,
    duration,
    parse_bandwidth,
    size,
    whole_number,
)
from ocihaul.config.sources import (
    TRUE,
    Places,
    config_file_path,
    expand_home,
    find_rc_file,
    from_file,
    load_rc,
    profile_name,
    read_section,
)
from ocihaul.endpoints import METADATA_FILE, auth_endpoint, login_endpoint, resolve_region
from ocihaul.errors import ConfigError, UsageError

#: How long an expired session waits for a new login, unless told otherwise, seconds.
SESSION_WAIT = 12 * 3600.0
#: No session is asked for that lives longer than a year. The service grants what it likes.
MOST_MINUTES = 365 * 24 * 60

#: These speak of the profile in use, and would turn the one that mints into it.
_OF_THE_PROFILE = frozenset(
    f"OCI_CLI_{name}"
    for name in (
        "AUTH",
        "FINGERPRINT",
        "KEY_CONTENT",
        "KEY_FILE",
        "PASSPHRASE",
        "PROFILE",
        "SECURITY_TOKEN_FILE",
        "TENANCY",
        "USER",
    )
)


def find_session_options(flags: Flags, places: Places) -> SessionOptions:
    """The options as flags, OCIHAUL_* variables or the rc file give them. Raises UsageError."""

    def found(name: str, value: object) -> Found | None:
        variable = "OCIHAUL_" + name.upper().replace("-", "_")
        text = None if value is None else str(value)
        given = places.parameter(name.replace("-", "_"), text)
        return given or places.env(variable) or places.default(name)

    wait = found("session-wait", flags.session_wait)
    minutes = found("session-expiration-in-minutes", flags.session_expiration_in_minutes)
    rate = found("expected-rate", flags.expected_rate)
    on_park = found("on-park", flags.on_park)
    login = found("login", flags.login)
    renew_with = found("renew-with", flags.renew_with)
    return SessionOptions(
        renew_with=renew_with.value if renew_with else None,
        minutes=whole_number(minutes, 1, MOST_MINUTES, "a number of minutes") if minutes else None,
        session_wait=duration(wait) if wait else SESSION_WAIT,
        on_park=on_park.value if on_park else None,
        login=_is_auto(login) if login else False,
        require_session=places.is_on(
            flags.require_session, "OCIHAUL_REQUIRE_SESSION", "require-session"
        ),
        expected_rate=_rate(rate) if rate else None,
    )


def minting_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for the profile that mints: without what speaks of the one in use."""
    return {name: value for name, value in environ.items() if name not in _OF_THE_PROFILE}


def _is_auto(found: Found) -> bool:
    if found.value not in {"auto", "never"}:
        raise UsageError(
            f"{found.origin}: {found.value!r} is not a way to log in",
            hint="It is auto (at a terminal, when the session has expired) or never.",
        )
    return found.value == "auto"


def _rate(found: Found) -> float:
    rate = size(found)
    if rate < 1:
        raise UsageError(
            f"{found.origin}: {found.value!r} (bytes per second, at least 1)",
            hint="Write it as 500k or 50M.",
        )
    return rate


def resolve(
    flags: Flags,
    environ: Mapping[str, str],
    home: Path,
    *,
    command: Sequence[str] = (),
    needs_region: bool = True,
) -> Settings:
    """Settle every setting, for the command named by `command` (such as os, object, put).

    Without `needs_region` a session whose region is unknown is settled all the same: it can be
    looked at, though not refreshed.

    Raises ConfigError (it names file, section and key) and UsageError (flags that exclude each
    other, ways to authenticate that are not supported).
    """
    rc = load_rc(flags, environ, home)
    places = Places(environ, rc, profile_name(flags, environ, rc), command)
    region = (
        places.parameter("region", flags.region)
        or places.env("OCI_CLI_REGION")
        or places.default("region")
    )
    by_sdk = is_sdk_auth(flags, places)
    section = read_section(flags, places, home, region_known=region is not None, optional=by_sdk)
    region = region or from_file(section, "region") or places.env("OCI_REGION")
    auth, notices = choose_auth(flags, places, section)
    token_file = find_token_file(places, section, home) if auth == "security_token" else None
    key_file, key_content = (None, None) if by_sdk else find_key(places, section, home)
    delegation = (
        find_delegation_token(places, section, home) if auth == "instance_obo_user" else None
    )
    who = find_identity(places, section, auth)
    plain_http = allows_plain_http(flags, places)
    endpoint = check_endpoint(
        places.parameter("endpoint", flags.endpoint)
        or places.env("OCI_CLI_ENDPOINT")
        or places.default("endpoint"),
        plain_http=plain_http,
    )
    given_endpoint = check_endpoint(
        places.parameter("auth_endpoint", flags.auth_endpoint)
        or places.env("OCIHAUL_AUTH_ENDPOINT")
        or places.default("auth-endpoint"),
        plain_http=plain_http,
    )
    resolved = find_region(
        region,
        endpoint=endpoint,
        auth=auth,
        auth_endpoint=given_endpoint,
        places=places,
        home=home,
        needed=needs_region,
    )
    passphrase = places.env("OCI_CLI_PASSPHRASE") or from_file(section, "pass_phrase")
    _, rc_notice = find_rc_file(flags.cli_rc_file, environ=environ, home=home)
    notices += (rc_notice,) if rc_notice else ()
    notices += resolved.notices
    notices += permission_notices((section.path, key_file, token_file, delegation), environ)
    session_options = find_session_options(flags, places)
    return Settings(
        profile=places.profile,
        config_file=section.path,
        auth=auth,
        region=resolved.region.name if resolved.region else None,
        tenancy=who["tenancy"],
        user=who["user"],
        fingerprint=who["fingerprint"],
        key_file=key_file,
        key_content=key_content,
        passphrase=passphrase.value if passphrase else None,
        token_file=token_file,
        delegation_token_file=delegation,
        endpoint=endpoint,
        auth_endpoint=given_endpoint
        or (auth_endpoint(resolved.region) if resolved.region else None),
        cert_bundle=find_cert_bundle(flags, places, home),
        connection_timeout=seconds(
            "connection_timeout", flags.connection_timeout, CONNECTION_TIMEOUT
        ),
        read_timeout=seconds("read_timeout", flags.read_timeout, READ_TIMEOUT),
        max_attempts=attempts(flags, places),
        proxy=find_proxy(places.parameter("proxy", flags.proxy) or places.setting("proxy")),
        notices=notices,
        resolved_region=resolved.region,
        realm_specific=places.is_on(
            flags.realm_specific_endpoint,
            "OCI_REALM_SPECIFIC_SERVICE_ENDPOINT_TEMPLATE_ENABLED",
            "realm-specific-endpoint",
        ),
        dual_stack=places.is_on(
            flags.enable_dual_stack, "OCI_DUAL_STACK_ENDPOINT_ENABLED", "enable-dual-stack"
        ),
        plain_http=plain_http,
        session_options=session_options,
        bandwidth=_bandwidth(flags, places),
        request_id=_request_id(flags.request_id),
        congestion_control=congestion_control(flags, places),
        minting=_minting(session_options, flags, environ, home, needs_region=needs_region),
    )


def _request_id(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable() and len(text) <= 512):
        raise UsageError(
            f"`request_id` {text!a} cannot be sent", hint="It has up to 512 ASCII characters."
        )
    return text or None


def _bandwidth(flags: Flags, places: Places) -> Bandwidth | None:
    found = (
        places.parameter("bandwidth", flags.bandwidth)
        or places.env("OCIHAUL_BANDWIDTH")
        or places.default("bandwidth")
    )
    return parse_bandwidth(found) if found else None


def _minting(
    session_options: SessionOptions,
    flags: Flags,
    environ: Mapping[str, str],
    home: Path,
    *,
    needs_region: bool,
) -> Settings | None:
    """The API-key profile that mints, from the same files and for the same endpoints."""
    if session_options.renew_with is None:
        return None
    own = replace(flags, profile=session_options.renew_with, auth="api_key", renew_with=None)
    quiet = {
        name: value
        for name, value in minting_environ(environ).items()
        if not name.startswith("OCIHAUL_RENEW")
    }
    return resolve(own, quiet, home, needs_region=needs_region)


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


def login_region(
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
        resolved = resolve_region(
            region.value,
            environ=environ,
            metadata_file=text_of(expand_home(METADATA_FILE, home)),
            where=region.origin,
        )
    except ConfigError:
        if endpoint is None:
            raise
        return LoginPage(region.value, endpoint)  # a private realm, known by its page only
    if endpoint is not None:
        return LoginPage(resolved.name, endpoint)
    page = login_endpoint(resolved, dual_stack=dual_stack)
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
    flags = replace(flags, auth_endpoint=flags.auth_endpoint or flags.endpoint, endpoint=None)
    profile = flags.renew_with or environ.get("OCIHAUL_RENEW_WITH")
    environ = {name: value for name, value in environ.items() if name != "OCIHAUL_RENEW_WITH"}
    if profile:
        flags = replace(flags, profile=profile, auth="api_key", renew_with=None)
        environ = minting_environ(environ)
    return resolve(flags, environ, home, command=command)
