"""`ocihaul report`: the nights as a page, from JSON logs and the journal's receipts."""

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def _from_settings(invocation: Invocation) -> "Sequence[str]":
    from ocihaul.errors import UsageError

    known = invocation.given.values.get("log_file") or os.environ.get("OCIHAUL_LOG_FILE")
    if not known:
        raise UsageError(
            "report: no log (one or more files of --log-file with --log-format json)",
            hint="Name them, or set OCIHAUL_LOG_FILE: ocihaul report night.jsonl -o night.html",
        )
    return [os.path.expanduser(str(known))]  # noqa: PTH111  a text, as the arguments are


def _run(invocation: Invocation, logs: "Sequence[str]") -> None:
    import time

    from ocihaul.cli.report_file import STREAM, read_logs, receipts_since, write_report
    from ocihaul.clock import local_time
    from ocihaul.errors import OutputError
    from ocihaul.report.reader import LogReader

    target = str(invocation.options.get("output_file") or "report.html")
    _refuse_log(target, logs)
    now = local_time(time.time())
    since = _since(now, str(invocation.options.get("since") or _SINCE))
    reader = LogReader(since=since)
    notes = read_logs(reader, logs)
    receipts, missing = receipts_since(since)
    try:
        headline = write_report(target, reader, now=now, receipts=receipts, notes=notes + missing)
    except OSError as error:
        raise OutputError(
            f"{target}: the page cannot be written: {error.strerror or error}",
            hint="Name another file with -o.",
        ) from error
    invocation.tell(*(f"Notice: {each}" for each in notes + missing))
    invocation.tell(headline if target == STREAM else f"{headline} The page is {target}")


def _refuse_log(target: str, logs: "Sequence[str]") -> None:
    from pathlib import Path

    from ocihaul.cli.report_file import STREAM
    from ocihaul.errors import UsageError

    files = [Path(each) for each in logs if each != STREAM]
    page = Path(target)
    if page.is_file() and any(each.exists() and each.samefile(page) for each in files):
        raise UsageError(
            f"-o: {target} is one of the logs (the page would replace it)",
            hint="Name another file, such as -o report.html.",
        )


def _since(now: datetime, text: str) -> datetime:
    from ocihaul.cli.options import age
    from ocihaul.errors import UsageError

    try:
        return now - timedelta(seconds=age(text, "--since"))
    except OverflowError:
        raise UsageError(f"--since: {text} (such as 7d or 12h)", hint="Or leave it out.") from None
