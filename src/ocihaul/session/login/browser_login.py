"""Log a person in with a browser: a new key and its first token.

The browser opens `{login}/v1/oauth2/authorize` with our new public key and comes back to
`http://localhost:8181` with the token in the fragment; query parameters and port are those of the
official CLI, as the service knows no others. An answer counts only if it belongs to this login, and
two things prove that: the nonce, if it comes back, must be ours, and the token must name the key
that was made for this login. The key alone is enough: it is as new as the nonce and cannot be
guessed, and it is not known whether the service sends the nonce back (the official CLI ignores it).

A refusal names no key. With our nonce (as `nonce` or `state`) it ends the login. Without, any web
page may have sent the browser here with it: the login goes on waiting, and of the page's own text
only an error code that OAuth 2 or OpenID Connect defines is repeated.
"""

import base64
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.errors import CredentialError, LoginError
from ocihaul.printable import cut, one_line
from ocihaul.session.credential import SessionToken, split_jwt
from ocihaul.session.login.callback import Callback, CallbackReply
from ocihaul.session.login.profile_files import NewSession
from ocihaul.threads import StopSign

#: The one port that the service leads back to.
PORT = 8181
#: How long a person has for the login, seconds.
TIMEOUT = 300.0

#: The error codes of a refused login: RFC 6749, 4.1.2.1, and OpenID Connect Core, 3.1.2.6.
_OAUTH_ERRORS = frozenset(
    {
        *("access_denied", "account_selection_required", "consent_required"),
        *("interaction_required", "invalid_request", "invalid_request_object"),
        *("invalid_request_uri", "invalid_scope", "login_required", "registration_not_supported"),
        *("request_not_supported", "request_uri_not_supported", "server_error"),
        *("temporarily_unavailable", "unauthorized_client", "unsupported_response_type"),
    }
)
#: Characters of the login page's text that are repeated.
_LONGEST_REFUSAL = 300
#: Warnings about answers that are turned away: a page can send any number of answers.
_MOST_WARNINGS = 5

_DONE = "You can close this window and go back to your terminal."


class BrowserLogin:
    """One login, from the address to open to the new session.

    It listens from the beginning, so that a taken port is known before a person types a password.
    `warn` is called for answers that were turned away. Use it as a context manager.
    """

    def __init__(
        self,
        login_endpoint: str,
        *,
        tenancy_name: str | None = None,
        identity_provider_name: str | None = None,
        port: int = PORT,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Raises OcihaulError when the port is taken."""
        self._warn = warn
        self._nonce = secrets.token_urlsafe(24)
        self._refusal: str | None = None
        self._turned_away: str | None = None
        self._warnings = 0
        self._token: SessionToken | None = None
        self._callback = Callback(port, self._judge)
        self.port = self._callback.port
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        query = {
            "action": "login",
            "client_id": "iaas_console",
            "response_type": "token id_token",
            "nonce": self._nonce,
            "scope": "openid",
            "public_key": _as_jwk(self._key.public_key()),
            "redirect_uri": f"http://localhost:{self.port}",
        }
        if tenancy_name:
            query["tenant"] = tenancy_name
        if identity_provider_name:
            query["provider"] = identity_provider_name
        #: What to open in a browser on this machine. It holds nothing secret.
        self.url = f"{login_endpoint}/v1/oauth2/authorize?{urlencode(query)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._callback.close()

    def wait(self, timeout: float = TIMEOUT, stop: StopSign | None = None) -> NewSession:
        """Return the new session, within `timeout` seconds.

        Raises LoginError after a refusal or without an answer; TransferCancelled after `stop`.
        """
        if not self._callback.wait(timeout, stop or threading.Event()):
            why = f" (an answer was turned away: {self._turned_away})" if self._turned_away else ""
            raise LoginError(
                f"no login within {timeout:.0f} s{why}",
                hint="Run the same command again, and open the address in a browser that reaches "
                f"127.0.0.1:{self.port} of this machine (a container needs its host's network).",
            )
        if self._token is None:
            raise LoginError(
                f"the login page answered: {self._refusal}",
                hint="Run the same command again; `tenancy_name` and `identity_provider_name` "
                "choose where to log in.",
            )
        return NewSession(self._token, self._key.public_key(), self._key)

    def _judge(self, fields: Mapping[str, str]) -> CallbackReply:
        if "error" in fields and "security_token" not in fields:
            if not self._is_ours(fields):
                code = fields["error"] if fields["error"] in _OAUTH_ERRORS else "an error"
                return self._turn_away(
                    f"it says {code}, and nothing shows to which login it belongs"
                )
            said = [fields[name] for name in ("error", "error_description") if fields.get(name)]
            self._refusal = cut(one_line(": ".join(said)), _LONGEST_REFUSAL)
            return CallbackReply(
                f"The login page answered: {self._refusal}", good=False, final=True
            )
        try:
            self._token = self._token_in(fields)
        except CredentialError as error:
            return self._turn_away(error.message)
        return CallbackReply(_DONE, good=True, final=True)

    def _turn_away(self, why: str) -> CallbackReply:
        """Another page may have led here: the right answer can still come."""
        self._turned_away = why
        self._warnings += 1
        if self._warnings <= _MOST_WARNINGS:
            last = " Further ones are not reported." if self._warnings == _MOST_WARNINGS else ""
            self._warn(f"An answer to the login was turned away: {why}.{last}")
        return CallbackReply(
            f"This answer cannot be used: {why}. Open the address that your terminal shows; "
            "to give up, stop the command there.",
            good=False,
            final=False,
        )

    def _is_ours(self, fields: Mapping[str, str]) -> bool:
        """Return whether an answer names the nonce of this login."""
        return any(
            secrets.compare_digest(fields.get(name, "").encode(), self._nonce.encode())
            for name in ("nonce", "state")
        )

    def _token_in(self, fields: Mapping[str, str]) -> SessionToken:
        """Return the token, if it belongs to this login. Raises CredentialError."""
        if "security_token" not in fields:
            raise CredentialError("there is no token in it")
        found = [fields.get("nonce"), _claim(fields.get("id_token"), "nonce")]
        returned = [nonce for nonce in found if nonce is not None]
        if any(nonce != self._nonce for nonce in returned):
            raise CredentialError("it belongs to another login (its nonce is not ours)")
        token = SessionToken.parse(fields["security_token"])
        if not token.belongs_to(self._key.public_key()):
            raise CredentialError("its token belongs to another key")
        if token.modulus is None and not returned:
            raise CredentialError("nothing in it shows to which login it belongs")
        return token


def _as_jwk(key: RSAPublicKey) -> str:
    """Return the key as the official CLI sends it; `kid` is required and means nothing."""
    numbers = key.public_numbers()
    jwk = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e), "kid": "Ignored"}
    return base64.urlsafe_b64encode(json.dumps(jwk).encode()).decode()


def _number(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claim(token: str | None, name: str) -> object:
    """Return a claim of a JWT that is no session token; None where either is missing."""
    if token is None:
        return None
    try:
        return split_jwt(token).claims.get(name)
    except ValueError:
        raise CredentialError("its id_token is cut or not a JWT") from None
