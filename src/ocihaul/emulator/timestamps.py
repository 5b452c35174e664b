"""Times as the service writes and reads them in JSON."""

from datetime import UTC, datetime


def timestamp(seconds: float) -> str:
    """RFC 3339 with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def read_timestamp(text: str) -> float | None:
    """Epoch seconds; None for what is no time, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()
