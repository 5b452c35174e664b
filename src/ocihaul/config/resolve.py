"""Every setting, settled: the one function that asks all places in the right order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ocihaul import regions
from ocihaul.config import identity, network
from ocihaul.config.session_options import find_session_options, minting_environ
from ocihaul.config.settings import Flags, SessionOptions, Settings
from ocihaul.config.sources import (
    Places,
    find_rc_file,
    from_file,
    load_rc,
    profile_name,
    read_section,
)
from ocihaul.config.units import Bandwidth, parse_bandwidth
from ocihaul.errors import UsageError


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
    by_sdk = identity.is_sdk_auth(flags, places)
    section = read_section(flags, places, home, region_known=region is not None, optional=by_sdk)
    region = region or from_file(section, "region") or places.env("OCI_REGION")
    auth, notices = identity.choose_auth(flags, places, section)
    token_file = (
        identity.find_token_file(places, section, home) if auth == "security_token" else None
    )
    key_file, key_content = (None, None) if by_sdk else identity.find_key(places, section, home)
    delegation = (
        identity.find_delegation_token(places, section, home)
        if auth == "instance_obo_user"
        else None
    )
    who = identity.find_identity(places, section, auth)
    plain_http = network.allows_plain_http(flags, places)
    endpoint = network.check_endpoint(
        places.parameter("endpoint", flags.endpoint)
        or places.env("OCI_CLI_ENDPOINT")
        or places.default("endpoint"),
        plain_http=plain_http,
    )
    auth_endpoint = network.check_endpoint(
        places.parameter("auth_endpoint", flags.auth_endpoint)
        or places.env("OCIHAUL_AUTH_ENDPOINT")
        or places.default("auth-endpoint"),
        plain_http=plain_http,
    )
    resolved = network.find_region(
        region,
        endpoint=endpoint,
        auth=auth,
        auth_endpoint=auth_endpoint,
        places=places,
        home=home,
        needed=needs_region,
    )
    passphrase = places.env("OCI_CLI_PASSPHRASE") or from_file(section, "pass_phrase")
    _, rc_notice = find_rc_file(flags.cli_rc_file, environ=environ, home=home)
    notices += (rc_notice,) if rc_notice else ()
    notices += resolved.notices
    notices += identity.permission_notices(
        (section.path, key_file, token_file, delegation), environ
    )
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
        auth_endpoint=auth_endpoint
        or (regions.auth_endpoint(resolved.region) if resolved.region else None),
        cert_bundle=network.find_cert_bundle(flags, places, home),
        connection_timeout=network.seconds(
            "connection_timeout", flags.connection_timeout, network.CONNECTION_TIMEOUT
        ),
        read_timeout=network.seconds("read_timeout", flags.read_timeout, network.READ_TIMEOUT),
        max_attempts=network.attempts(flags, places),
        proxy=network.find_proxy(places.parameter("proxy", flags.proxy) or places.setting("proxy")),
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
        congestion_control=network.congestion_control(flags, places),
        minting=_minting(session_options, flags, environ, home, needs_region=needs_region),
    )


def _request_id(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable() and len(text) <= 512):
        raise UsageError(
            f"--request-id {text!a} cannot be sent", hint="It has up to 512 ASCII characters."
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
