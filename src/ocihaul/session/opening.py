"""From settings to something that signs: a live session, or an API key."""

import threading
from typing import TypeVar

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.errors import ConfigError
from ocihaul.events import Listener, ignore
from ocihaul.session.credential import ApiKey, Credential
from ocihaul.session.keys import load_key, read_key_file
from ocihaul.session.renewal import Outcome, Refresh, Refresher, Refused
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore
from ocihaul.wire.dial import Dialer
from ocihaul.wire.message import Answer, Request
from ocihaul.wire.origin import Origin
from ocihaul.wire.pool import exchange_once

_T = TypeVar("_T")


def dialer_for(settings: Settings) -> Dialer:
    """Opens connections with the timeouts, certificates and proxy of the settings."""
    return Dialer(
        connect_timeout=settings.connection_timeout,
        ca_file=settings.cert_bundle,
        proxy=settings.proxy,
    )


def store_for(settings: Settings) -> CredentialStore:
    """The files of the profile's session. Raises ConfigError when it has none."""
    return CredentialStore(
        _given(settings.token_file, "security_token_file"),
        settings.key_file,
        key_pem=settings.key_content.encode() if settings.key_content else None,
        passphrase=settings.passphrase,
    )


def open_session(
    settings: Settings,
    *,
    dialer: Dialer | None = None,
    clock: ServerClock | None = None,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
) -> Session:
    """The session of a profile, not yet started: use it as a context manager.

    Raises CredentialError when key or token are unusable, ConfigError when the profile has none.
    """
    clock = clock or ServerClock(listener=listener)
    stop = stop or threading.Event()
    return Session(
        store_for(settings),
        refresh_for(settings, dialer or dialer_for(settings), clock, stop),
        clock=clock,
        listener=listener,
        stop=stop,
    )


def open_api_key(settings: Settings) -> ApiKey:
    """The API key of a profile. Raises CredentialError or ConfigError."""
    if settings.key_content:
        key = load_key(
            settings.key_content.encode(),
            where="OCI_CLI_KEY_CONTENT",
            passphrase=settings.passphrase,
        )
    else:
        path = _given(settings.key_file, "key_file")
        key = read_key_file(path, passphrase=settings.passphrase)
    return ApiKey(
        key,
        tenancy=_given(settings.tenancy, "tenancy"),
        user=_given(settings.user, "user"),
        fingerprint=_given(settings.fingerprint, "fingerprint"),
    )


def refresh_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> Refresh:
    """The refresh rung at the auth service of the settings."""
    if settings.auth_endpoint is None:
        return _no_auth_endpoint

    def send(origin: Origin, request: Request, timeout: float) -> Answer:
        return exchange_once(dialer, origin, request, timeout=timeout, stop=stop)

    return Refresher(settings.auth_endpoint, send, clock)


def _no_auth_endpoint(credential: Credential, timeout: float) -> Outcome:  # noqa: ARG001  a rung
    return Refused(
        "no region is known, so the auth service's address is not either "
        "(give --region or --auth-endpoint)"
    )


def _given(value: _T | None, key: str) -> _T:
    if value is None:
        raise ConfigError(f"the profile has no {key}")
    return value
