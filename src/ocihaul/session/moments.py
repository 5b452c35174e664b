"""Times as people read them."""

from datetime import UTC, datetime


def moment(epoch: float) -> str:
    """An epoch time as `2026-11-07 10:53:27 UTC`."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
