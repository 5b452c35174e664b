"""`--report FILE` of a transfer: what its JSON log would say goes to a page at the end.

A page is never a reason to end a transfer: what goes wrong with it is a line of the log.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from ocihaul.cli.run_result import LogOrigin, RunResult
from ocihaul.cli.transfer_log import JsonLog
from ocihaul.cli.transfer_run import JsonChannel
from ocihaul.clock import local_time
from ocihaul.errors import OcihaulError
from ocihaul.report.reader import LogReader

#: Of the runs before this one, those of so many days and so many bytes of the log are shown.
_DAYS = 30
_LAST = 32 * 2**20


class TransferReport:
    """Hears a run through `channel`, or `beside` its JSON log; writes the page. Thread-safe."""

    def __init__(self, path: Path, origin: LogOrigin, *, directory: bool, log: Path | None) -> None:
        """`log` is the JSON log file with the runs before this one, if there is one."""
        self._path = path
        self._run = origin.run
        self._log = log
        self._lock = threading.Lock()  # guards the reader
        self._reader = LogReader(since=local_time(time.time()) - timedelta(days=_DAYS))
        self._lines = JsonLog(self._add, origin, directory=directory)

    def channel(self) -> JsonChannel:
        """Where there is no JSON log: lines of its own."""
        self._lines.begin()
        return JsonChannel(self._lines)

    def beside(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """Write lines of a JSON log, and hear them: to make them twice would cost twice."""

        def both(line: str) -> None:
            write(line)
            self._add(line)

        return both

    def write(self, result: RunResult, *, say: Callable[[str], None]) -> None:
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
        from ocihaul.cli.report_file import read_logs, write_report

        notes: list[str] = []
        with self._lock:
            if self._log is not None and self._log.is_file():
                notes = read_logs(self._reader, [str(self._log)], without=self._run, last=_LAST)
            now = local_time(time.time())
            write_report(str(self._path), self._reader, now=now, notes=notes)

    def _add(self, line: str) -> None:
        with self._lock:
            self._reader.add(line)
