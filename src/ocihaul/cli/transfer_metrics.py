"""`--metrics-file` of a transfer: its result as Prometheus text, for a textfile collector.

One file holds one job, the latest run of it: a second run replaces the file as a whole. What a
failed run must not forget (when the last one succeeded, how many have failed) is read from the
file that is there; where it cannot be read, counting begins anew.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ocihaul.cli.run_result import KEPT_DIFFERENT, RunResult
from ocihaul.session.keeper.reporting import head, labels, number, write_metrics

_SUCCESS = "transfer_last_success_timestamp_seconds"
_FAILED_RUNS = "transfer_failed_runs_total"
_RUNS = "transfer_runs_total"
_KEPT = re.compile(r"^ocihaul_(\w+)\{[^\n]*\} ([0-9.e+]+)$", re.MULTILINE | re.ASCII)
#: Bytes of a metrics file that are read.
_LARGEST = 2**20


def update_metrics(path: Path, result: RunResult, now: float) -> None:
    """Replace the file atomically; raises OSError."""
    write_metrics(path, transfer_exposition(result, now, earlier=_read(path)))


def _read(path: Path) -> Mapping[str, float]:
    found: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                text = file.read(_LARGEST).decode("utf-8", "replace")
            for name, value in _KEPT.findall(text):
                found[name] = float(value)
    return found


def transfer_exposition(result: RunResult, now: float, *, earlier: Mapping[str, float]) -> str:
    """Return the whole file; `earlier` are the values of the one before it, by metric."""
    return "".join(f"{line}\n" for line in _lines(result, now, earlier))


def _lines(result: RunResult, now: float, earlier: Mapping[str, float]) -> Iterator[str]:
    good = result.exit == 0 and result.state != KEPT_DIFFERENT  # then nothing was backed up
    success = now if good else earlier.get(_SUCCESS)
    failed = int(not good) if result.files is None else max(result.files.failed, int(not good))
    gauges = (
        (
            "transfer_success",
            "1 when the last run succeeded: exit status 0, and no other object was kept.",
            float(good),
        ),
        ("transfer_last_run_timestamp_seconds", "End of the last run.", now),
        (_SUCCESS, "End of the last run that succeeded.", success),
        ("transfer_duration_seconds", "Length of the last run.", result.seconds),
        ("transfer_bytes", "Bytes of what the last run transferred.", result.bytes),
        ("transfer_moved_bytes", "Bytes that the last run moved.", result.moved),
        ("transfer_resent_bytes", "Bytes that the last run sent twice.", result.resent_bytes),
        ("transfer_failures", "Files or objects that failed in the last run.", failed),
        ("transfer_renewals", "Renewals of the session in the last run.", result.renewals),
        ("transfer_rejections", "Answers with 401 in the last run.", result.rejections),
        ("transfer_retries", "Retries in the last run.", result.retries),
        ("transfer_exit_status", "Exit status of the last run.", result.exit),
    )
    of = labels(command=result.command)
    for name, text, value in gauges:
        yield from head(name, "gauge", text)
        if value is not None:
            yield f"ocihaul_{name}{of} {number(value)}"
    for name, text, more in (
        (_RUNS, "Runs.", 1),
        (_FAILED_RUNS, "Runs that did not succeed.", int(not good)),
    ):
        yield from head(name, "counter", text)
        yield f"ocihaul_{name}{of} {number(earlier.get(name, 0) + more)}"
