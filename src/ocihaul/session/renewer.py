"""Renew a session's token, once, by one thread of one process; in the background; wait for it.

`Renewer` does it now: the lock, the file read again, the providers in their order, and what came of
it. `BackgroundRenewal` does it when it is due. `TokenWaiter` waits until the token can be used: for
a renewal, for a login, or for the time limit. What follows an outcome is decided in `policy`.
"""

import codecs
import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from ocihaul.config.sources import login_command
from ocihaul.errors import RenewalUnavailable, SessionExpiredError
from ocihaul.events import RenewalFailed, SessionPaused
from ocihaul.quantities import utc_text
from ocihaul.redaction import redact
from ocihaul.session import policy
from ocihaul.session.credential import SessionToken
from ocihaul.session.policy import (
    MINT,
    REFRESH,
    Decision,
    Failed,
    Outcome,
    Provider,
    RenewalResult,
    run_chain,
)
from ocihaul.session.state import LOOK_EVERY, SessionState, TokenState
from ocihaul.session.store import StoreBusy
from ocihaul.threads import StopSign, start_as_many

#: How long one renewal waits for the lock, seconds.
_LOCK_TIMEOUT = 15.0


class Renewer:
    """Renews the current token; of many threads that ask at once, one does it.

    `providers` are asked in their order once the token file has not helped.
    """

    def __init__(self, state: SessionState, providers: Mapping[str, Provider]) -> None:
        self._state = state
        self._providers = providers

    def renew(self, generation: int) -> None:
        """Renew this generation, or wait a moment for the thread that does."""
        state = self._state.begin_renewal(generation)
        if state is None:
            return
        try:
            self._renew(state)
        finally:
            self._state.end_renewal()

    def renew_when_due(self, state: TokenState) -> None:
        """Renew the token of `state`, or wait a moment while its backoff lasts."""
        pause = policy.retry_in(self._state.clock.now(), state.history)
        if pause > 0:
            self._state.wait(min(pause, LOOK_EVERY))
        else:
            self.renew(state.credential.generation)

    def _renew(self, state: TokenState) -> None:
        """Run the chain under the lock that makes this process the only one."""
        with contextlib.ExitStack() as stack:
            try:
                lock = self._state.store.lock(_LOCK_TIMEOUT, stopped=lambda: self._state.stopped)
                stack.enter_context(lock)
            except (StoreBusy, OSError) as error:
                if self._state.stopped or not self._may_go_unlocked(state, error):
                    return
            # The token on disk may be newer by now.
            if not self._state.reload(state):
                self._ask(state)

    def _may_go_unlocked(self, state: TokenState, error: Exception) -> bool:
        """Return whether to renew without the lock.

        A process that is suspended while it holds the lock delays a renewal, but must not cost the
        session. Where no lock can be made, waiting wins nothing: all processes would come at the
        same last moment, when no outage can be ridden out any more.
        """
        reason = f"the lock cannot be taken: {error}"
        if isinstance(error, StoreBusy):
            reason = f"another process holds {self._state.store.token_file}.lock"
            if self._state.decide(self._state.current) is not Decision.RENEW_NOW:
                self._failed(state, "lock", reason)
                return False
        self._state.notice(f"The token is renewed without a lock: {reason}.")
        return True

    def _ask(self, state: TokenState) -> None:
        def ask(provider: Provider) -> Outcome:
            if self._state.stopped:
                return Failed("stopped")  # what is under way may end, nothing new is begun
            now = self._state.clock.now()
            return provider(
                state.credential, policy.attempt_timeout(now, state.token, state.history)
            )

        result = run_chain(
            self._providers,
            state.history.exhausted,
            ask=ask,
            is_usable=lambda: self._state.is_usable(state),
            # A refusal may be due to another process, which has just written the new token.
            has_moved_on=lambda: self._state.reload(state),
        )
        if result is not None:
            self._apply(state, result)

    def _apply(self, state: TokenState, result: RenewalResult) -> None:
        for provider in result.exhausted.keys() - state.history.exhausted.keys():
            self._state.listener(RenewalFailed(provider, result.exhausted[provider], None))
        if result.note is not None:
            self._state.notice(result.note)
        token, source = result.token, result.source
        if token is not None and source is not None and token.raw != state.token.raw:
            self._adopt(state, token, source, result.exhausted)
        else:
            error = policy.renewal_error(self._providers, result.exhausted)
            history = replace(state.history, exhausted=result.exhausted, renewal_error=error)
            self._state.set_history(state, history)
        if result.failure is not None:
            self._failed(self._state.current, result.provider, result.failure)

    def _failed(self, state: TokenState, provider: str, reason: str) -> None:
        history = replace(state.history, failures=state.history.failures + 1)
        now = self._state.clock.now()
        delay = policy.backoff(now, state.token, history, self._state.jitter())
        self._state.set_history(state, replace(history, retry_at=now + delay))
        self._state.listener(RenewalFailed(provider, reason, delay))

    def _adopt(
        self, state: TokenState, token: SessionToken, source: str, exhausted: Mapping[str, str]
    ) -> None:
        if source == MINT:
            exhausted = {REFRESH: "a minted session cannot be refreshed"}
        elif token.expires_at > state.token.expires_at:
            exhausted = {}
        problem = self._state.replace(state, token, source, exhausted)
        if problem is not None:
            self._state.notice(f"The renewed token is only in this process: {problem}.")


class BackgroundRenewal:
    """A thread that renews the token when it is due and adopts what others have renewed."""

    def __init__(self, state: SessionState, renewer: Renewer) -> None:
        self._state = state
        self._renewer = renewer
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs. Raises TooManyThreadsError when none can be started."""
        if not self.is_alive():
            thread = threading.Thread(target=self._run, name="ocihaul-session", daemon=True)
            (self._thread,) = start_as_many([thread])

    def is_alive(self) -> bool:
        """Return whether the thread runs; never in a forked child, which has no copy of it."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, deadline: float) -> None:
        """Wait for the end of the thread until `deadline`, on the monotonic clock."""
        if self._thread is not None:
            self._thread.join(timeout=max(deadline - time.monotonic(), 0.0))

    def _run(self) -> None:
        while not self._state.stopped:
            nap = LOOK_EVERY
            try:
                self._run_once()
                nap = self._nap(self._state.current)
            except Exception as error:  # noqa: BLE001  one bad round must not end the renewal
                what = redact(f"{type(error).__name__}: {error}")
                with contextlib.suppress(Exception):  # the listener may be what raises
                    self._state.notice(f"The background renewal met an error and goes on: {what}")
            self._state.wait(nap)

    def _run_once(self) -> None:
        # A connection loads it at the latest: but an installation may be replaced meanwhile.
        codecs.lookup("idna")
        self._state.reload_if_changed()
        state = self._state.current
        if self._state.decide(state) in {Decision.RENEW_SOON, Decision.RENEW_NOW}:
            self._renewer.renew_when_due(state)

    def _nap(self, state: TokenState) -> float:
        """Return the seconds until the next look; few, as a machine may be suspended meanwhile."""
        if state.history.renewal_error is not None:
            return LOOK_EVERY
        now = self._state.clock.now()
        due = policy.due_at(state.token, state.history) - now
        return min(max(due, policy.retry_in(now, state.history), 0.02), LOOK_EVERY)


#: How long a session that seems expired is watched for another process's renewal, seconds.
_RESCUE_TIMEOUT = 2.0
_RESCUE_POLL_INTERVAL = 0.1
#: How often a pause is reported, seconds.
_REPORT_EVERY = 60.0


class TokenWaiter:
    """Waits for a usable token. Thread-safe.

    `timeout` is how long, in seconds, a request waits for a renewal that keeps failing for passing
    reasons; `session_wait` how long it waits for a new login when no provider is left.
    """

    def __init__(
        self, state: SessionState, renewer: Renewer, *, timeout: float, session_wait: float
    ) -> None:
        self._state = state
        self._renewer = renewer
        self._timeout = max(timeout, session_wait)
        self._session_wait = session_wait

    def wait(self, *, may_try: bool = True, cancel: StopSign | None = None) -> None:
        """Return when the current token may be signed with, or when told to stop.

        `may_try`: an expired token may be tried once more. Raises SessionExpiredError when only a
        login helps and none has come, RenewalUnavailable after the timeout.
        """
        clock = self._state.clock
        started = clock.monotonic()
        expired_since: float | None = None
        while not (self._state.stop.is_set() or (cancel is not None and cancel.is_set())):
            self._state.reload_if_changed()
            current = self._state.current
            decision = self._state.decide(current)
            if not may_try and clock.now() >= current.token.expires_at:
                decision = Decision.EXPIRED
            waited = clock.monotonic() - started
            if decision in {Decision.KEEP, Decision.RENEW_SOON}:
                return
            if decision is Decision.EXPIRED:
                expired_since = waited if expired_since is None else expired_since
                self._wait_for_rescue(current, waited - expired_since, may_try=may_try)
            elif current.history.failures and self._state.is_usable(current):
                return  # renewal is failing, but the token still stands: use what is left of it
            else:
                self._wait_for_renewal(current, waited)

    def _wait_for_renewal(self, current: TokenState, waited: float) -> None:
        if self._state.closed or waited > self._timeout:
            raise RenewalUnavailable(
                f"the token could not be renewed for {waited:.0f} s",
                hint="Run the same command again when the auth service can be reached.",
            )
        self._renewer.renew_when_due(current)

    def _wait_for_rescue(self, current: TokenState, expired_for: float, *, may_try: bool) -> None:
        """Wait a moment for another process's token, then allow the last attempt, then pause."""
        if self._state.closed:
            raise self._expired(current)
        if expired_for < _RESCUE_TIMEOUT and not current.history.last_try:
            self._state.wait(_RESCUE_POLL_INTERVAL)
        elif not (may_try and self._state.allow_final_attempt(current)):
            self._pause(current, expired_for)

    def _pause(self, current: TokenState, expired_for: float) -> None:
        """Wait a moment for a login, and report it; raise when `session_wait` is over."""
        error = self._expired(current)
        if expired_for >= self._session_wait:
            raise error
        until = self._state.clock.now() + self._session_wait - expired_for
        until_reported = self._state.pause(until, report_every=_REPORT_EVERY)
        if until_reported is not None:
            self._state.listener(SessionPaused(error.message, until_reported, error.hint))
        self._state.wait(LOOK_EVERY)

    def _expired(self, current: TokenState) -> SessionExpiredError:
        history, token = current.history, current.token
        what = f"the token {self._end(token.expires_at)}"
        if history.rejected:
            what = f"the service no longer accepts the token, which {self._end(token.expires_at)}"
        if token.session_ends_at is not None:
            what += f" (its login {self._end(token.session_ends_at)})"
        why = (history.renewal_error or "").rstrip(".")
        return SessionExpiredError(
            f"the session has expired: {what}; it cannot be renewed: {why}",
            hint=f"Log in again with: {login_command(self._state.store.profile)}",
        )

    def _end(self, at: float) -> str:
        return f"{'ended' if at <= self._state.clock.now() else 'ends'} at {utc_text(at)}"
