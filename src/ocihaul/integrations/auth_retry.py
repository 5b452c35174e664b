"""A 401 mended inside the HTTP call that met it.

What belongs here: the protocol of `requests` (the SDK's vendored copy, or the real one), as far
as an authentication scheme needs it, by shape and without an import. The call is signed when it
is sent; a response hook on that one request, the way HTTP digest authentication works, reports a
401 to the session, rewinds the body, signs again and sends again over the same adapter. Whoever
made the call (the SDK's client, its retry strategies, its circuit breaker) sees only the end of
it, so nothing in the client has to be replaced.
"""

import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ocihaul.clock import ServerClock
from ocihaul.http.retry import rejection_delay
from ocihaul.session.credential import Credential, CredentialProvider

#: 401s that one request may meet; a service that rejects every new credential has another reason.
MAX_REJECTIONS = 5

#: Signs a request with a credential, in place.
Sign = Callable[[Any, Credential], None]

_OURS = ("date", "authorization")


def sign_and_watch(
    request: Any, credentials: CredentialProvider, clock: ServerClock, sign: Sign
) -> Any:
    """Sign a prepared request and have a 401 to it mended.

    Raises SessionError when there is no credential to sign with.
    """
    dated = "date" in request.headers
    mender = _Mender(credentials, clock, sign, dated=dated, position=_position(request.body))
    mender.sign(request)
    request.register_hook("response", mender.heard)
    return request


class _Mender:
    """One request through its rejections; used by the one thread that sends it."""

    def __init__(
        self,
        credentials: CredentialProvider,
        clock: ServerClock,
        sign: Sign,
        *,
        dated: bool,
        position: int | None,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._sign = sign
        self._dated = dated  # by the caller, whose date stays
        self._position = position
        self._signed_with: Credential
        self._offset = 0.0
        self._redated = False

    def sign(self, request: Any) -> None:
        """Sign with the credential of this moment, and remember which one it was."""
        credential = self._credentials.credential()
        self._signed_with = credential
        self._offset = self._clock.offset
        if not self._dated:
            request.headers["date"] = self._clock.http_date()
        _settle_count(request.body)
        self._sign(request, credential)

    def heard(self, response: Any, **sending: object) -> Any:
        """The response hook: the answer that stands, be it this one or a later one."""
        for rejections in range(1, MAX_REJECTIONS + 1):
            redated = self._clock.observe(_service_date(response), signed_with=self._offset)
            if response.status_code != 401 or not self._is_mended(response, redated):
                break
            time.sleep(rejection_delay(rejections, random.random()))  # noqa: S311  no secret
            response = self._again(response, sending)
        return response

    def _is_mended(self, response: Any, redated: bool) -> bool:
        """Whether the request can be sent again, with something new in its signature."""
        # Reading it frees the connection; the text stays with the response if this one stands.
        _ = response.content
        response.close()
        if redated and not self._redated and not self._dated:
            self._redated = True
        elif not self._credentials.handle_unauthorized(
            self._signed_with, _operation(response.request)
        ):
            return False
        return self._rewind(response.request.body)

    def _again(self, response: Any, sending: dict[str, object]) -> Any:
        request = response.request.copy()
        for name in _OURS:
            if name != "date" or not self._dated:
                request.headers.pop(name, None)
        self.sign(request)
        return response.connection.send(request, **sending)

    def _rewind(self, body: Any) -> bool:
        """Whether the body can be sent once more, from where it began."""
        if body is None or isinstance(body, str | bytes | bytearray):
            return True
        if self._position is None:
            return False
        try:
            body.seek(self._position)
        except (AttributeError, OSError):
            return False
        return True


def _position(body: Any) -> int | None:
    try:
        return int(body.tell())
    except (AttributeError, OSError):
        return None


def _settle_count(body: Any) -> None:
    """Let the SDK's BufferedPartReader read again what it has read before.

    It stops when its own count of bytes reaches the part's size, and its `seek` leaves the count
    as it is: a part that is sent again would be announced in full and come without a byte.
    """
    if hasattr(body, "bytes_read") and hasattr(body, "tell"):
        body.bytes_read = body.tell()


def _service_date(response: Any) -> str | None:
    """The answer's Date, if the service wrote it: a proxy's page may carry the proxy's clock."""
    date: str | None = response.headers.get("date")
    return date if "opc-request-id" in response.headers else None


def _operation(request: Any) -> str:
    return f"{request.method} {urlsplit(request.url).path}"
