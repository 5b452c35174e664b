"""Sizes, lengths of time and moments as people read them; pure."""

from datetime import UTC, datetime, tzinfo

from ocihaul.clock import local_time


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


def time_text(epoch: float, zone: tzinfo | None = None, *, unit: str = "seconds") -> str:
    """A moment in local time (or in `zone`), with the zone: `2026-11-23 05:02:47+09:00`."""
    return local_time(epoch, zone).isoformat(" ", unit)


def utc_text(epoch: float) -> str:
    """The same in UTC: `2026-11-07 10:53:27 UTC`."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
