"""What to do about an answer or a broken connection, and how long to wait; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ocihaul.clock import read_date
from ocihaul.wire.stall import MOST_REPLACEMENTS

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
    some minutes is survived, and so is a slow part that fails now and then at its end.
    """

    max_attempts: int | None = None
    min_attempts: int = 8
    no_progress: float = 600.0
    first_backoff: float = 1.0
    longest_backoff: float = 30.0

    @property
    def replacements(self) -> int:
        """How many times a call whose body stalls may go on over another connection."""
        attempts = MOST_REPLACEMENTS + 1 if self.max_attempts is None else self.max_attempts
        return min(MOST_REPLACEMENTS, max(attempts, 1) - 1)

    def gives_up(self, attempts: int, since_first_failure: float) -> bool:
        """Whether the operation has failed for good after `attempts` attempts."""
        if self.max_attempts is not None:
            return attempts >= self.max_attempts
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
