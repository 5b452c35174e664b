"""What a session knows, in one place: the token, who renews it, who waits, and the files on disk.

`SessionState` owns the one condition of a session. Everything that several threads change is in it;
when to renew is decided in `policy`, renewing is the work of `renewer`.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ocihaul.clock import ServerClock
from ocihaul.errors import CredentialError
from ocihaul.events import Listener, Notice, SessionResumed, TokenChanged
from ocihaul.session import policy
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import Decision, History
from ocihaul.session.store import CredentialStore, TokenAndKey

#: The source of a token that another process, or a login, has written.
FILE = "file"
#: Seconds between two looks at the files; also the longest nap of whatever waits.
LOOK_EVERY = 1.0
#: How often a request that waits for another thread's renewal checks for a stop, seconds.
_STOP_POLL_INTERVAL = 0.25
#: A pause that no thread has asked for in so many seconds is over: each asks once in `LOOK_EVERY`.
_PAUSE_GAP = 5.0


@dataclass(frozen=True, slots=True)
class TokenState:
    """The present token and its history; replaced as a whole, so that readers need no lock."""

    credential: Credential
    token: SessionToken
    history: History


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What a session knows of itself at one moment. It contains no secret.

    Times are epoch seconds by the service's clock. `at` is the time of this status. The token ends
    at `expires_at`; its session, which renewals cannot outlive, at `session_ends_at` (None where
    the token does not say). `generation` counts the tokens held since the start, and `renewed_at`
    is when the present one was adopted (None: it is the first). `usable`: the service may accept
    the token. `renewal_error` is why it will not be renewed any more, None as long as it may be.
    `paused_until` is how long requests wait for a new login, None while no request waits for one.
    """

    at: float
    expires_at: float
    session_ends_at: float | None
    generation: int
    renewed_at: float | None
    usable: bool
    renewal_error: str | None
    paused_until: float | None

    @property
    def paused(self) -> bool:
        """Whether requests wait for a new login."""
        return self.paused_until is not None


class SessionState:
    """The state of one session. Thread-safe; events are emitted outside of the lock.

    `providers` names the links of the renewal chain. `stop`, once set, releases every waiting
    thread. `jitter` returns a number in 0..1 that spreads the renewals of many processes.
    """

    def __init__(
        self,
        store: CredentialStore,
        providers: Iterable[str],
        *,
        clock: ServerClock,
        listener: Listener,
        stop: threading.Event,
        jitter: Callable[[], float],
    ) -> None:
        """Read the token and its key. Raises CredentialError when they are unusable."""
        self.store = store
        self.clock = clock
        self.listener = listener
        self.stop = stop
        self.jitter = jitter
        self._providers = tuple(providers)
        # Guards every field below; its waiters wait for any change of them.
        self._changed = threading.Condition()
        self._renewing = False
        self._closed = False
        self._paused_until: float | None = None
        self._pause_reported_at = 0.0  # monotonic
        self._pause_asked_at = 0.0  # monotonic
        self._noticed: set[str] = set()
        self._look_again_at = 0.0
        self._dead: set[str] = set()
        #: Read it once per decision: another thread may replace it at any time.
        self.current = self._state_of(store.read(), generation=1, exhausted={})
        _reset_after_forks(self)
        self._announce(self.current, "start")

    # Judging

    def decide(self, state: TokenState) -> Decision:
        """Return what the policy says of `state` now."""
        return policy.decide(self.clock.now(), state.token, state.history)

    def is_usable(self, state: TokenState) -> bool:
        """Return whether the service may still accept the token of `state`."""
        return policy.is_usable(self.clock.now(), state.token, state.history)

    def has_moved_on(self, state: TokenState) -> bool:
        """Return whether another generation than that of `state` is current by now."""
        return self.current.credential.generation != state.credential.generation

    def status(self) -> SessionStatus:
        """Return the state as one value; never waits, nor reads the disk."""
        with self._changed:
            state, paused_until = self.current, self._paused_until
        now, generation = self.clock.now(), state.credential.generation
        return SessionStatus(
            at=now,
            expires_at=state.token.expires_at,
            session_ends_at=state.token.session_ends_at,
            generation=generation,
            renewed_at=state.history.since if generation > 1 else None,
            usable=policy.is_usable(now, state.token, state.history),
            renewal_error=state.history.renewal_error,
            paused_until=paused_until if (paused_until or 0.0) > now else None,
        )

    # The token

    def reject(self, credential: Credential) -> bool | None:
        """Note a 401 to `credential`.

        Returns None when another generation is current already, else whether it is the first 401.
        """
        with self._changed:
            state = self.current
            if state.credential.generation != credential.generation:
                return None
            first = not state.history.rejected
            self.current = replace(state, history=replace(state.history, rejected=True))
            self._dead.add(state.token.digest)
            return first

    def allow_final_attempt(self, state: TokenState) -> bool:
        """Let an expired token be tried once more: the clock may be wrong, or a 401 a hiccup.

        Returns False when the last attempt has been made.
        """
        with self._changed:
            if self.current is not state:
                return True  # decide again: another thread has changed the state
            history = policy.with_last_try(state.history)
            if history is not None:
                self.current = replace(state, history=history)
                self._changed.notify_all()
            return history is not None

    def adopt(
        self,
        pair: TokenAndKey,
        source: str,
        *,
        exhausted: Mapping[str, str],
        only_if: Callable[[SessionToken, TokenState], bool] = lambda *_: True,
    ) -> None:
        """Make `pair` the current one, unless it is already or `only_if` refuses it."""
        with self._changed:
            # Asked under the lock: a fresher token may have come since this one was read.
            if pair.token.raw == self.current.token.raw or not only_if(pair.token, self.current):
                return
            generation = self.current.credential.generation + 1
            state = self._state_of(pair, generation=generation, exhausted=exhausted)
            self.current = state
            paused, self._paused_until = self._paused_until, None
            self._changed.notify_all()
        self._announce(state, source)
        if paused is not None:
            self.listener(SessionResumed())

    def set_history(self, state: TokenState, history: History) -> None:
        """Replace the history of the token of `state`, if that is still the current one."""
        with self._changed:
            if not self.has_moved_on(state):
                rejected = history.rejected or self.current.history.rejected
                self.current = replace(self.current, history=replace(history, rejected=rejected))
            self._changed.notify_all()

    def replace(
        self, state: TokenState, token: SessionToken, source: str, exhausted: Mapping[str, str]
    ) -> str | None:
        """Write a renewed token to disk and adopt it. Returns why it is not on disk, if so.

        Where another process has written a better one meanwhile, that one is adopted instead.
        """
        problem = self.store.replace(token, instead_of=state.token)
        if problem is not None and self.reload(state):
            return None
        self._dead.add(state.token.digest)

        def may_follow(token: SessionToken, current: TokenState) -> bool:
            generation = state.credential.generation
            return current.credential.generation == generation or self.is_better(token, current)

        pair = TokenAndKey(token, state.credential.key)
        self.adopt(pair, source, exhausted=exhausted, only_if=may_follow)
        return problem

    # The disk

    def reload_if_changed(self, *, now: bool = False) -> None:
        """Adopt what others have renewed: one stat a second at most, unless `now`."""
        looked_at = self.clock.monotonic()
        if looked_at < self._look_again_at and not now:
            return
        # Two threads that pass here at once both look: harmless.
        self._look_again_at = looked_at + LOOK_EVERY
        if self.store.changed():
            self.reload(self.current)

    def reload(self, state: TokenState) -> bool:
        """Adopt the token on disk if it is better; returns whether the session has moved on."""
        try:
            pair = self.store.read()
        except CredentialError:
            return self.has_moved_on(state)
        self.adopt(pair, FILE, exhausted={}, only_if=self.is_better)
        return self.has_moved_on(state)

    def is_better(self, token: SessionToken, state: TokenState) -> bool:
        """Return whether `token`, found on disk, should follow the one of `state`."""
        if token.raw == state.token.raw or token.digest in self._dead:
            return False
        if not self.is_usable(state) or state.history.renewal_error is not None:
            return token.expires_at > self.clock.now()
        return (token.expires_at, token.issued_at or 0.0) >= (
            state.token.expires_at,
            state.token.issued_at or 0.0,
        )

    # Renewals, pauses, the end

    @property
    def renewing(self) -> bool:
        """Whether a thread is renewing right now."""
        return self._renewing

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    @property
    def stopped(self) -> bool:
        """Whether nothing new may begin: the session is closed, or `stop` is set."""
        return self._closed or self.stop.is_set()

    def begin_renewal(self, generation: int) -> TokenState | None:
        """Return the state to renew, if this thread is the one to do it; `end_renewal` must follow.

        Returns None when that generation is not current any more, when the session is closed, or,
        after a short wait, when another thread is renewing.
        """
        with self._changed:
            state = self.current  # what is current later may be fresh
            if state.credential.generation != generation or self._closed:
                return None
            if self._renewing:
                self._changed.wait(_STOP_POLL_INTERVAL)
                return None
            self._renewing = True
            return state

    def end_renewal(self) -> None:
        """Let the next renewal begin, and wake all waiting threads."""
        with self._changed:
            self._renewing = False
            self._changed.notify_all()

    def pause(self, until: float, *, report_every: float) -> float | None:
        """Note that requests wait for a login `until` then, unless a pause is under way.

        Returns the end of the pause when it is time to report it, else None. A pause without a
        login ends where its threads have given up; one of them may wait longer than the first.
        """
        now = self.clock.monotonic()
        with self._changed:
            begins = self._paused_until is None or now - self._pause_asked_at > _PAUSE_GAP
            self._pause_asked_at = now
            if begins or (self._paused_until or 0.0) <= self.clock.now():
                self._paused_until = until
            if not begins and now - self._pause_reported_at < report_every:
                return None
            self._pause_reported_at = now
            return self._paused_until

    def wait(self, seconds: float) -> None:
        """Wait for a change, `seconds` at most; a closed session waits for nothing."""
        with self._changed:
            if not self._closed:
                self._changed.wait(seconds)

    def close(self, timeout: float) -> None:
        """Release all waiting threads; wait up to `timeout` seconds for a renewal in flight."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._renewing, timeout=timeout)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, the lock and the renewals of its parent's threads."""
        self._changed = threading.Condition()
        self._renewing = False

    # Reporting

    def notice(self, text: str) -> None:
        """Emit a Notice, once for each text."""
        if text not in self._noticed:
            self._noticed.add(text)
            self.listener(Notice(text))

    def _announce(self, state: TokenState, source: str) -> None:
        token, generation = state.token, state.credential.generation
        self.listener(TokenChanged(source, generation, token.expires_at, token.session_ends_at))

    def _state_of(
        self, pair: TokenAndKey, *, generation: int, exhausted: Mapping[str, str]
    ) -> TokenState:
        history = History(
            self.clock.now(),
            spread=2 * self.jitter() - 1,
            exhausted=exhausted,
            renewal_error=policy.renewal_error(self._providers, exhausted),
        )
        credential = Credential.of_token(pair.key, pair.token, generation)
        return TokenState(credential, pair.token, history)


def _reset_after_forks(state: SessionState) -> None:
    # A registration cannot be taken back: it must not keep the session alive.
    reference = weakref.ref(state)

    def reset_after_fork() -> None:
        here = reference()
        if here is not None:
            here.reset_after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset_after_fork)
