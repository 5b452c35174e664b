"""What to do about an answer or a broken connection, and how long to wait; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ocihaul.clock import read_date
from ocihaul.config.sources import login_command
from ocihaul.documents import DocumentError, read_object
from ocihaul.errors import NetworkError, ServiceError
from ocihaul.transport.message import ERROR_LIMIT, Answer, excerpt

#: A server may ask for a longer pause than ours, but not for ever, seconds.
_LONGEST_RETRY_AFTER = 300.0


class Action(Enum):
    """The kinds of answer."""

    ASK_SESSION = "ask session"
    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one operation is tried. Times are seconds.

    With `max_attempts` that number is the limit. Without, an operation is given up when both
    `min_attempts` were made and `no_progress` has passed since its first failure: an outage of
    some minutes is survived, and so is a slow part that fails now and then at its end. Where no
    connection can be made, it is given up after `unreachable` seconds: fewer where a person waits.
    """

    max_attempts: int | None = None
    min_attempts: int = 8
    no_progress: float = 600.0
    unreachable: float = 600.0
    first_backoff: float = 1.0
    longest_backoff: float = 30.0

    def gives_up(
        self, attempts: int, since_first_failure: float, *, unreachable: bool = False
    ) -> bool:
        """Whether the operation has failed for good after `attempts` attempts.

        `unreachable`: the last of them has not even got a connection.
        """
        if self.max_attempts is not None:
            return attempts >= self.max_attempts
        if unreachable and self.unreachable < self.no_progress:
            return since_first_failure >= self.unreachable
        return attempts >= self.min_attempts and since_first_failure >= self.no_progress

    def delay(self, attempts: int, chance: float, retry_after: float | None) -> float:
        """Full jitter (`chance` is in 0..1), never shorter than what the service asked for."""
        ceiling = min(self.first_backoff * 2.0 ** min(attempts - 1, 16), self.longest_backoff)
        return max(chance * ceiling, min(retry_after or 0.0, _LONGEST_RETRY_AFTER))


def rejection_delay(rejections: int, chance: float) -> float:
    """Seconds before what was renewed after a 401 is tried; `chance` is in 0..1.

    None for the first: most are mended at once. Full jitter from the second one in a row on: a
    service may take a second until all of it accepts a new token.
    """
    return 0.0 if rejections < 2 else chance * 0.5 * 2.0 ** (rejections - 2)


def classify(status: int, code: str | None) -> Action:
    """What an answer that is no success asks for.

    400, 403, 404, 412 and the like are final: the same request would fail again. 409 is final
    but for ConcurrentObjectUpdate, which is another writer's passing doing.
    """
    if status < 400:
        return Action.FAIL
    if status == 401:
        return Action.ASK_SESSION
    if status in {408, 429} or (status >= 500 and status != 501):
        return Action.RETRY
    if status == 409 and code == "ConcurrentObjectUpdate":
        return Action.RETRY
    return Action.FAIL


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    until = read_date(text)
    return None if until is None else max(until - now, 0.0)


#: What a code, an id or a media type may have, characters.
_WORD = 200
_HIDDEN = "The service also says this where the policy does not allow access."
_HINTS = {
    "BucketNotFound": f"Check `bucket`, `namespace` and `region`. {_HIDDEN}",
    "ObjectNotFound": f"Check the object's name, `bucket` and `region`. {_HIDDEN}",
    "NamespaceNotFound": f"Check `namespace` and `region`. {_HIDDEN}",
    "NotAuthorizedOrNotFound": f"Check the names and the region. {_HIDDEN}",
    "NotAuthenticated": "The credential was not accepted: check the profile, its key and the clock "
    f"of this machine, then log in again with: {login_command()}",
}


def service_error(answer: Answer, operation: str) -> ServiceError:
    """The error that an answer stands for; meaningful only when its status is one."""
    code, message = _code_and_message(answer)
    if answer.status == 401:
        code = code or "NotAuthenticated"
    return ServiceError(
        status=answer.status,
        code=code,
        message=message,
        operation=operation,
        headers=_with_short_id(answer.headers),
        hint=_HINTS.get(code or ""),
    )


def foreign(answer: Answer, operation: str) -> NetworkError:
    """The error that an answer stands for which has no name of the service's: it is another's.

    A captive portal, or a proxy that wants somebody to log in, says 200 to a commit, too, and a
    balancer without a service says 404 of an upload that is there.
    """
    kind = excerpt(answer.headers.get("content-type", "no content type"), _WORD)
    return NetworkError(
        f"{operation}: the answer is not the service's ({answer.status}, {kind})",
        hint="Check the proxies between this machine and the service: is there a page to log in?",
    )


def _with_short_id(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers; an opc-request-id that is none of the service's is of any length."""
    own = dict(headers)
    if "opc-request-id" in own:
        own["opc-request-id"] = excerpt(own["opc-request-id"], _WORD)
    return own


def _code_and_message(answer: Answer) -> tuple[str | None, str]:
    if answer.status < 300 or not answer.body:
        return None, ""
    try:
        document = read_object(answer.body)
    except DocumentError:
        if len(answer.body) >= ERROR_LIMIT:
            return None, f"the answer says more than {ERROR_LIMIT // 1024} KiB, and was not read"
        kind = excerpt(answer.headers.get("content-type", "no content type"), _WORD)
        return None, f"the answer is not the service's JSON ({kind}): is there a proxy on the way?"
    code, message = document.get("code"), document.get("message")
    return (
        excerpt(code, _WORD) if isinstance(code, str) else None,
        excerpt(message) if isinstance(message, str) else "",
    )
