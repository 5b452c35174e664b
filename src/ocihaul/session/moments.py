"""Times as people read them."""

from datetime import UTC, datetime


def moment(epoch: float) -> str:
    """An epoch time as `2026-11-07 10:53:27 UTC`."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def length(seconds: float) -> str:
    """A length of time: `38 s`, `60 min`, `6.5 h`."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
