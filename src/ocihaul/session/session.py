"""Hand out the current credential of a session and keep it alive; renewals are single-flight.

Request threads read the present credential without waiting. A background thread renews it at
half of its life and looks at the disk once a second, because others renew the same session. A 401
names the generation that was refused: if the session has moved on, nothing is renewed; if not,
exactly one thread runs the renewal chain while the rest wait for it, and a lock file makes that one
process.

The functions below the class make the parts of a session from settings (its files, its providers)
and open an API key.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from ocihaul.clock import ServerClock
from ocihaul.config import Flags, Settings, resolve
from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError
from ocihaul.events import CredentialRejected, Listener, Notice, ignore
from ocihaul.session.credential import ApiKey, Credential, CredentialProvider, SessionToken
from ocihaul.session.policy import MINT, REFRESH, Decision, Outcome, Provider, Refused
from ocihaul.session.providers import (
    STOP_GRACE,
    ApiKeyProvider,
    AuthService,
    DelayedStop,
    RefreshProvider,
)
from ocihaul.session.renewer import BackgroundRenewal, Renewer, TokenWaiter
from ocihaul.session.state import SessionState, SessionStatus
from ocihaul.session.store import CredentialStore, load_key, read_key_file
from ocihaul.threads import StopSign
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request
from ocihaul.transport.pool import exchange_once

#: How long `close` waits for a renewal in flight, seconds.
_CLOSE_TIMEOUT = 5.0


class Session:
    """Hands out the credential of one session and keeps it alive. Thread-safe.

    `providers` are asked in their order once reading the files again has not helped. `timeout` is
    how long, in seconds, a request waits for a renewal that keeps failing for passing reasons;
    `session_wait` how long it waits for a new login when no provider is left. `jitter` returns a
    number in 0..1.

    Use it as a context manager, or call `start` and `close`. Without `start` the session works, but
    renews only when it is asked for a credential.
    """

    #: The region of the profile, where the session was opened by one and it has one.
    region: str | None = None

    def __init__(
        self,
        store: CredentialStore,
        providers: Mapping[str, Provider],
        *,
        clock: ServerClock | None = None,
        listener: Listener = ignore,
        timeout: float = 600.0,
        session_wait: float = 0.0,
        stop: threading.Event | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Read token and key from the store. Raises CredentialError when they are unusable."""
        #: Shared by everything that this session consists of; `status` is its public side.
        self.state = SessionState(
            store,
            providers,
            clock=clock or ServerClock(listener=listener),
            listener=listener,
            stop=stop or threading.Event(),
            jitter=jitter,
        )
        self._renewer = Renewer(self.state, providers)
        self._background = BackgroundRenewal(self.state, self._renewer)
        self._waiter = TokenWaiter(
            self.state, self._renewer, timeout=timeout, session_wait=session_wait
        )

    @classmethod
    def from_profile(
        cls,
        profile: str | None = None,
        *,
        config_file: str | Path | None = None,
        region: str | None = None,
        auth_endpoint: str | None = None,
        allow_plain_http: bool = False,
        renew_with: str | None = None,
        session_wait: float = 0.0,
        listener: Listener = ignore,
        stop: threading.Event | None = None,
    ) -> Self:
        """Open the session of a profile in the config file.

            >>> import ocihaul
            >>> with ocihaul.Session.from_profile() as session:  # doctest: +SKIP
            ...     session.credential().generation
            1

        What is not given is found as the command line finds it: environment (OCI_CLI_PROFILE,
        OCI_CLI_CONFIG_FILE, OCI_CLI_REGION, OCIHAUL_AUTH_ENDPOINT, …), rc file, config file.
        `renew_with` names a profile whose API key mints new tokens when a refresh does not help.
        `allow_plain_http` allows an http:// address of another machine. `session_wait` is how long,
        in seconds, an expired session waits for a new login before it raises SessionExpiredError.
        `listener` receives every event, from any thread. `stop`, once set, releases every thread
        that waits.

        Raises ConfigError when a setting is missing, CredentialError when key or token are
        unusable, UsageError for an http:// address that is not allowed.
        """
        settings = find_settings(
            profile,
            config_file=config_file,
            region=region,
            auth_endpoint=auth_endpoint,
            allow_plain_http=allow_plain_http,
            renew_with=renew_with,
        )
        for text in settings.notices:
            listener(Notice(text))
        session = cls.from_settings(
            settings, listener=listener, stop=stop, session_wait=session_wait
        )
        session.region = settings.region
        return session

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        dialer: Dialer | None = None,
        clock: ServerClock | None = None,
        listener: Listener = ignore,
        stop: threading.Event | None = None,
        session_wait: float = 0.0,
    ) -> Self:
        """Open the session of a profile that has been resolved already; see `from_profile`."""
        clock = clock or ServerClock(listener=listener)
        stop = stop or threading.Event()
        return cls(
            store_for(settings),
            providers_for(settings, dialer or dialer_for(settings), clock, stop),
            clock=clock,
            listener=listener,
            stop=stop,
            session_wait=session_wait,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> Self:
        """Start the background renewal. Raises TooManyThreadsError when no thread can start."""
        self._background.start()
        return self

    def close(self) -> None:
        """Stop the background renewal; threads that wait for a credential get an error.

        A renewal in flight may finish, so that its token gets to disk: the service may have issued
        it, and ended the old one. Once `stop` is set, it has less time for that.
        """
        timeout = STOP_GRACE if self.state.stop.is_set() else _CLOSE_TIMEOUT
        deadline = time.monotonic() + timeout
        self.state.close(timeout)
        self._background.join(deadline)

    @property
    def token(self) -> SessionToken:
        """The present token, valid or not; never waits."""
        return self.state.current.token

    @property
    def renewal_error(self) -> str | None:
        """Why the present token will not be renewed any more; None as long as it may be."""
        return self.state.current.history.renewal_error

    def status(self) -> SessionStatus:
        """Return what the session knows of itself; never waits, nor reads the disk."""
        return self.state.status()

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """Return the credential to sign with now; waits only when the token has no life left.

        Once `cancel` is set, it waits no longer and returns the present one. Raises
        SessionExpiredError when only a login helps, RenewalUnavailable when the auth service stays
        out of reach.
        """
        self.state.reload_if_changed()
        current = self.state.current
        decision = self.state.decide(current)
        if decision is Decision.RENEW_SOON and not self._background.is_alive():
            self._renewer.renew(current.credential.generation)
        elif decision is Decision.RENEW_NOW or decision is Decision.EXPIRED:
            self._waiter.wait(cancel=cancel)
        return self.state.current.credential

    def ensure_valid(self) -> None:
        """Renew what is due, for a caller that hands the token on instead of signing with it.

        Unlike `credential` it does not offer an expired token for a last attempt. Raises as
        `credential` does.
        """
        self.credential()
        if not self.state.stop.is_set() and self.state.clock.now() >= self.token.expires_at:
            self._waiter.wait(may_try=False)

    def handle_unauthorized(
        self,
        credential: Credential,
        operation: str = "request",
        cancel: StopSign | None = None,
    ) -> bool:
        """Handle a 401; returns True when there is a credential to sign again with.

        Once `cancel` is set, it waits for none. Raises as `credential` does.
        """
        first = self.state.reject(credential)
        if first is None:
            return True
        if first:
            self.state.listener(CredentialRejected(credential.generation, operation))
        self.state.reload_if_changed(now=True)
        self._waiter.wait(cancel=cancel)
        return True


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
    service = _auth_service(
        settings.auth_endpoint,
        dialer or dialer_for(settings),
        clock or ServerClock(),
        stop or threading.Event(),
    )
    return ApiKeyProvider(service, signer or open_api_key(settings), minutes)


def refresh_for(
    settings: Settings, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> Provider:
    """Return the *refresh* provider at the auth service of the settings."""
    if settings.auth_endpoint is None:
        return _no_auth_endpoint
    return RefreshProvider(_auth_service(settings.auth_endpoint, dialer, clock, stop))


def _auth_service(
    endpoint: str, dialer: Dialer, clock: ServerClock, stop: threading.Event
) -> AuthService:
    delayed = DelayedStop(stop)

    def send(origin: Origin, request: Request, timeout: float) -> Answer:
        return exchange_once(dialer, origin, request, timeout=timeout, stop=delayed)

    return AuthService(Origin.parse(endpoint), send, clock)


_NO_AUTH_ENDPOINT = "no region is known, so the auth service's address is not either"


def _no_auth_endpoint(credential: Credential, timeout: float) -> Outcome:  # noqa: ARG001  a provider
    return Refused(f"{_NO_AUTH_ENDPOINT} (give `region` or `auth_endpoint`)")


_T = TypeVar("_T")


def _given(value: _T | None, key: str) -> _T:
    if value is None:
        raise ConfigError(f"the profile has no {key}")
    return value
