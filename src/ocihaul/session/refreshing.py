"""One refresh on demand, for everybody who shares the files: under the lock, written atomically.

What belongs here: the refresh that a person or a cron job asks for. When a session that is in use
has to be renewed is the business of `session.py`.
"""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ocihaul.config.sources import login_command
from ocihaul.errors import RenewalUnavailable, SessionError, SessionOver
from ocihaul.session.credential import Credential
from ocihaul.session.ladder import Failed, NotExtended, Refused, Renewed, Rung
from ocihaul.session.moments import moment
from ocihaul.session.store import CredentialStore, StoreBusy, replaceable
from ocihaul.session.token import SessionToken

#: Attempts, if nobody asked for a number, and the longest pause between two, seconds.
ATTEMPTS = 3
_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The token on disk is newer now. `by_another`: somebody else did it while we waited."""

    token: SessionToken
    by_another: bool


def refresh_once(
    store: CredentialStore,
    refresh: Rung,
    *,
    timeout: float,
    attempts: int = ATTEMPTS,
    stop: threading.Event | None = None,
    chance: Callable[[], float] = random.random,
) -> Refreshed:
    """Refresh the session on disk; each attempt may take `timeout` seconds.

    Raises SessionOver when the service refuses, SessionError when `exp` did not move or the new
    token cannot be written, RenewalUnavailable when there was no usable answer, CredentialError,
    ConfigError when a setting (a proxy, a certificate) is the reason.
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
        if attempt and stop.wait(chance() * _PAUSE):
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
    """The session's lock, where there can be one; StoreBusy when another has it for too long."""
    with contextlib.ExitStack() as stack:
        # Some file systems have no locks: a person who asks for a refresh gets it all the same.
        with contextlib.suppress(OSError):
            stack.enter_context(store.lock(timeout, stopped=stop.is_set))
        yield


def _settled(
    store: CredentialStore, old: SessionToken, outcome: Renewed | NotExtended | Refused
) -> SessionToken:
    if isinstance(outcome, Refused):
        raise SessionOver(
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
    return "the session is at its end (a session made with --no-browser cannot be extended)"
