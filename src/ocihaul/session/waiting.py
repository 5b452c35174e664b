"""Wait until the token can be used: for a renewal, for a login, or for the time limit."""

from ocihaul.clock import moment
from ocihaul.config.sources import login_command
from ocihaul.errors import RenewalUnavailable, SessionExpiredError
from ocihaul.events import SessionPaused
from ocihaul.session.policy import Decision
from ocihaul.session.renewer import Renewer
from ocihaul.session.state import LOOK_EVERY, SessionState, TokenState
from ocihaul.transport.message import StopSign

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
        if expired_for < _RESCUE_TIMEOUT and not current.history.last_try:
            self._state.wait(_RESCUE_POLL_INTERVAL)
        elif not (may_try and self._state.allow_final_attempt(current)):
            self._pause(current, expired_for)

    def _pause(self, current: TokenState, expired_for: float) -> None:
        """Wait a moment for a login, and report it; raise when `session_wait` is over."""
        error = self._expired(current)
        if self._state.closed or expired_for >= self._session_wait:
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
        return f"{'ended' if at <= self._state.clock.now() else 'ends'} at {moment(at)}"
