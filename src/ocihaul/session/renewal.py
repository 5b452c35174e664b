"""The rungs that ask the auth service for a new token; each is one call to the outside.

Refresh: `POST {auth}/v1/authentication/refresh` with `{"currentToken": …}`, signed with the
token's own key (as the stock CLI and the Java SDK do it).
"""

import json
from collections.abc import Callable

from ocihaul.clock import ServerClock
from ocihaul.errors import ConfigError, CredentialError
from ocihaul.session.credential import Credential
from ocihaul.session.ladder import Failed, NotExtended, Outcome, Refused, Renewed
from ocihaul.session.token import SessionToken
from ocihaul.signing import sign
from ocihaul.wire.message import Answer, Request, Stopped, WireError
from ocihaul.wire.origin import Origin

#: Sends one request to the auth service; the float is the seconds it may take in all.
Send = Callable[[Origin, Request, float], Answer]


class Refresher:
    """The *refresh* rung at one auth service; `auth_endpoint` is its base URL."""

    def __init__(self, auth_endpoint: str, send: Send, clock: ServerClock) -> None:
        self._origin = Origin.parse(auth_endpoint)
        self._send = send
        self._clock = clock

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        """Ask once; a refusal for a wrong date is mended by the service's own clock."""
        if credential.token is None:
            return Refused("this credential has no session token")
        try:
            offset = self._clock.offset
            answer = self._ask(credential, credential.token, timeout)
            moved = self._clock.observe(answer.headers.get("date"), signed_with=offset)
            if answer.status == 401 and moved:
                answer = self._ask(credential, credential.token, timeout)
        except (WireError, ConfigError) as error:
            return Failed(f"{self._origin}: {error}")
        except Stopped:
            return Failed("stopped")
        return read_answer(answer, credential, asked=str(self._origin), now=self._clock.now())

    def _ask(self, credential: Credential, token: SessionToken, timeout: float) -> Answer:
        body = json.dumps({"currentToken": token.raw}).encode()
        target = "/v1/authentication/refresh"
        headers = sign(
            credential.key,
            credential.key_id,
            method="POST",
            target=target,
            host=self._origin.host_header,
            date=self._clock.http_date(),
            json_body=body,
        )
        headers["accept"] = "application/json"
        return self._send(self._origin, Request("POST", target, headers, body), timeout)


#: Claims have whole seconds: a token this young may be followed by one with the same `exp`
#: although the session was extended.
_YOUNG = 2.0


def read_answer(answer: Answer, credential: Credential, *, asked: str, now: float) -> Outcome:
    """What the auth service's answer means.

    Only the service's own JSON refuses: a 4xx page of a proxy or a captive portal says nothing
    about the session.
    """
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return Failed(f"{asked} answered {answer.status} with something that is not JSON")
    if answer.status in {400, 401, 403}:
        return Refused(f"{answer.status} {document.get('code')}: {document.get('message')}")
    if answer.status != 200:
        return Failed(f"{asked} answered {answer.status} {document.get('code')}")
    try:
        token = SessionToken.parse(str(document.get("token", "")))
    except CredentialError as error:
        return Failed(f"{asked} answered 200, but {error.message}")
    if not token.belongs_to(credential.key.public_key()):
        return Failed(f"{asked} answered with a token for another key")
    if credential.token is not None and not _is_extended(token, credential.token, now):
        return NotExtended(token)
    return Renewed(token)


def _is_extended(new: SessionToken, old: SessionToken, now: float) -> bool:
    if new.expires_at > old.expires_at:
        return True
    return new.raw != old.raw and old.issued_at is not None and now - old.issued_at < _YOUNG
