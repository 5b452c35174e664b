"""One question to a service, outside any session: is it there, what is its time, are we let in.

Each is a single exchange on a connection of its own, without retries and without renewal: these
answers are for people who want to know how things stand.
"""

import ssl
import threading
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ocihaul.clock import ServerClock, read_date
from ocihaul.documents import DocumentError, read_object
from ocihaul.errors import ConfigError, UsageError
from ocihaul.session.credential import Credential
from ocihaul.session.token import SessionToken
from ocihaul.signing import sign
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Answer, Request, Stopped, WireError, excerpt
from ocihaul.transport.origin import Origin
from ocihaul.transport.pool import exchange_once


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from `url`: a `status`, or an `error` with the `cure` if one is known.

    `untrusted`: what is wrong is the certificate. `clock_offset` is how many seconds the service's
    clock is ahead of ours, None where the answer had no Date. `code` and `message` are the
    service's own words.
    """

    url: str
    status: int | None = None
    code: str | None = None
    message: str | None = None
    clock_offset: float | None = None
    error: str | None = None
    cure: str | None = None
    untrusted: bool = False


def ask_time(dialer: Dialer, url: str, *, timeout: float) -> Reply:
    """An unsigned HEAD of the base URL: any answer will do, its Date is what matters."""
    origin = Origin.parse(url)
    return _ask(dialer, origin, Request("HEAD", "/", {"host": origin.host_header}), timeout)


def ask_signed(
    dialer: Dialer,
    url: str,
    target: str,
    *,
    token: SessionToken,
    key: RSAPrivateKey,
    timeout: float,
) -> Reply:
    """A signed GET; when it is refused for a wrong date, once more with the service's own."""
    origin = Origin.parse(url)
    clock = ServerClock()
    credential = Credential.of_token(key, token, generation=1)
    reply = _ask(dialer, origin, _signed(origin, target, credential, clock), timeout)
    if reply.status == 401 and reply.clock_offset is not None:
        clock.offset = reply.clock_offset
        if abs(clock.offset) > 5:
            reply = _ask(dialer, origin, _signed(origin, target, credential, clock), timeout)
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


def _ask(dialer: Dialer, origin: Origin, request: Request, timeout: float) -> Reply:
    url = str(origin)
    try:
        answer = exchange_once(dialer, origin, request, timeout=timeout, stop=threading.Event())
    except (ConfigError, UsageError) as error:
        untrusted = isinstance(error.__cause__, ssl.SSLCertVerificationError)
        return Reply(url, error=error.message, cure=error.hint, untrusted=untrusted)
    except (WireError, Stopped) as error:
        return Reply(url, error=str(error))
    code, message = _words(answer)
    return Reply(
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


def _words(answer: Answer) -> tuple[str | None, str | None]:
    if answer.status < 400:
        return None, None
    try:
        document = read_object(answer.body)
    except DocumentError:
        return None, None
    words = document.get("code"), document.get("message")
    code, message = (excerpt(each) if isinstance(each, str) else None for each in words)
    return code, message
