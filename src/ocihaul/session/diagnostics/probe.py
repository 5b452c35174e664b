"""Probe a service outside any session: is it reachable, what is its time, does it accept the token.

Each probe is a single exchange on a connection of its own, without retries and without renewal: it
shows the present state. `PresentCredential` signs with the session as the files have it: nothing is
renewed, nothing waits.
"""

import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ocihaul.clock import ServerClock, read_date
from ocihaul.config import Settings
from ocihaul.documents import DocumentError, read_object
from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError, UsageError
from ocihaul.session.credential import Credential, SessionToken, sign
from ocihaul.session.session import store_for
from ocihaul.threads import StopSign
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request, Stopped, WireError, excerpt
from ocihaul.transport.pool import exchange_once
from ocihaul.transport.proxies import proxy_for


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came back from `url`: a `status`, or an `error` with the `cure` if one is known.

    `untrusted`: the certificate is what is wrong. `clock_offset` is how many seconds the service's
    clock is ahead of ours, None where the answer had no Date. `code` and `message` are the
    service's own.
    """

    url: str
    status: int | None = None
    code: str | None = None
    message: str | None = None
    clock_offset: float | None = None
    error: str | None = None
    cure: str | None = None
    untrusted: bool = False


def proxies_of(
    urls: Mapping[str, str], *, explicit: str | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the proxy to each of these, by the same names, where there is one.

    One whose address is malformed is left out: the probe says what is wrong with it.
    """
    proxies = {}
    for name, url in urls.items():
        try:
            proxy = proxy_for(Origin.parse(url), explicit=explicit, environ=environ)
        except ConfigError:
            continue
        if proxy is not None:
            proxies[name] = str(proxy)
    return proxies


def probe_clock(dialer: Dialer, url: str, *, timeout: float) -> ProbeResult:
    """Send an unsigned HEAD of the base URL: any answer will do, only its Date matters."""
    origin = Origin.parse(url)
    return _exchange(dialer, origin, Request("HEAD", "/", {"host": origin.host_header}), timeout)


def probe_signed(
    dialer: Dialer,
    url: str,
    target: str,
    *,
    token: SessionToken,
    key: RSAPrivateKey,
    timeout: float,
) -> ProbeResult:
    """Send a signed GET; after a refusal for a wrong date, once more by the service's clock."""
    origin = Origin.parse(url)
    clock = ServerClock()
    credential = Credential.of_token(key, token, generation=1)
    reply = _exchange(dialer, origin, _signed(origin, target, credential, clock), timeout)
    if reply.status == 401 and reply.clock_offset is not None:
        clock.offset = reply.clock_offset
        if abs(clock.offset) > 5:
            reply = _exchange(dialer, origin, _signed(origin, target, credential, clock), timeout)
    return reply


def _signed(origin: Origin, target: str, credential: Credential, clock: ServerClock) -> Request:
    headers = sign(
        credential.key,
        credential.key_id,
        method="GET",
        target=target,
        host=origin.host_header,
        date=clock.http_date(),
    )
    return Request("GET", target, headers | {"accept": "application/json"})


def _exchange(dialer: Dialer, origin: Origin, request: Request, timeout: float) -> ProbeResult:
    url = str(origin)
    try:
        answer = exchange_once(dialer, origin, request, timeout=timeout, stop=threading.Event())
    except (ConfigError, UsageError) as error:
        untrusted = isinstance(error.__cause__, ssl.SSLCertVerificationError)
        return ProbeResult(url, error=error.message, cure=error.hint, untrusted=untrusted)
    except (WireError, Stopped) as error:
        return ProbeResult(url, error=str(error))
    code, message = error_fields(answer)
    return ProbeResult(
        url,
        status=answer.status,
        code=code,
        message=message,
        clock_offset=_offset(answer.headers.get("date"), time.time()),
    )


def _offset(date: str | None, now: float) -> float | None:
    theirs = read_date(date or "")
    # Dates are cut to whole seconds: on average half a second is missing.
    return None if theirs is None else theirs + 0.5 - now


def error_fields(answer: Answer) -> tuple[str | None, str | None]:
    """Return code and message of an error answer; None where it has none."""
    if answer.status < 400:
        return None, None
    try:
        document = read_object(answer.body)
    except DocumentError:
        return None, None
    values = document.get("code"), document.get("message")
    code, message = (excerpt(each) if isinstance(each, str) else None for each in values)
    return code, message


#: A token with less life than this, seconds, counts as expired.
_LEAST = 5.0


class PresentCredential:
    """A credential provider for what is in the files now; a 401 is final."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  a protocol
        """Return it, the same each time."""
        return self._credential

    def handle_unauthorized(
        self,
        credential: Credential,  # noqa: ARG002  a protocol
        operation: str,  # noqa: ARG002  a protocol
        cancel: StopSign | None = None,  # noqa: ARG002  a protocol
    ) -> bool:
        """Return False: there is no other."""
        return False


def present_credential(settings: Settings) -> PresentCredential | None:
    """Return what the profile's files sign with; None where their token has expired.

    Raises CredentialError when they are missing or broken.
    """
    pair = store_for(settings).read_once()
    if pair.token.expires_at - time.time() < _LEAST:
        return None
    return PresentCredential(Credential.of_token(pair.key, pair.token, generation=1))
