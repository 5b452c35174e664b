"""From settings to a storage client: who signs, over which connections, to which endpoint."""

import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.errors import ConfigError
from ocihaul.events import Listener
from ocihaul.http.client import Client
from ocihaul.http.retry import RetryPolicy
from ocihaul.session.credential import ApiKey, Authority, Credential
from ocihaul.session.keys import load_key, read_key_file
from ocihaul.session.renewal import Outcome, Refresh, Refresher, Refused
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore
from ocihaul.storage.client import PROBE, StorageClient
from ocihaul.wire.connection import Patience
from ocihaul.wire.dial import Dialer
from ocihaul.wire.message import Answer, Request
from ocihaul.wire.origin import Origin
from ocihaul.wire.pool import Pool, exchange_once

_T = TypeVar("_T")


@contextlib.contextmanager
def open_storage(
    settings: Settings, listener: Listener, stop: threading.Event
) -> Iterator[StorageClient]:
    """A storage client on a live session, for as long as the context lasts.

    Raises CredentialError when key or token are unusable, ConfigError.
    """
    clock = ServerClock(listener=listener)
    dialer = Dialer(
        connect_timeout=settings.connection_timeout,
        ca_file=settings.cert_bundle,
        proxy=settings.proxy,
    )
    with contextlib.ExitStack() as stack:
        patience = Patience(read=settings.read_timeout)
        pool = stack.enter_context(Pool(dialer, patience=patience, stop=stop))
        authority: Authority
        if settings.auth == "api_key":
            authority = _api_key(settings)
        else:
            session = _session(settings, dialer, clock, listener, stop)
            authority = stack.enter_context(session)
        client = Client(
            pool,
            authority,
            clock,
            retry=RetryPolicy(max_attempts=settings.max_attempts),
            listener=listener,
            stop=stop,
            probe=PROBE,
        )
        yield StorageClient(client, settings.object_storage_endpoint)


def _api_key(settings: Settings) -> ApiKey:
    key = (
        load_key(
            settings.key_content.encode(),
            where="OCI_CLI_KEY_CONTENT",
            passphrase=settings.passphrase,
        )
        if settings.key_content
        else read_key_file(_given(settings.key_file, "key_file"), passphrase=settings.passphrase)
    )
    return ApiKey(
        key,
        tenancy=_given(settings.tenancy, "tenancy"),
        user=_given(settings.user, "user"),
        fingerprint=_given(settings.fingerprint, "fingerprint"),
    )


def _session(
    settings: Settings,
    dialer: Dialer,
    clock: ServerClock,
    listener: Listener,
    stop: threading.Event,
) -> Session:
    store = CredentialStore(
        _given(settings.token_file, "security_token_file"),
        settings.key_file,
        key_pem=settings.key_content.encode() if settings.key_content else None,
        passphrase=settings.passphrase,
    )

    def send(origin: Origin, request: Request, timeout: float) -> Answer:
        return exchange_once(dialer, origin, request, timeout=timeout, stop=stop)

    refresh: Refresh
    if settings.auth_endpoint is None:
        refresh = _no_auth_endpoint
    else:
        refresh = Refresher(settings.auth_endpoint, send, clock)
    return Session(store, refresh, clock=clock, listener=listener, stop=stop)


def _no_auth_endpoint(credential: Credential, timeout: float) -> Outcome:  # noqa: ARG001  a rung
    return Refused(
        "no region is known, so the auth service's address is not either "
        "(give --region or --auth-endpoint)"
    )


def _given(value: _T | None, key: str) -> _T:
    if value is None:
        raise ConfigError(f"the profile has no {key}")
    return value
