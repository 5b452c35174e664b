"""Hand out the current credential of a session and keep it alive; renewals are single-flight.

Request threads read the present credential without waiting. A background thread renews it at
half of its life and looks at the disk once a second, because others renew the same session. A 401
names the generation that was refused: if the session has moved on, nothing is renewed; if not,
exactly one thread runs the renewal chain while the rest wait for it, and a lock file makes that one
process.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.events import CredentialRejected, Listener, Notice, ignore
from ocihaul.session.credential import Credential
from ocihaul.session.factory import dialer_for, find_settings, providers_for, store_for
from ocihaul.session.policy import Decision
from ocihaul.session.providers import STOP_GRACE
from ocihaul.session.renewal_chain import Provider
from ocihaul.session.renewer import BackgroundRenewal, Renewer
from ocihaul.session.state import SessionState, SessionStatus
from ocihaul.session.store import CredentialStore
from ocihaul.session.token import SessionToken
from ocihaul.session.waiting import TokenWaiter
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import StopSign

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
        elif decision in {Decision.RENEW_NOW, Decision.EXPIRED}:
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
