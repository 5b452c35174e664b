"""`ocihaul receipts …`: what the journal keeps of finished uploads; `ocihaul verify` checks one."""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import global_options
from ocihaul.cli.groups import LazyGroup
from ocihaul.cli.invocation import Invocation, settle
from ocihaul.cli.process import DONE, FAILED

if TYPE_CHECKING:
    from ocihaul.config import Settings
    from ocihaul.events import Listener
    from ocihaul.transfer.journal.journal import KeptReceipt
    from ocihaul.transfer.receipt_check import FileVerdict, ObjectVerdict


@click.group("receipts", cls=LazyGroup)
@global_options(hidden=True)
def receipts() -> None:
    """The receipts of finished uploads, which the journal keeps."""


@receipts.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as --output json does.")
@global_options(hidden=True)
@click.pass_context
def list_(context: click.Context, /, **options: Any) -> None:
    """List them, the oldest first."""
    from ocihaul.cli.client import journal_to_read
    from ocihaul.printing import say
    from ocihaul.quantities import size_text, time_text

    invocation = settle(context, options, command=("receipts", "list"))
    with journal_to_read() as journal:
        kept = journal.receipts()
    given = invocation.given.values
    if invocation.options["as_json"] or given.get("output") or given.get("query"):
        invocation.answer({"data": [_document(each) for each in kept]})
        return
    for each in kept:
        where = f"{each.target.bucket}/{each.target.object}"
        line = f"{each.row:6}  {time_text(each.finished_at)}  {size_text(each.size):>10}  {where}"
        say(sys.stdout, line + ("  (its file was not written)" if each.owed else ""))
    if not kept:
        invocation.tell("The journal has no receipts.")


@receipts.command("show")
@click.argument("row", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@global_options(hidden=True)
def show(row: int) -> None:
    """Print one, as --receipt writes it; ID is from the list."""
    from ocihaul.cli.client import journal_to_read
    from ocihaul.errors import ReceiptError
    from ocihaul.printing import write_answer

    with journal_to_read() as journal:
        text = journal.receipt(row)
    if text is None:
        raise ReceiptError(
            f"the journal has no receipt {row}", hint="List them with: ocihaul receipts list"
        )
    write_answer(sys.stdout, [text])


@receipts.command("clean")
@click.option("--older-than", help="Such as 90d or 12h. [required]")
@global_options(hidden=True)
@click.pass_context
def clean(context: click.Context, /, **options: Any) -> None:
    """Drop those of uploads that finished longer ago; receipts in files are left alone.

    One that is owed stays until it is in its file: it could not be written there.
    """
    from ocihaul.cli.client import journal_to_read
    from ocihaul.cli.options import age

    invocation = settle(context, options, command=("receipts", "clean"))
    seconds = age(invocation.options["older_than"])
    with journal_to_read() as journal:
        count = journal.drop_receipts(time.time() - seconds)
    invocation.tell(f"{count} dropped")


def _document(kept: "KeptReceipt") -> dict[str, object]:
    from dataclasses import asdict

    from ocihaul.cli.output import iso

    return {
        "id": kept.row,
        **asdict(kept.target),
        "etag": kept.etag,
        "size": kept.size,
        "finished": iso(kept.finished_at),
        "owed": kept.owed,
    }


_VERIFY = ("verify",)


@click.command("verify")
@click.argument("receipt")
@click.option("--file", help="The file to compare. [the one that was sent]")
@click.option("--no-file", is_flag=True, help="Compare the object alone.")
@click.option("--no-object", is_flag=True, help="Compare the file alone; nothing is asked.")
@click.option("--encryption-key-file", help="The key of an object with a key of yours (SSE-C).")
@global_options(hidden=True)
@click.pass_context
def verify(context: click.Context, /, receipt: str, **options: Any) -> None:
    """Compare a file and an object with the RECEIPT of their upload.

    The file is read once, part by part. Of the object only the headers are asked for: one in the
    Archive tier need not be restored. The exit status is 1 when something differs.
    """
    invocation = settle(context, options, command=_VERIFY)
    raise click.exceptions.Exit(_verify(invocation, Path(receipt)))


def _verify(invocation: Invocation, path: Path) -> int:
    from ocihaul import verify as compare
    from ocihaul.cli.client import reporting_on
    from ocihaul.cli.signals import stopping
    from ocihaul.errors import UsageError

    options = invocation.options
    if options["no_file"] and (options["no_object"] or options["file"]):
        raise UsageError("--no-file leaves nothing to compare, or --file with it makes no sense")
    receipt = compare(path, stored=False).receipt
    if not (options["no_file"] or options["file"] or receipt.path):
        raise UsageError(
            "what was sent was no file", hint="Name one with --file, or add --no-file."
        )
    documents: dict[str, Any] = {"file": None, "object": None}
    settings = None if options["no_object"] else invocation.settings()
    with stopping() as stopper, reporting_on(invocation, settings) as (listener, reporter):
        if settings is not None:
            documents["object"] = _object(invocation, settings, path, listener, stopper.stop)
            where = f"{receipt.target.bucket}/{receipt.target.object}"
            reporter.notice(_said(f"object {where}", documents["object"]["problems"]))
        if not options["no_file"]:
            file = Path(options["file"] or receipt.path or "")
            documents["file"] = _file(path, file, stopper.stop)
            reporter.notice(_said(f"file {file}", documents["file"]["problems"]))
    good = all(each is None or each["good"] for each in documents.values())
    invocation.answer({"receipt": str(path), "verified": good, **documents})
    return DONE if good else FAILED


def _object(
    invocation: Invocation,
    settings: "Settings",
    receipt: Path,
    listener: "Listener",
    stop: threading.Event,
) -> dict[str, Any] | None:
    from ocihaul.cli.client import client_for
    from ocihaul.cli.options import customer_key

    key = customer_key(invocation.options["encryption_key_file"], invocation.home)
    with client_for(settings, listener=listener, stop=stop) as client:
        return _object_document(client.verify(receipt, sse_customer_key=key).object)


def _object_document(stored: "ObjectVerdict | None") -> dict[str, Any] | None:
    return (
        None
        if stored is None
        else {
            "found": stored.found,
            "good": stored.good,
            "etag": stored.etag,
            "size": stored.size,
            "archival-state": stored.archival_state,
            "compared": list(stored.compared),
            "problems": list(stored.problems),
        }
    )


def _file(receipt: Path, path: Path, stop: threading.Event) -> dict[str, Any] | None:
    from ocihaul import verify as compare
    from ocihaul.config.ini import path_exists
    from ocihaul.errors import SourceError

    try:
        if not path_exists(path):
            raise SourceError(
                "it is not there", hint="Name it with --file, or leave it out with --no-file."
            )
        return _file_document(compare(receipt, file=path, stored=False, cancel=stop).file)
    except SourceError as error:
        text = in_flags(f"{error.message}. {error.hint}" if error.hint else error.message)
        return {
            "path": str(path),
            "size": None,
            "good": False,
            "differing-parts": [],
            "problems": [text],
        }


def _file_document(file: "FileVerdict | None") -> dict[str, Any] | None:
    return (
        None
        if file is None
        else {
            "path": str(file.path),
            "size": file.size,
            "good": file.good,
            "differing-parts": list(file.differing),
            "problems": list(file.problems),
        }
    )


def _said(what: str, problems: Sequence[str]) -> str:
    return f"{what}: " + ("; ".join(problems) if problems else "as it was stored")
