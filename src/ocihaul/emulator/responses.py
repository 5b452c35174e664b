"""What a handler returns or raises, and how the service writes it: JSON, errors, times."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NOT_AUTHENTICATED = (
    "The required information to complete authentication was not provided or was incorrect."
)


@dataclass(slots=True)
class Answer:
    """Status, headers and a body: `content`, or `stream` of exactly `length` bytes.

    `length` alone (no stream) is what HEAD answers: a content-length with nothing behind it.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    stream: Iterator[bytes] | None = None
    length: int | None = None
    #: Called when the answer has been sent, or could not be.
    cleanup: Callable[[], None] | None = None


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    """An answer whose body is `value` as JSON."""
    return Answer(
        status=status,
        headers={"content-type": "application/json", **headers},
        content=json.dumps(value).encode(),
    )


class ApiError(Exception):
    """The service refuses; `detail` is the precise reason, for the log only."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = dict(headers)

    def answer(self) -> Answer:
        """The error as the service writes it; 304 has no body."""
        if self.status == 304:
            return Answer(status=304, headers=self.headers)
        body = {"code": self.code, "message": self.message}
        return json_answer(body, status=self.status, headers=self.headers)


def not_authenticated(detail: str) -> ApiError:
    """The one 401 of the service, whatever the reason."""
    return ApiError(401, "NotAuthenticated", NOT_AUTHENTICATED, detail=detail)


def timestamp(seconds: float) -> str:
    """RFC 3339 with milliseconds, without a fraction where they are zero."""
    moment = datetime.fromtimestamp(seconds, UTC)
    milliseconds = moment.microsecond // 1000
    fraction = f".{milliseconds:03d}" if milliseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def read_timestamp(text: str) -> float | None:
    """Epoch seconds; None for what is no time, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()
