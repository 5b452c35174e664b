"""How far a transfer is, as text: a sentence for the log, and a line that fits a terminal; pure.

The bar is made of ASCII. Its usual characters are two columns wide on East Asian terminals, and a
line that is too long by one column wraps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ocihaul.events import (
    ClockCorrected,
    DirectoryProgress,
    DownloadPlanned,
    Event,
    TokenChanged,
    TransferProgress,
    UploadPlanned,
)
from ocihaul.quantities import duration_text, size_text

#: After so many seconds without a byte the rate is no more than history.
STALLED = 10.0
#: Columns of the bar.
_LONGEST, _SHORTEST = 30, 6
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

#: A text with what it is: "bar", "failed", or "" for the rest.
Piece = tuple[str, str]


@dataclass(slots=True)
class TokenLife:
    """What events tell of the token; its owner takes care of locking."""

    expires_at: float | None = None
    #: How far the service's clock is ahead of ours, seconds.
    clock_offset: float = 0.0

    def add(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, TokenChanged):
            self.expires_at = event.expires_at
        elif isinstance(event, ClockCorrected):
            self.clock_offset = event.offset

    def text(self, now: float) -> str:
        """The life that the token has left; empty before anything is known."""
        if self.expires_at is None:
            return ""
        left = self.expires_at - now - self.clock_offset
        return f"token {duration_text(left)}" if left > 0 else "token expired"


def planned_progress(event: UploadPlanned | DownloadPlanned) -> TransferProgress:
    """How far it is before anything has moved."""
    fraction = None if event.size is None else float(not event.size)
    return TransferProgress(0, event.size, fraction, None, None, 0, event.part_count)


# In the log


def transfer_text(progress: TransferProgress, *, token: str, still: float) -> str:
    """One object, as a sentence; nothing has moved for `still` seconds."""
    count = "" if progress.part_count is None else f"/{progress.part_count}"
    left = None if still >= STALLED else progress.seconds_left
    parts = [
        _how_far(progress),
        _rate(progress.rate, still),
        f"{duration_text(left)} left" if left is not None else "time left unknown",
        f"parts {progress.parts_done}{count}",
        token,
    ]
    return ", ".join(part for part in parts if part)


def directory_text(progress: DirectoryProgress, *, still: float) -> str:
    """A directory, as a sentence."""
    deleted = progress.files_deleted
    moved = progress.files_done - deleted
    parts = [f"{moved} transferred ({size_text(progress.done)})"] if moved or not deleted else []
    if deleted:
        parts.append(f"{deleted} deleted")
    if progress.files_unchanged:
        parts.append(f"{progress.files_unchanged} unchanged")
    if progress.files_total:
        so_far = "" if progress.complete else " so far"
        size = f" ({size_text(progress.total)})" if progress.total or not deleted else ""
        parts.append(f"{progress.files_total} found{so_far}{size}")
    if progress.rate:
        parts.append(_rate(progress.rate, still))
    if progress.seconds_left and still < STALLED:
        parts.append(f"{duration_text(progress.seconds_left)} left")
    if progress.files_failed:
        parts.append(f"{progress.files_failed} failed")
    return ", ".join(parts)


def _how_far(progress: TransferProgress) -> str:
    if progress.total is None or progress.fraction is None:
        return f"{size_text(progress.done)} sent"
    percent = int(100 * progress.fraction)
    return f"{percent}% ({size_text(progress.done)} of {size_text(progress.total)})"


def _rate(rate: float | None, still: float) -> str:
    if still >= STALLED:
        return f"nothing moved for {duration_text(still)}"
    return "starting" if rate is None else f"{size_text(rate)}/s"


# At a terminal


def status_line(
    progress: TransferProgress | DirectoryProgress, columns: int, *, token: str, still: float
) -> list[Piece]:
    """The line below the log, `columns` wide at most; what matters less goes first.

    A fraction that is not known leaves the bar out.
    """
    chosen: Sequence[Piece] = ()
    for chosen in _choices(progress, token, still):
        if _width(chosen) + (_room(progress) if chosen else 0) <= columns:
            break
    bar = _bar(progress.fraction, columns - _width(chosen) - 1)
    line = [*([(bar, "bar"), (" ", "")] if bar else []), *_joined(chosen)]
    return _cut(line, columns)


def _room(progress: TransferProgress | DirectoryProgress) -> int:
    """What the bar takes at least, with the blank behind it."""
    return 0 if progress.fraction is None else _SHORTEST + 1


def _choices(
    progress: TransferProgress | DirectoryProgress, token: str, still: float
) -> Iterator[Sequence[Piece]]:
    """What to say beside the bar, the most first."""
    amount, short_amount = _amount(progress), _short_amount(progress)
    rate, short_rate = _speed(progress, still)
    left = progress.seconds_left if still < STALLED else None
    long_left = f"{duration_text(left)} left" if left is not None else ""
    short_left = f"{_short_time(left)} left" if left is not None else ""
    percent = "" if progress.fraction is None else f"{int(100 * progress.fraction):3d}%"
    if isinstance(progress, DirectoryProgress):
        files, failed = _files(progress), progress.files_failed
        trouble = (f"{failed} failed" if failed else "", "failed")
        counted = f"{files} file" if files == "1" else f"{files} files"
        rows = [
            [percent, counted, amount, rate, long_left],
            [percent, counted, short_amount, rate, short_left],
            [percent, counted, rate, short_left],
            [percent, files, short_rate, short_left],
            [percent, files, short_rate],
            [percent, files],
            [percent],
        ]
        for row in rows:
            yield _pieces([*row[:2], *([trouble] if trouble[0] else []), *row[2:]])
        yield _pieces([trouble])
    else:
        count = "" if progress.part_count is None else f"/{progress.part_count}"
        parts = f"parts {progress.parts_done}{count}"
        yield _pieces([percent, amount, rate, long_left, parts, token])
        yield _pieces([percent, amount, rate, long_left, parts])
        yield _pieces([percent, amount, rate, long_left])
        yield _pieces([percent, short_amount, rate, short_left])
        yield _pieces([percent, short_amount, short_rate, short_left])
        yield _pieces([percent or short_amount, short_rate, short_left])
        yield _pieces([percent or short_amount, short_rate])
        yield _pieces([percent or short_amount])


def _pieces(texts: Sequence[str | Piece]) -> list[Piece]:
    pieces = [(text, "") if isinstance(text, str) else text for text in texts]
    return [piece for piece in pieces if piece[0]]


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    for number, piece in enumerate(pieces):
        if number:
            yield "  ", ""
        yield piece


def _width(pieces: Sequence[Piece]) -> int:
    return sum(len(text) for text, _ in pieces) + 2 * max(0, len(pieces) - 1)


def _cut(line: Sequence[Piece], columns: int) -> list[Piece]:
    left, kept = columns, []
    for text, kind in line:
        kept.append((text[: max(0, left)], kind))
        left -= len(text)
    return [piece for piece in kept if piece[0]]


def _bar(fraction: float | None, columns: int) -> str:
    width = min(columns, _LONGEST)
    if fraction is None or width < _SHORTEST:
        return ""
    inside = width - 2
    full = int(inside * fraction)
    return f"[{'#' * full}{'.' * (inside - full)}]"


def _amount(progress: TransferProgress | DirectoryProgress) -> str:
    if progress.fraction is None or progress.total is None:
        return size_text(progress.done)
    return f"{size_text(progress.done)} of {size_text(progress.total)}"


def _short_amount(progress: TransferProgress | DirectoryProgress) -> str:
    """`27.3/60.0 MiB`: both in the unit of the larger one."""
    if progress.fraction is None or progress.total is None:
        return size_text(progress.done)
    divisor, unit = _unit(progress.total)
    digits = 0 if unit == "B" else 1
    return f"{progress.done / divisor:.{digits}f}/{progress.total / divisor:.{digits}f} {unit}"


def _unit(size: int) -> tuple[int, str]:
    power = 0
    while power < len(_UNITS) - 1 and size >= 1024 ** (power + 1):
        power += 1
    return 1024**power, _UNITS[power]


def _speed(progress: TransferProgress | DirectoryProgress, still: float) -> tuple[str, str]:
    """The rate, at length and in short."""
    if still >= STALLED and progress.fraction != 1.0:
        return f"nothing moved for {duration_text(still)}", f"still {_short_time(still)}"
    if progress.rate is None:
        return "starting", "starting"
    text = f"{size_text(progress.rate)}/s"
    return text, text


def _files(progress: DirectoryProgress) -> str:
    done = progress.files_done + progress.files_unchanged + progress.files_failed
    return f"{done}/{progress.files_total}" if progress.complete else f"{done}"


def _short_time(seconds: float) -> str:
    """`59s`, `12m05s`, `3h07m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
