"""Make the parts of a session from settings: its files, its providers; and an API key."""

import os
import threading
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from ocihaul.clock import ServerClock
from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import ConfigError
from ocihaul.hosts import Origin
from ocihaul.session.credential import ApiKey, Credential, CredentialProvider
from ocihaul.session.keys import load_key, read_key_file
from ocihaul.session.providers import (
    ApiKeyProvider,
    AuthService,
    DelayedStop,
    RefreshProvider,
    Send,
)
from ocihaul.session.renewal_chain import MINT, REFRESH, Outcome, Provider, Refused
from ocihaul.session.store import CredentialStore
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.pool import exchange_once

_T = TypeVar("_T")


def dialer_for(settings: Settings) -> Dialer:
    """Return a dialer with the timeouts, certificates and proxy of the settings."""
    return Dialer(
        connect_timeout=settings.connection_timeout,
        ca_file=settings.cert_bundle,
        proxy=settings.proxy,
        plain_http=settings.plain_http,
    )


def store_for(settings: Settings) -> CredentialStore:
    """Return the store of the profile's session. Raises ConfigError when it has none."""
    return CredentialStore(
        _given(settings.token_file, "security_token_file"),
        settings.key_file,
        key_pem=settings.key_content.encode() if settings.key_content else None,
        passphrase=settings.passphrase,
        profile=settings.profile,
    )


def providers_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> dict[str, Provider]:
    """Return the providers in their order: *refresh*, and *mint* if the settings name its profile.

    Raises CredentialError or ConfigError when that profile cannot mint.
    """
    providers: dict[str, Provider] = {REFRESH: refresh_for(settings, dialer, clock, stop)}
    if settings.minting is not None:
        providers[MINT] = open_api_key_provider(
            settings.minting,
            minutes=settings.session_options.minutes,
            dialer=dialer,
            clock=clock,
            stop=stop,
        )
    return providers


def find_settings(
    profile: str | None,
    *,
    config_file: str | Path | None,
    region: str | None,
    auth_endpoint: str | None,
    renew_with: str | None,
    allow_plain_http: bool = False,
) -> Settings:
    """Return the settings of a session's profile, found as the command line finds them."""
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
    """Return the user's home. A container's user may have none; then every path must be given."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("~")


def open_api_key(settings: Settings) -> ApiKey:
    """Return the API key of a profile. Raises CredentialError or ConfigError."""
    return ApiKey(
        _open_key(settings),
        tenancy=_given(settings.tenancy, "tenancy"),
        user=_given(settings.user, "user"),
        fingerprint=_given(settings.fingerprint, "fingerprint"),
    )


def public_key_of(settings: Settings) -> RSAPublicKey:
    """Return the public half of a profile's key. Raises CredentialError or ConfigError."""
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


def open_api_key_provider(
    settings: Settings,
    *,
    signer: CredentialProvider | None = None,
    minutes: int | None = None,
    dialer: Dialer | None = None,
    clock: ServerClock | None = None,
    stop: threading.Event | None = None,
) -> ApiKeyProvider:
    """Return the *mint* provider of the API-key profile of `settings` (or of another `signer`).

    Raises CredentialError or ConfigError when the profile cannot.
    """
    if settings.auth_endpoint is None:
        raise ConfigError(
            f"profile {settings.profile!r}: {_NO_AUTH_ENDPOINT}",
            hint="Give `region` or `auth_endpoint`.",
        )
    send = _sender(dialer or dialer_for(settings), stop or threading.Event())
    service = AuthService(settings.auth_endpoint, send, clock or ServerClock())
    return ApiKeyProvider(service, signer or open_api_key(settings), minutes)


def refresh_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> Provider:
    """Return the *refresh* provider at the auth service of the settings."""
    if settings.auth_endpoint is None:
        return _no_auth_endpoint
    return RefreshProvider(settings.auth_endpoint, _sender(dialer, stop), clock)


def _sender(dialer: Dialer, stop: threading.Event) -> Send:
    delayed = DelayedStop(stop)

    def send(origin: Origin, request: Request, timeout: float) -> Answer:
        return exchange_once(dialer, origin, request, timeout=timeout, stop=delayed)

    return send


_NO_AUTH_ENDPOINT = "no region is known, so the auth service's address is not either"


def _no_auth_endpoint(credential: Credential, timeout: float) -> Outcome:  # noqa: ARG001  a provider
    return Refused(f"{_NO_AUTH_ENDPOINT} (give `region` or `auth_endpoint`)")


def _given(value: _T | None, key: str) -> _T:
    if value is None:
        raise ConfigError(f"the profile has no {key}")
    return value
