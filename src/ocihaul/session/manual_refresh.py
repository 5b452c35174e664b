"""Refresh the session on disk once, on demand: under the lock, written atomically.

This is the refresh that a person or a cron job asks for. A session that is in use renews itself
(`session`).
"""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ocihaul.clock import moment
from ocihaul.config.sources import login_command
from ocihaul.errors import RenewalUnavailable, SessionError, SessionExpiredError
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import Failed, NotExtended, Provider, Refused, Renewed
from ocihaul.session.store import CredentialStore, StoreBusy, replaceable

#: The default number of attempts, and the longest pause between two, seconds.
ATTEMPTS = 3
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The token on disk is newer now. `by_another`: another process renewed it while we waited."""

    token: SessionToken
    by_another: bool


def refresh_once(
    store: CredentialStore,
    refresh: Provider,
    *,
    timeout: float,
    attempts: int = ATTEMPTS,
    stop: threading.Event | None = None,
    jitter: Callable[[], float] = random.random,
) -> Refreshed:
    """Refresh the session on disk; each attempt may take `timeout` seconds.

    Raises SessionExpiredError when the service refuses, SessionError when `exp` did not move or the
    new token cannot be written, RenewalUnavailable when there was no usable answer,
    CredentialError, ConfigError when a setting (a proxy, a certificate) is the reason.
    """
    stop = stop or threading.Event()
    before = store.read().token
    if replaceable(store.token_file) is None:
        raise SessionError(
            f"the token was not refreshed: {store.token_file} cannot be written, and a token that "
            "is not on disk may end the one that is",
            hint="Run the command as the user whose file it is, or make the file writable.",
        )
    reason = "no attempt was made"
    for attempt in range(max(attempts, 1)):
        if attempt and stop.wait(jitter() * _PAUSE):
            break
        try:
            with _locked(store, timeout, stop):
                pair = store.read()
                if pair.token.raw != before.raw and pair.token.expires_at > before.expires_at:
                    return Refreshed(pair.token, by_another=True)
                outcome = refresh(Credential.of_token(pair.key, pair.token, 1), timeout)
                if isinstance(outcome, Failed) and outcome.setting is not None:
                    raise outcome.setting
                if isinstance(outcome, Failed):
                    reason = outcome.reason
                    continue
                return Refreshed(_settled(store, pair.token, outcome), by_another=False)
        except StoreBusy:
            reason = f"another process holds {store.lock_file()}"
    raise RenewalUnavailable(
        f"the token could not be refreshed: {reason}",
        hint="Run the same command again when the auth service can be reached.",
    )


@contextlib.contextmanager
def _locked(store: CredentialStore, timeout: float, stop: threading.Event) -> Iterator[None]:
    """Hold the session's lock, if it can be had. Raises StoreBusy when another process keeps it."""
    with contextlib.ExitStack() as stack:
        # Some file systems have no locks: the refresh that was asked for happens all the same.
        with contextlib.suppress(OSError):
            stack.enter_context(store.lock(timeout, stopped=stop.is_set))
        yield


def _settled(
    store: CredentialStore, old: SessionToken, outcome: Renewed | NotExtended | Refused
) -> SessionToken:
    if isinstance(outcome, Refused):
        raise SessionExpiredError(
            "Your session is no longer valid and cannot be refreshed: " + outcome.reason,
            hint=f"Log in again with: {login_command(store.profile)}",
        )
    new = outcome.token
    # Also a token that lives no longer: the service may drop the old one when it gives a new one.
    problem = store.replace(new, instead_of=old)
    if problem is not None:
        raise SessionError(
            f"the token was refreshed, but it is not on disk: {problem}",
            hint="Make the token file writable for this user; the old token may be invalid now.",
        )
    if isinstance(outcome, NotExtended):
        raise SessionError(
            f"the refresh did not move the token's end, {moment(new.expires_at)}: " + _why_not(new),
            hint=f"Log in again with: {login_command(store.profile)}",
        )
    return new


def _why_not(token: SessionToken) -> str:
    if token.session_ends_at is not None:
        return f"the session itself ends at {moment(token.session_ends_at)}"
    return "the session is at its end (a session made with `no_browser` cannot be extended)"
