"""From settings to what a session is made of: its files, its rungs; and to an API key."""

import os
import threading
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from ocihaul.clock import ServerClock
from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import ConfigError
from ocihaul.session.credential import ApiKey, Authority, Credential
from ocihaul.session.keys import load_key, read_key_file
from ocihaul.session.ladder import MINT, REFRESH, Outcome, Refused, Rung
from ocihaul.session.late_stop import LateStop
from ocihaul.session.minting import Minter
from ocihaul.session.renewal import AuthService, Refresher, Send
from ocihaul.session.store import CredentialStore
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.origin import Origin
from ocihaul.transport.pool import exchange_once

_T = TypeVar("_T")


def dialer_for(settings: Settings) -> Dialer:
    """Opens connections with the timeouts, certificates and proxy of the settings."""
    return Dialer(
        connect_timeout=settings.connection_timeout,
        ca_file=settings.cert_bundle,
        proxy=settings.proxy,
        plain_http=settings.plain_http,
    )


def store_for(settings: Settings) -> CredentialStore:
    """The files of the profile's session. Raises ConfigError when it has none."""
    return CredentialStore(
        _given(settings.token_file, "security_token_file"),
        settings.key_file,
        key_pem=settings.key_content.encode() if settings.key_content else None,
        passphrase=settings.passphrase,
        profile=settings.profile,
    )


def rungs_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> dict[str, Rung]:
    """The rungs in their order: *refresh*, and *mint* where the settings name a profile for it.

    Raises CredentialError or ConfigError when that profile cannot mint.
    """
    rungs: dict[str, Rung] = {REFRESH: refresh_for(settings, dialer, clock, stop)}
    if settings.minting is not None:
        rungs[MINT] = open_minter(
            settings.minting,
            minutes=settings.wishes.minutes,
            dialer=dialer,
            clock=clock,
            stop=stop,
        )
    return rungs


def find_settings(
    profile: str | None,
    *,
    config_file: str | Path | None,
    region: str | None,
    auth_endpoint: str | None,
    renew_with: str | None,
    allow_plain_http: bool = False,
) -> Settings:
    """The settings of a session's profile, found as the command line finds them."""
    flags = Flags(
        config_file=None if config_file is None else os.fspath(config_file),
        profile=profile,
        auth="security_token",
        region=region,
        auth_endpoint=auth_endpoint,
        renew_with=renew_with,
        allow_plain_http=allow_plain_http,
    )
    return resolve(flags, os.environ, home_directory(), needs_region=False)


def home_directory() -> Path:
    """The user's home; a container's user may have none, and then every path must be given."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("~")


def open_api_key(settings: Settings) -> ApiKey:
    """The API key of a profile. Raises CredentialError or ConfigError."""
    return ApiKey(
        _open_key(settings),
        tenancy=_given(settings.tenancy, "tenancy"),
        user=_given(settings.user, "user"),
        fingerprint=_given(settings.fingerprint, "fingerprint"),
    )


def public_key_of(settings: Settings) -> RSAPublicKey:
    """The public half of a profile's key. Raises CredentialError or ConfigError."""
    return _open_key(settings).public_key()


def _open_key(settings: Settings) -> RSAPrivateKey:
    if settings.key_content:
        return load_key(
            settings.key_content.encode(),
            where="OCI_CLI_KEY_CONTENT",
            passphrase=settings.passphrase,
        )
    path = _given(settings.key_file, "key_file")
    return read_key_file(path, passphrase=settings.passphrase)


def open_minter(
    settings: Settings,
    *,
    signer: Authority | None = None,
    minutes: int | None = None,
    dialer: Dialer | None = None,
    clock: ServerClock | None = None,
    stop: threading.Event | None = None,
) -> Minter:
    """The *mint* rung that the API-key profile of `settings` can serve (or another `signer`).

    Raises CredentialError or ConfigError when the profile cannot.
    """
    if settings.auth_endpoint is None:
        raise ConfigError(
            f"profile {settings.profile!r}: {_NO_AUTH_ENDPOINT}",
            hint="Give --region or --auth-endpoint.",
        )
    send = _sender(dialer or dialer_for(settings), stop or threading.Event())
    service = AuthService(settings.auth_endpoint, send, clock or ServerClock())
    return Minter(service, signer or open_api_key(settings), minutes)


def refresh_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> Rung:
    """The *refresh* rung at the auth service of the settings."""
    if settings.auth_endpoint is None:
        return _no_auth_endpoint
    return Refresher(settings.auth_endpoint, _sender(dialer, stop), clock)


def _sender(dialer: Dialer, stop: threading.Event) -> Send:
    late = LateStop(stop)

    def send(origin: Origin, request: Request, timeout: float) -> Answer:
        return exchange_once(dialer, origin, request, timeout=timeout, stop=late)

    return send


_NO_AUTH_ENDPOINT = "no region is known, so the auth service's address is not either"


def _no_auth_endpoint(credential: Credential, timeout: float) -> Outcome:  # noqa: ARG001  a rung
    return Refused(f"{_NO_AUTH_ENDPOINT} (give --region or --auth-endpoint)")


def _given(value: _T | None, key: str) -> _T:
    if value is None:
        raise ConfigError(f"the profile has no {key}")
    return value
