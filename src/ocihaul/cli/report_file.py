"""Logs and receipts in, a page out: the files around `ocihaul.report`."""

import errno
import gzip
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from ocihaul import __version__
from ocihaul.clock import local_time
from ocihaul.errors import JournalError, UsageError
from ocihaul.report.page import DOCTYPE, ReceiptRow, ReportContents, page
from ocihaul.report.reader import LogReader
from ocihaul.report.records import LONGEST_LINE, LogRecord, read_record
from ocihaul.report.verdict import verdict_of

#: What stands for stdin and stdout.
STREAM = "-"
_GZIP = b"\x1f\x8b"
#: Only its owner reads a page that is made: names of objects are nobody else's business.
_MODE = 0o600


def read_logs(
    reader: LogReader,
    names: Sequence[str],
    *,
    without: str | None = None,
    last: int | None = None,
) -> list[str]:
    """Read logs, oldest first, whichever order they are given in; returns what is to be noted.

    A log may be compressed with gzip. Of each, at most the `last` bytes are read, and the run
    `without` is left out. Raises UsageError for one that cannot be read.
    """
    notes: list[str] = []
    for name in sorted(dict.fromkeys(names), key=_first_moment):
        lines, broken = reader.lines, reader.broken
        with _opened(name, last) as file:
            reader.read(_lines(name, file, notes), without=without)
        if reader.lines == lines and reader.broken > broken:
            notes.append(f"{name} has no line of a JSON log (--log-format json writes one).")
        elif reader.broken > broken:
            notes.append(f"{name}: lines that are torn or no JSON: {reader.broken - broken}.")
    if reader.later:
        notes.append(f"Lines of a later version of ocihaul, left out: {reader.later}.")
    if reader.left_out:
        notes.append(f"Older runs, left out (see --since): {reader.left_out}.")
    return notes


def _first_moment(name: str) -> float:
    """When the first event of a log was; what can be read only once comes last."""
    if name == STREAM or not Path(name).is_file():
        return float("inf")
    with _opened(name) as file:
        for line in _lines(name, file, []):
            record = read_record(line)
            if isinstance(record, LogRecord):
                return record.at.timestamp()
    return 0.0


@contextmanager
def _opened(name: str, last: int | None = None) -> Iterator[IO[bytes]]:
    if name == STREAM:
        yield _plain(cast("BufferedReader", sys.stdin.buffer))
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115  closed below
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    with file:
        plain = _plain(file)
        if plain is file and last is not None and os.fstat(file.fileno()).st_size > last:
            file.seek(-last, os.SEEK_END)
            file.readline()
        yield plain


def _plain(file: BufferedReader) -> IO[bytes]:
    """The file, or what is compressed in it."""
    if file.peek(2)[:2] == _GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    return file


def _lines(name: str, file: IO[bytes], notes: list[str]) -> Iterator[bytes]:
    """Its lines; one that is longer than any of a log comes in pieces, which are none."""
    try:
        while line := file.readline(LONGEST_LINE):
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        notes.append(f"{name}: what is compressed ends early or is damaged: {error}")
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(
        f"{name}: the log cannot be read: {reason}",
        hint="Name logs that --log-file with --log-format json has written.",
    )


def receipts_since(since: datetime | None) -> tuple[list[ReceiptRow], list[str]]:
    """The journal's receipts, and what is to be noted where it cannot be read."""
    from ocihaul.cli.client import journal_to_read

    try:
        with journal_to_read() as journal:
            kept = journal.receipts()
    except JournalError as error:
        return [], [f"The journal's receipts are missing: {error.message}"]
    found = [
        ReceiptRow(
            row=each.row,
            where=f"{each.target.bucket}/{each.target.object}",
            size=each.size,
            finished=local_time(each.finished_at),
        )
        for each in kept
    ]
    return [each for each in found if since is None or each.finished >= since], []


def write_report(
    target: str,
    reader: LogReader,
    *,
    now: datetime,
    receipts: Sequence[ReceiptRow] = (),
    notes: Sequence[str] = (),
) -> str:
    """Write the page and return its answer, one sentence. Raises OSError."""
    runs = reader.runs
    document = page(
        ReportContents(runs=runs, receipts=receipts, notes=notes, now=now, version=__version__)
    )
    if target == STREAM:
        sys.stdout.buffer.write(document.encode())
        sys.stdout.buffer.flush()
    else:
        _replace(Path(target).expanduser(), document.encode())
    return verdict_of(runs, now).headline


def _replace(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all; what is no plain file is written to.

    Raises OSError, also for a file that is no page: a slip of the pen must not cost a backup.
    """
    if path.exists() and not path.is_file():
        _write_to(path, data)
        return
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else _MODE
    if path.exists() and not _is_page(path):
        raise FileExistsError(errno.EEXIST, "there is a file that is no page (HTML); it is kept")
    descriptor, name = tempfile.mkstemp(prefix=".ocihaul-report-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:  # a Ctrl-C, too
        temporary.unlink(missing_ok=True)
        raise


def _is_page(path: Path) -> bool:
    """Whether it begins as a page does, or is empty."""
    with path.open("rb") as file:
        return file.read(len(DOCTYPE)).lower() in {b"", DOCTYPE.encode().lower()}


def _write_to(path: Path, data: bytes) -> None:
    """Write to a device or a pipe, which must have a reader: none is waited for."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(data)
