"""Sizes, lengths of time and moments, as people read them and as HTTP writes them; pure."""

from datetime import UTC, datetime, tzinfo
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache


def size_text(count: float) -> str:
    """Bytes in binary units: `128.0 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def duration_text(seconds: float) -> str:
    """A length of time: `59 s`, `12 min 05 s`, `3 h 07 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


@lru_cache(maxsize=8)  # answers that come in the same second bear the same
def read_date(text: str) -> float | None:
    """Epoch seconds of a date as mails and HTTP write it; None when it is none.

    Without a zone, or with -0000, it is UTC: the local zone has no part in it.
    """
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def local_time(epoch: float, zone: tzinfo | None = None) -> datetime:
    """A moment in the local zone, or in `zone`.

    In UTC where Python cannot reckon with the zone (TZ=UTC+26), nor with the moment in it (the
    last day of the year 9999): nothing is to fail for that.
    """
    moment = datetime.fromtimestamp(epoch, UTC)
    try:
        return moment.astimezone(zone)
    except (ValueError, OverflowError):
        return moment


@lru_cache(maxsize=8)
def http_date(seconds: int) -> str:
    """A moment, epoch seconds, as HTTP writes it: `Tue, 24 Nov 2026 10:00:00 GMT`."""
    return formatdate(seconds, usegmt=True)


def time_text(epoch: float, zone: tzinfo | None = None, *, unit: str = "seconds") -> str:
    """A moment in local time (or in `zone`), with the zone: `2026-11-23 05:02:47+09:00`."""
    return local_time(epoch, zone).isoformat(" ", unit)


def utc_text(epoch: float) -> str:
    """The same in UTC: `2026-11-07 10:53:27 UTC`."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
