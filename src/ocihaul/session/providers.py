"""The renewal providers, each one call to the auth service for a new token.

*refresh*: `POST {auth}/v1/authentication/refresh` with `{"currentToken": …}`, signed with the
token's own key (as the official CLI and the Java SDK do it).

*mint*: an API key opens a session for a public key without a person. `POST
{auth}/v1/token/upst/actions/GenerateUpst` with `{"publicKey": PEM, "sessionExpirationInMinutes":
"60"}`, the number as a string, as the official CLI sends it. The session lives as long as its one
token and cannot be refreshed beyond that, so it is minted anew, for the same key: other processes
that hold a copy of the key only need the new token.

The refresh that a person or a cron job asks for is here, too (`refresh_once`): once, on demand,
under the lock, written atomically. A session that is in use renews itself (`renewer`).
"""

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.clock import ServerClock
from ocihaul.config.sources import login_command
from ocihaul.documents import DocumentError, read_object
from ocihaul.endpoints import Origin
from ocihaul.errors import (
    ConfigError,
    CredentialError,
    RenewalUnavailable,
    SessionError,
    SessionExpiredError,
    UsageError,
)
from ocihaul.quantities import utc_text
from ocihaul.session.credential import Credential, CredentialProvider, SessionToken, sign
from ocihaul.session.policy import Failed, NotExtended, Outcome, Provider, Refused, Renewed
from ocihaul.session.store import CredentialStore, StoreBusy, public_pem, replaceable
from ocihaul.transport.message import Answer, Request, Stopped, WireError, excerpt

#: Sends one request to the auth service; the float is the seconds it may take in all.
Send = Callable[[Origin, Request, float], Answer]

#: How long a renewal in flight may go on once it is asked to stop, seconds. A person who pressed
#: Ctrl-C waits for it.
STOP_GRACE = 1.5


@dataclass(slots=True)
class DelayedStop:
    """A stop that a renewal obeys `STOP_GRACE` seconds after everything else.

    The service may have issued the new token, and ended the old one with it, while its answer is on
    the way: hanging up at once would leave a dead session on disk.
    """

    stop: threading.Event
    monotonic: Callable[[], float] = time.monotonic
    _seen_at: float | None = field(default=None, init=False)

    def is_set(self) -> bool:
        """Return whether the grace is over, counted from the first call that finds `stop` set."""
        if not self.stop.is_set():
            return False
        if self._seen_at is None:
            self._seen_at = self.monotonic()
        return self.monotonic() - self._seen_at >= STOP_GRACE


@dataclass(frozen=True, slots=True)
class AuthService:
    """Signed calls to one auth service."""

    origin: Origin
    send: Send
    clock: ServerClock

    def ask(
        self, credential: Credential, target: str, document: Mapping[str, str], timeout: float
    ) -> Answer | Failed:
        """Post `document`; after a refusal for a wrong date, once more by the service's clock."""
        body = json.dumps(document).encode()
        try:
            offset = self.clock.offset
            answer = self._post(credential, target, body, timeout)
            # A page that is not the service's JSON may carry the date of some proxy.
            date = answer.headers.get("date") if _document(answer) is not None else None
            moved = self.clock.observe(date, signed_with=offset)
            if answer.status == 401 and moved:
                answer = self._post(credential, target, body, timeout)
        except WireError as error:
            return Failed(f"{self.origin}: {error}")
        except (ConfigError, UsageError) as error:
            return Failed(f"{self.origin}: {error}", setting=error)
        except Stopped:
            return Failed("stopped")
        return answer

    def _post(self, credential: Credential, target: str, body: bytes, timeout: float) -> Answer:
        headers = sign(
            credential.key,
            credential.key_id,
            method="POST",
            target=target,
            host=self.origin.host_header,
            date=self.clock.http_date(),
            json_body=body,
        )
        headers["accept"] = "application/json"
        return self.send(self.origin, Request("POST", target, headers, body), timeout)


@dataclass(frozen=True, slots=True)
class RefreshProvider:
    """Refreshes a session at one auth service."""

    service: AuthService

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        """Ask once."""
        if credential.token is None:
            return Refused("this credential has no session token")
        document = {"currentToken": credential.token.raw}
        service = self.service
        answer = service.ask(credential, "/v1/authentication/refresh", document, timeout)
        if isinstance(answer, Failed):
            return answer
        return read_answer(answer, credential, asked=str(service.origin), now=service.clock.now())


def read_answer(answer: Answer, credential: Credential, *, asked: str, now: float) -> Outcome:
    """Return the outcome of a refresh from the auth service's answer."""
    token = read_token(answer, credential.key.public_key(), asked=asked)
    if not isinstance(token, SessionToken):
        return token
    if credential.token is not None and not _is_extended(token, credential.token, now):
        return NotExtended(token)
    return Renewed(token)


#: Statuses that mean "no" and not "later".
REFUSALS = frozenset({400, 401, 403})


def read_token(
    answer: Answer, key: RSAPublicKey, *, asked: str, refusals: frozenset[int] = REFUSALS
) -> SessionToken | Refused | Failed:
    """Return the token for `key` in an answer of the auth service `asked`, or why there is none.

    Only the service's own JSON refuses: a 4xx page of a proxy or a captive portal says nothing
    about the session.
    """
    document = _document(answer)
    if document is None:
        return Failed(f"{asked} answered {answer.status} with something that is not JSON")
    if answer.status in refusals:
        words = f"{excerpt(document.get('code'), 200)}: {excerpt(document.get('message'))}"
        return Refused(f"{answer.status} {words}")
    if answer.status != 200:
        return Failed(f"{asked} answered {answer.status} {excerpt(document.get('code'), 200)}")
    try:
        token = SessionToken.parse(str(document.get("token", "")))
    except CredentialError as error:
        return Failed(f"{asked} answered 200, but {error.message}")
    if not token.belongs_to(key):
        return Failed(f"{asked} answered with a token for another key")
    return token


def _document(answer: Answer) -> dict[str, Any] | None:
    try:
        return read_object(answer.body)
    except DocumentError:
        return None


#: Claims have whole seconds: a token this young may be followed by one with the same `exp`
#: although the session was extended.
_YOUNG = 1.5


def _is_extended(new: SessionToken, old: SessionToken, now: float) -> bool:
    if new.expires_at > old.expires_at:
        return True
    return new.raw != old.raw and old.issued_at is not None and now - old.issued_at < _YOUNG


MINT_PATH = "/v1/token/upst/actions/GenerateUpst"

#: With 404 an OCI service also says "you may not".
_REFUSALS = REFUSALS | {404}


@dataclass(frozen=True, slots=True)
class ApiKeyProvider:
    """Mints a new session for the key of the present one.

    `signer` provides the API key that signs (the service accepts a session's, too). `minutes` is
    the life to ask for, passed on as it is; None leaves it to the service.
    """

    service: AuthService
    signer: CredentialProvider
    minutes: int | None = None

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        """Mint for the key of `credential`; at most two calls, each within `timeout`."""
        outcome = mint(
            self.service,
            self.signer.credential(),
            credential.key.public_key(),
            minutes=self.minutes,
            timeout=timeout,
        )
        if isinstance(outcome, Renewed) and outcome.token == credential.token:
            # As a success it would be due again at once, and for ever.
            return Failed(f"{self.service.origin} answered with the token that we have")
        return outcome


def mint_or_raise(
    provider: ApiKeyProvider, public_key: RSAPublicKey, *, timeout: float
) -> tuple[SessionToken, str | None]:
    """Return a token for `public_key`, and the note that came with it.

    Raises CredentialError when the service refuses, RenewalUnavailable when it gives no answer.
    """
    outcome = mint(
        provider.service,
        provider.signer.credential(),
        public_key,
        minutes=provider.minutes,
        timeout=timeout,
    )
    match outcome:
        case Refused(reason):
            raise CredentialError(
                f"no session was minted: {provider.service.origin} answered {reason}",
                hint="Check user, fingerprint, key_file and region of the profile that signs, and "
                "that its key is among the user's API keys.",
            )
        case Failed(reason):
            raise RenewalUnavailable(
                f"no session was minted: {reason}",
                hint="Run the same command again when the auth service can be reached.",
            )
        case Renewed(token, note):
            return token, note


def mint(
    service: AuthService,
    signer: Credential,
    public_key: RSAPublicKey,
    *,
    minutes: int | None,
    timeout: float,
) -> Renewed | Refused | Failed:
    """Open a session for `public_key`, signed for by `signer`.

    Whatever life the service grants is used. A service that refuses `minutes` is asked again
    without them, and the outcome carries a note.
    """
    answer = _ask(service, signer, public_key, minutes, timeout)
    if isinstance(answer, Failed):
        return answer
    outcome = _read(service, answer, public_key)
    if minutes is None or answer.status != 400 or not isinstance(outcome, Refused):
        return outcome
    again = _ask(service, signer, public_key, None, timeout)
    if isinstance(again, Failed):
        return again
    second = _read(service, again, public_key)
    if not isinstance(second, Renewed):
        return second
    granted = (second.token.expires_at - service.clock.now()) / 60
    note = (
        f"a session of {minutes} minutes was refused ({outcome.reason}); "
        f"the service's own choice is {granted:.0f} minutes"
    )
    return Renewed(second.token, note)


def _ask(
    service: AuthService,
    signer: Credential,
    public_key: RSAPublicKey,
    minutes: int | None,
    timeout: float,
) -> Answer | Failed:
    document = {"publicKey": public_pem(public_key).decode()}
    if minutes is not None:
        document["sessionExpirationInMinutes"] = str(minutes)
    return service.ask(signer, MINT_PATH, document, timeout)


def _read(
    service: AuthService, answer: Answer, public_key: RSAPublicKey
) -> Renewed | Refused | Failed:
    read = read_token(answer, public_key, asked=str(service.origin), refusals=_REFUSALS)
    return Renewed(read) if isinstance(read, SessionToken) else read


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
            f"the refresh did not move the token's end, {utc_text(new.expires_at)}: "
            + _why_not(new),
            hint=f"Log in again with: {login_command(store.profile)}",
        )
    return new


def _why_not(token: SessionToken) -> str:
    if token.session_ends_at is not None:
        return f"the session itself ends at {utc_text(token.session_ends_at)}"
    return "the session is at its end (a session made with `no_browser` cannot be extended)"
