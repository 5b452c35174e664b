"""`ocihaul receipts …`: what the journal keeps of finished uploads."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import settle
from ocihaul.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from ocihaul.transfer.journal.journal import KeptReceipt


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
    from ocihaul.cli.formatting import size_text, time_text
    from ocihaul.printing import say

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
    """Drop those of uploads that finished longer ago; receipts in files are left alone."""
    from ocihaul.cli.client import journal_to_read
    from ocihaul.cli.option_values import age

    invocation = settle(context, options, command=("receipts", "clean"))
    seconds = age(invocation.options["older_than"])
    with journal_to_read() as journal:
        count = journal.drop_receipts(time.time() - seconds)
    invocation.tell(f"{count} dropped")


def _document(kept: "KeptReceipt") -> dict[str, object]:
    from dataclasses import asdict

    from ocihaul.cli.formatting import iso

    return {
        "id": kept.row,
        **asdict(kept.target),
        "etag": kept.etag,
        "size": kept.size,
        "finished": iso(kept.finished_at),
        "owed": kept.owed,
    }
