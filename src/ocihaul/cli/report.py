"""`ocihaul report` and `--report FILE`: pages of JSON logs and of the journal's receipts.

A page is never a reason to end a transfer: what goes wrong with it is a line of the log.
"""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

from ocihaul import __version__
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, settle
from ocihaul.errors import JournalError, OcihaulError, UsageError

if TYPE_CHECKING:
    from ocihaul.cli.run_result import LogOrigin, RunResult
    from ocihaul.cli.transfer_run import JsonChannel
    from ocihaul.report.page import ReceiptRow
    from ocihaul.report.runs import LogReader


_SINCE = "30d"


@click.command("report")
@click.argument("logs", metavar="[LOG]...", nargs=-1)
@click.option("--since", metavar="AGE", help=f"How far back, such as 7d or 12h. [{_SINCE}]")
@click.option(
    "-o", "--output-file", metavar="FILE", help="The page; - is standard output. [report.html]"
)
@global_options(hidden=True, without={"report"})
@click.pass_context
def report(context: click.Context, /, **options: Any) -> None:
    """Draw a page (HTML) of the nights: did they end well, and what happened when.

    Each LOG is one that --log-file with --log-format json has written; it may be compressed with
    gzip, and - is standard input. Without any, it is OCIHAUL_LOG_FILE. The page needs no network.
    """
    logs: Sequence[str] = options.pop("logs")
    invocation = settle(context, options, command=("report",))
    _run(invocation, logs or _from_settings(invocation))


def _from_settings(invocation: Invocation) -> Sequence[str]:
    known = invocation.given.values.get("log_file") or os.environ.get("OCIHAUL_LOG_FILE")
    if not known:
        raise UsageError(
            "report: no log (one or more files of --log-file with --log-format json)",
            hint="Name them, or set OCIHAUL_LOG_FILE: ocihaul report night.jsonl -o night.html",
        )
    return [os.path.expanduser(str(known))]  # noqa: PTH111  a text, as the arguments are


def _run(invocation: Invocation, logs: Sequence[str]) -> None:
    from ocihaul.clock import local_time
    from ocihaul.errors import OutputError
    from ocihaul.report.runs import LogReader

    target = str(invocation.options.get("output_file") or "report.html")
    _refuse_log(target, logs)
    now = local_time(time.time())
    since = _since(now, str(invocation.options.get("since") or _SINCE))
    reader = LogReader(since=since)
    notes = read_logs(reader, logs)
    receipts, missing = receipts_since(since)
    try:
        headline = write_report(target, reader, now=now, receipts=receipts, notes=notes + missing)
    except BrokenPipeError:  # `head` has enough
        raise
    except OSError as error:
        raise OutputError(
            f"{target}: the page cannot be written: {error.strerror or error}",
            hint="Name another file with -o.",
        ) from error
    invocation.tell(*(f"Notice: {each}" for each in notes + missing))
    invocation.tell(headline if target == STREAM else f"{headline} The page is {target}")


def _refuse_log(target: str, logs: Sequence[str]) -> None:

    files = [Path(each) for each in logs if each != STREAM]
    page = Path(target)
    if page.is_file() and any(each.exists() and each.samefile(page) for each in files):
        raise UsageError(
            f"-o: {target} is one of the logs (the page would replace it)",
            hint="Name another file, such as -o report.html.",
        )


def _since(now: datetime, text: str) -> datetime:
    from ocihaul.cli.options import age

    try:
        return now - timedelta(seconds=age(text, "--since"))
    except OverflowError:
        raise UsageError(f"--since: {text} (such as 7d or 12h)", hint="Or leave it out.") from None


#: What stands for stdin and stdout.
STREAM = "-"
_GZIP = b"\x1f\x8b"
#: Only its owner reads a page that is made: names of objects are nobody else's business.
_MODE = 0o600


def read_logs(
    reader: "LogReader",
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
    from ocihaul.report.records import LogRecord, read_record

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
    import gzip

    if file.peek(2)[:2] == _GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    return file


def _lines(name: str, file: IO[bytes], notes: list[str]) -> Iterator[bytes]:
    """Its lines; one that is longer than any of a log comes in pieces, which are none."""
    import gzip
    import zlib

    from ocihaul.report.records import LONGEST_LINE

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


def receipts_since(since: datetime | None) -> "tuple[list[ReceiptRow], list[str]]":
    """The journal's receipts, and what is to be noted where it cannot be read."""
    from ocihaul.cli.client import journal_to_read
    from ocihaul.clock import local_time
    from ocihaul.report.page import ReceiptRow

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
    reader: "LogReader",
    *,
    now: datetime,
    receipts: "Sequence[ReceiptRow]" = (),
    notes: Sequence[str] = (),
) -> str:
    """Write the page and return its answer, one sentence. Raises OSError."""
    from ocihaul.report.page import ReportContents, page
    from ocihaul.report.verdict import verdict_of

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
    import tempfile

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
    from ocihaul.report.page import DOCTYPE

    with path.open("rb") as file:
        return file.read(len(DOCTYPE)).lower() in {b"", DOCTYPE.encode().lower()}


def _write_to(path: Path, data: bytes) -> None:
    """Write to a device or a pipe, which must have a reader: none is waited for."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(data)


#: Of the runs before this one, those of so many days and so many bytes of the log are shown.
_DAYS = 30
_LAST = 32 * 2**20


class TransferReport:
    """Hears a run through `channel`, or `beside` its JSON log; writes the page. Thread-safe."""

    def __init__(
        self, path: Path, origin: "LogOrigin", *, directory: bool, log: Path | None
    ) -> None:
        """`log` is the JSON log file with the runs before this one, if there is one."""
        from ocihaul.cli.transfer_log import JsonLog
        from ocihaul.clock import local_time
        from ocihaul.report.runs import LogReader

        self._path = path
        self._run = origin.run
        self._log = log
        self._lock = threading.Lock()  # guards the reader
        self._reader = LogReader(since=local_time(time.time()) - timedelta(days=_DAYS))
        self._lines = JsonLog(self._add, origin, directory=directory)

    def channel(self, origin: "LogOrigin", *, directory: bool) -> "JsonChannel":
        """Where there is no JSON log: lines of its own, for each transfer."""
        from ocihaul.cli.transfer_log import JsonLog
        from ocihaul.cli.transfer_run import JsonChannel

        lines = JsonLog(self._add, origin, directory=directory)
        lines.begin()
        return JsonChannel(lines)

    def beside(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """Write lines of a JSON log, and hear them: to make them twice would cost twice."""

        def both(line: str) -> None:
            write(line)
            self._add(line)

        return both

    def write(self, result: "RunResult", *, say: Callable[[str], None]) -> None:
        """Write the page; what goes wrong is said through `say`, which this hears, too."""
        self._lines.result(result)
        try:
            self._write()
        except OcihaulError as error:
            say(f"--report {self._path}: {error.message}")
        except OSError as error:
            say(f"--report {self._path}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001  the transfer's result stands whatever this is
            say(f"--report {self._path}: {type(error).__name__}: {error}")

    def _write(self) -> None:

        from ocihaul.clock import local_time

        notes: list[str] = []
        with self._lock:
            if self._log is not None and self._log.is_file():
                notes = read_logs(self._reader, [str(self._log)], without=self._run, last=_LAST)
            now = local_time(time.time())
            write_report(str(self._path), self._reader, now=now, notes=notes)

    def _add(self, line: str) -> None:
        with self._lock:
            self._reader.add(line)
