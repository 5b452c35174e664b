"""A session: the credential of the moment, renewed once however many wait for it.

Request threads read the present credential without waiting. A background thread renews it at
half of its life and looks at the disk once a second, because others renew the same session. A 401
reports back by generation: if the session has moved on, nothing is renewed; if not, exactly one
thread climbs the ladder while the rest wait for it, and a lock file makes that one process.
"""

import contextlib
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.config.login_command import login_command
from ocihaul.errors import RenewalUnavailable, SessionOver
from ocihaul.events import (
    CredentialRejected,
    Listener,
    Notice,
    Parked,
    TokenAdopted,
    Unparked,
    ignore,
)
from ocihaul.redaction import redact
from ocihaul.session import policy
from ocihaul.session.climbing import Climber
from ocihaul.session.credential import Credential
from ocihaul.session.holding import LOOK_EVERY, Holding, State
from ocihaul.session.ladder import Rung, refusal
from ocihaul.session.late_stop import GRACE
from ocihaul.session.moments import moment
from ocihaul.session.opening import dialer_for, find_settings, rungs_for, store_for
from ocihaul.session.policy import Verdict
from ocihaul.session.status import SessionStatus
from ocihaul.session.store import CredentialStore
from ocihaul.session.token import SessionToken
from ocihaul.threads import start_as_many
from ocihaul.wire.dial import Dialer
from ocihaul.wire.message import StopSign

#: How often a request that waits for another's renewal looks whether it has to stop, seconds.
_GLANCE = 0.25
#: How long a session that seems over is watched for somebody else's rescue, seconds.
_GRACE = 2.0
#: How long an orderly end waits for a renewal in flight, seconds.
_CLOSE_PATIENCE = 5.0
#: A parked session says so this often, seconds.
_SAY_EVERY = 60.0


class Session:
    """Hands out the credential of one session and keeps it alive. Thread-safe.

    `rungs` are asked in their order once rereading the files has not helped. `patience` is how
    long, in seconds, a request waits for a renewal that keeps failing for passing reasons;
    `session_wait` how long it parks when no rung is left, until a new login appears.

    Use it as a context manager, or call `start` and `close`; without `start` the session still
    works, but renews only when it is asked for a credential.
    """

    def __init__(
        self,
        store: CredentialStore,
        rungs: Mapping[str, Rung],
        *,
        clock: ServerClock | None = None,
        listener: Listener = ignore,
        patience: float = 600.0,
        session_wait: float = 0.0,
        stop: threading.Event | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Read the pair from the store. Raises CredentialError when it is unusable."""
        self._profile = store.profile
        self._clock = clock or ServerClock(listener=listener)
        self._listener = listener
        self._patience = max(patience, session_wait)
        self._session_wait = session_wait
        self._stop = stop or threading.Event()
        self._renewing = False
        self._closed = False
        self._said: set[str] = set()
        self._parked_until: float | None = None
        self._parked_said_at = 0.0
        self._thread: threading.Thread | None = None
        self._held = Holding(
            store,
            clock=self._clock,
            chance=chance,
            refused=lambda spent: refusal(rungs, spent),
            adopted=self._adopted,
        )
        self._climber = Climber(
            store,
            rungs,
            self._held,
            clock=self._clock,
            listener=listener,
            notice=self._notice,
            stopped=lambda: self._closed or self._stop.is_set(),
            chance=chance,
        )
        # The holding's lock guards _renewing, _closed and _parked_* too: who waits for one of
        # them waits for a new state as well.
        self._changed = self._held.changed
        _after_forks(self)
        self._announce("start")

    #: The region of the profile, where it was opened by one and has one.
    region: str | None = None

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
        """The session of a profile in the config file, for a program.

            >>> import ocihaul
            >>> with ocihaul.Session.from_profile() as session:  # doctest: +SKIP
            ...     session.credential().generation
            1

        What is not given is found as the command line finds it: environment (OCI_CLI_PROFILE,
        OCI_CLI_CONFIG_FILE, OCI_CLI_REGION, OCIHAUL_AUTH_ENDPOINT, …), rc file, config file.
        `renew_with` names a profile whose API key mints new tokens when a refresh does not help.
        `allow_plain_http`: an http:// address of another machine is no error.
        `session_wait` is how long, in seconds, a session that is over waits for a new login
        before SessionOver is raised. `listener` hears every event, from any thread. `stop`, once
        set, releases everyone who waits.

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
        """The session of a profile that has been resolved already; see `from_profile`.

        Raises CredentialError when key or token are unusable, ConfigError when there are none.
        """
        clock = clock or ServerClock(listener=listener)
        stop = stop or threading.Event()
        return cls(
            store_for(settings),
            rungs_for(settings, dialer or dialer_for(settings), clock, stop),
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
        if not self._is_kept():
            thread = threading.Thread(target=self._keep, name="ocihaul-session", daemon=True)
            (self._thread,) = start_as_many([thread])
        return self

    def close(self) -> None:
        """Stop the background renewal; waiting requests are released with an error.

        A renewal in flight is waited for, so that its token gets to disk: the service may have
        issued it, and killed the old one. Shortly, where somebody has asked us to stop.
        """
        deadline = time.monotonic() + (GRACE if self._stop.is_set() else _CLOSE_PATIENCE)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: not self._renewing, timeout=max(deadline - time.monotonic(), 0.0)
            )
        if self._thread is not None:
            self._thread.join(timeout=max(deadline - time.monotonic(), 0.0))

    @property
    def token(self) -> SessionToken:
        """The present token, be it still good or not; never waits."""
        return self._held.state.token

    @property
    def refusal(self) -> str | None:
        """Why the present token will not be renewed any more; None as long as it may be."""
        return self._held.state.history.refused

    def status(self) -> SessionStatus:
        """What this session knows of itself, as one value; never waits, nor looks at the disk."""
        with self._changed:
            state, parked_until = self._held.state, self._parked_until
        return SessionStatus.of(state, now=self._clock.now(), parked_until=parked_until)

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """The credential to sign with now; waits only when the token has no life left.

        Once `cancel` is set, it waits no longer and returns the one there is. Raises SessionOver
        when nothing but a login helps, RenewalUnavailable when the auth service stays out of reach.
        """
        self._held.look_at_disk()
        state = self._held.state
        verdict = self._held.verdict(state)
        if verdict is Verdict.RENEW_SOON and not self._is_kept():
            self._renew(state.credential.generation)
        elif verdict in {Verdict.RENEW_NOW, Verdict.OVER}:
            self._wait_for_usable(cancel=cancel)
        return self._held.state.credential

    def ready(self) -> None:
        """Renew what is due, for a caller who hands the token on instead of signing with it.

        Unlike `credential` it does not offer a token that looks dead for one last try. Raises as
        `credential` does.
        """
        self.credential()
        if not self._stop.is_set() and self._clock.now() >= self.token.expires_at:
            self._wait_for_usable(may_try=False)

    def rejected(
        self,
        credential: Credential,
        operation: str = "request",
        cancel: StopSign | None = None,
    ) -> bool:
        """Report a 401; returns True when there is a credential to sign again with.

        Once `cancel` is set, it waits for none. Raises as `credential` does.
        """
        first = self._held.reject(credential)
        if first is None:
            return True
        if first:
            self._listener(CredentialRejected(credential.generation, operation))
        self._held.look_at_disk(now=True)
        self._wait_for_usable(cancel=cancel)
        return True

    # Deciding

    def _wait_for_usable(self, *, may_try: bool = True, cancel: StopSign | None = None) -> None:
        """Return when the present token may be signed with; raise when that will not be.

        `may_try`: a token that seems to be over may be tried once more. Returns as well when
        the session or this call is told to stop.
        """
        started = self._clock.monotonic()
        over_since: float | None = None
        while not (self._stop.is_set() or (cancel is not None and cancel.is_set())):
            self._held.look_at_disk()
            state = self._held.state
            verdict = self._held.verdict(state)
            if not may_try and self._clock.now() >= state.token.expires_at:
                verdict = Verdict.OVER
            waited = self._clock.monotonic() - started
            if verdict in {Verdict.KEEP, Verdict.RENEW_SOON}:
                return
            if verdict is Verdict.OVER:
                over_since = waited if over_since is None else over_since
                if waited - over_since < _GRACE and not state.history.last_try:
                    self._sleep(0.1)
                elif not (may_try and self._held.grant_last_try(state)):
                    self._park(state, waited - over_since)
            elif state.history.failures and self._held.is_usable(state):
                return  # renewal is failing, but the token still stands: use what is left of it
            elif self._closed or waited > self._patience:
                raise RenewalUnavailable(
                    f"the token could not be renewed for {waited:.0f} s",
                    hint="Run the same command again when the auth service can be reached.",
                )
            else:
                self._renew_when_due(state)

    def _park(self, state: State, over_for: float) -> None:
        """Wait a moment for a person's login, and say so; raise when that was long enough."""
        if self._closed or over_for >= self._session_wait:
            raise self._over(state)
        now = self._clock.monotonic()
        with self._changed:
            until = self._parked_until or self._clock.now() + self._session_wait - over_for
            say = self._parked_until is None or now - self._parked_said_at >= _SAY_EVERY
            self._parked_until = until
            self._parked_said_at = now if say else self._parked_said_at
        if say:
            over = self._over(state)
            self._listener(Parked(over.message, until, over.hint))
        self._sleep(LOOK_EVERY)

    def _renew_when_due(self, state: State) -> None:
        pause = policy.retry_in(self._clock.now(), state.history)
        if pause > 0:
            self._sleep(min(pause, LOOK_EVERY))
        else:
            self._renew(state.credential.generation)

    def _over(self, state: State) -> SessionOver:
        history, token = state.history, state.token
        end = self._end(token.expires_at)
        what = f"the token {end}"
        if history.rejected:
            what = f"the service no longer accepts the token, which {end}"
        if token.session_ends_at is not None:
            what += f" (its login {self._end(token.session_ends_at)})"
        why = (history.refused or "").rstrip(".")
        return SessionOver(
            f"the session is over: {what}; it cannot be renewed: {why}",
            hint=f"Log in again with: {login_command(self._profile)}",
        )

    def _end(self, at: float) -> str:
        return f"{'ended' if at <= self._clock.now() else 'ends'} at {moment(at)}"

    # The background

    def _is_kept(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _keep(self) -> None:
        while not (self._closed or self._stop.is_set()):
            nap = LOOK_EVERY
            try:
                self._keep_once()
                nap = self._nap(self._held.state)
            except Exception as error:  # noqa: BLE001  one bad round must not end the renewal
                what = redact(f"{type(error).__name__}: {error}")
                with contextlib.suppress(Exception):  # the listener may be what raises
                    self._notice(f"The background renewal met an error and goes on: {what}")
            self._sleep(nap)

    def _keep_once(self) -> None:
        self._held.look_at_disk()
        state = self._held.state
        if self._held.verdict(state) in {Verdict.RENEW_SOON, Verdict.RENEW_NOW}:
            self._renew_when_due(state)

    def _nap(self, state: State) -> float:
        """Seconds until the next look; few, as a suspended machine wakes to another time."""
        if state.history.refused is not None:
            return LOOK_EVERY
        now = self._clock.now()
        due = policy.due_at(state.token, state.history) - now
        return min(max(due, policy.retry_in(now, state.history), 0.02), LOOK_EVERY)

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            if not self._closed:
                self._changed.wait(seconds)

    # Renewing

    def _renew(self, generation: int) -> None:
        """Climb the ladder for this generation, or wait for the thread that does."""
        with self._changed:
            state = self._held.state  # the one to renew: what is held later may be fresh
            if state.credential.generation != generation or self._closed:
                return
            if self._renewing:
                self._changed.wait(_GLANCE)
                return
            self._renewing = True
        try:
            self._climber.climb(state)
        finally:
            with self._changed:
                self._renewing = False
                self._changed.notify_all()

    def leave_threads_behind(self) -> None:
        """Called in a forked child: threads, and what they were at, are its parent's business."""
        self._changed = self._held.changed = threading.Condition()
        self._renewing, self._thread = False, None

    # Telling

    def _adopted(self, rung: str) -> None:
        with self._changed:
            parked, self._parked_until = self._parked_until, None
        self._announce(rung)
        if parked is not None:
            self._listener(Unparked())

    def _announce(self, rung: str) -> None:
        token = self._held.state.token
        generation = self._held.state.credential.generation
        self._listener(TokenAdopted(rung, generation, token.expires_at, token.session_ends_at))

    def _notice(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._listener(Notice(text))


def _after_forks(session: Session) -> None:
    # A registration cannot be taken back: it must not keep the session alive.
    known = weakref.ref(session)

    def leave_threads_behind() -> None:
        here = known()
        if here is not None:
            here.leave_threads_behind()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=leave_threads_behind)
