"""What a caller asks of the log, the hooks and the metrics of a transfer: flags, then variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocihaul.config.settings import Found, duration
from ocihaul.errors import UsageError

#: Seconds between two lines of progress, and the least there may be.
INTERVAL = 30.0
_SHORTEST = 1.0
FORMATS = ("text", "json")
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """`format` is that of `file`, or of stderr where there is none; `interval` is in seconds."""

    format: str = "text"
    file: Path | None = None
    quiet: bool = False
    verbose: bool = False
    interval: float = INTERVAL
    on_finish: str | None = None
    on_failure: str | None = None
    metrics_file: Path | None = None
    report: Path | None = None
    #: Their URLs may hold secrets.
    notify: str | None = field(default=None, repr=False)

    @property
    def stderr_is_json(self) -> bool:
        """Whether stderr is the JSON log."""
        return self.format == "json" and self.file is None


def log_options(values: Mapping[str, Any], environ: Mapping[str, str]) -> LogOptions:
    """Of the global options by their parameter names, and OCIHAUL_…; raises UsageError."""

    def text(name: str) -> str | None:
        value = values.get(name) or environ.get(f"OCIHAUL_{name.upper()}")
        return str(value) if value else None

    def switch(name: str) -> bool:
        variable = environ.get(f"OCIHAUL_{name.upper()}", "")
        return bool(values.get(name, variable.lower() in _TRUE))

    log_format = text("log_format") or "text"
    if log_format not in FORMATS:
        raise UsageError(
            f"OCIHAUL_LOG_FORMAT: {log_format!r} (it can be text or json)", hint="Or unset it."
        )
    quiet, verbose = switch("quiet"), switch("verbose")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", hint="Leave one out.")
    file, metrics, report = text("log_file"), text("metrics_file"), text("report")
    if report == "-":  # stdout has the answer, or the object itself
        raise UsageError("--report: - (a file)", hint="Such as --report report.html.")
    if report is not None and report in (file, metrics):
        raise UsageError(
            f"--report: {report} (another file than those of --log-file and --metrics-file)",
            hint="The page would replace it. Such as --report report.html.",
        )
    return LogOptions(
        format=log_format,
        file=Path(file).expanduser() if file else None,
        quiet=quiet,
        verbose=verbose,
        interval=_interval(text("progress_interval")),
        on_finish=text("on_finish"),
        on_failure=text("on_failure"),
        notify=text("notify"),
        metrics_file=Path(metrics).expanduser() if metrics else None,
        report=Path(report).expanduser() if report else None,
    )


def _interval(text: str | None) -> float:
    if text is None:
        return INTERVAL
    seconds = duration(Found(text, "--progress-interval"))
    if seconds < _SHORTEST:
        raise UsageError(
            f"--progress-interval: {text} (at least 1s)", hint="Such as 10s, 30s or 5m."
        )
    return seconds
