"""The rungs that ask the auth service for a new token; each is one call to the outside.

What belongs here: what such a call can lead to, the signed call itself, and the *refresh* rung:
`POST {auth}/v1/authentication/refresh` with `{"currentToken": …}`, signed with the token's own
key (as the stock CLI and the Java SDK do it). The *mint* rung is in `minting`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.clock import ServerClock
from ocihaul.documents import DocumentError, read_object
from ocihaul.errors import ConfigError, CredentialError, UsageError
from ocihaul.session.credential import Credential
from ocihaul.session.ladder import Failed, NotExtended, Outcome, Refused, Renewed
from ocihaul.session.token import SessionToken
from ocihaul.signing import sign
from ocihaul.transport.message import Answer, Request, Stopped, WireError, excerpt
from ocihaul.transport.origin import Origin

#: Sends one request to the auth service; the float is the seconds it may take in all.
Send = Callable[[Origin, Request, float], Answer]


class AuthService:
    """Signed calls to one auth service; `endpoint` is its base URL."""

    def __init__(self, endpoint: str, send: Send, clock: ServerClock) -> None:
        self.origin = Origin.parse(endpoint)
        self.clock = clock
        self._send = send

    def ask(
        self, credential: Credential, target: str, document: Mapping[str, str], timeout: float
    ) -> Answer | Failed:
        """Post `document`; a refusal for a wrong date is mended by the service's own clock."""
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
        return self._send(self.origin, Request("POST", target, headers, body), timeout)


class Refresher:
    """The *refresh* rung at one auth service; `auth_endpoint` is its base URL."""

    def __init__(self, auth_endpoint: str, send: Send, clock: ServerClock) -> None:
        self._service = AuthService(auth_endpoint, send, clock)

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        """Ask once."""
        if credential.token is None:
            return Refused("this credential has no session token")
        document = {"currentToken": credential.token.raw}
        service = self._service
        answer = service.ask(credential, "/v1/authentication/refresh", document, timeout)
        if isinstance(answer, Failed):
            return answer
        return read_answer(answer, credential, asked=str(service.origin), now=service.clock.now())


def read_answer(answer: Answer, credential: Credential, *, asked: str, now: float) -> Outcome:
    """What the auth service's answer to a refresh means."""
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
    """The token for `key` in an answer of the auth service `asked`, or why there is none.

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
