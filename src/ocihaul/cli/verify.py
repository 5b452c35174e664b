"""`ocihaul verify`: a receipt against the file and the object of today."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.flags import in_flags
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, is_terminal, settle

if TYPE_CHECKING:
    from ocihaul.events import Listener
    from ocihaul.transfer.receipts.receipt import Receipt
    from ocihaul.transfer.receipts.verifying import FileVerdict, ObjectVerdict

COMMAND = ("verify",)


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
    invocation = settle(context, options, command=COMMAND)
    raise click.exceptions.Exit(_verify(invocation, Path(receipt)))


def _verify(invocation: Invocation, path: Path) -> int:
    from ocihaul.cli.progress import reporting
    from ocihaul.cli.signals import stopping
    from ocihaul.errors import UsageError
    from ocihaul.transfer.receipts.verifying import load_receipt

    options = invocation.options
    if options["no_file"] and (options["no_object"] or options["file"]):
        raise UsageError("--no-file leaves nothing to compare, or --file with it makes no sense")
    receipt = load_receipt(path)
    if not (options["no_file"] or options["file"] or receipt.path):
        raise UsageError(
            "what was sent was no file", hint="Name one with --file, or add --no-file."
        )
    terminal = is_terminal(invocation.stderr)
    about_object: ObjectVerdict | None = None
    about_file: FileVerdict | None = None
    with (
        stopping() as stopper,
        reporting(invocation.stderr, terminal=terminal, debug=invocation.given.debug) as (
            listener,
            reporter,
        ),
    ):
        if not options["no_object"]:
            about_object = _object(invocation, receipt, listener, stopper.stop)
            where = f"{receipt.target.bucket}/{receipt.target.object}"
            reporter.notice(_said(f"object {where}", about_object.problems))
        if not options["no_file"]:
            about_file = _file(invocation, receipt, stopper.stop)
            reporter.notice(_said(f"file {about_file.path}", about_file.problems))
    good = all(each is None or each.good for each in (about_object, about_file))
    invocation.answer(_document(path, about_file, about_object, good=good))
    return DONE if good else FAILED


def _object(
    invocation: Invocation, receipt: "Receipt", listener: "Listener", stop: threading.Event
) -> "ObjectVerdict":
    from ocihaul.cli.core import storage_for
    from ocihaul.cli.option_values import customer_key
    from ocihaul.events import Notice
    from ocihaul.transfer.receipts.verifying import verify_object

    key = customer_key(invocation.options["encryption_key_file"], invocation.home)
    settings = invocation.settings()
    for text in invocation.notices(settings):
        listener(Notice(f"Notice: {text}"))
    with storage_for(settings, listener=listener, stop=stop) as storage:
        # Never where the receipt says: a credential goes where the configuration leads, only.
        endpoint = storage.base_url(receipt.target.namespace)
        if endpoint != receipt.target.endpoint:
            there = receipt.target.endpoint
            listener(Notice(f"The object was stored at {there}; asking {endpoint}."))
        return verify_object(receipt, storage, key=key)


def _file(invocation: Invocation, receipt: "Receipt", stop: threading.Event) -> "FileVerdict":
    from ocihaul.config.ini import path_exists
    from ocihaul.errors import SourceError
    from ocihaul.transfer.receipts.verifying import FileVerdict, verify_file

    path = Path(invocation.options["file"] or receipt.path or "")
    try:
        if not path_exists(path):
            raise SourceError(
                "it is not there", hint="Name it with --file, or leave it out with --no-file."
            )
        return verify_file(receipt, path, stop=stop)
    except SourceError as error:
        text = in_flags(f"{error.message}. {error.hint}" if error.hint else error.message)
        return FileVerdict(path, None, (), (text,))


def _said(what: str, problems: tuple[str, ...]) -> str:
    return f"{what}: " + ("; ".join(problems) if problems else "as it was stored")


def _document(
    path: Path, file: "FileVerdict | None", stored: "ObjectVerdict | None", *, good: bool
) -> dict[str, Any]:
    return {
        "receipt": str(path),
        "verified": good,
        "file": file
        and {
            "path": str(file.path),
            "size": file.size,
            "good": file.good,
            "differing-parts": list(file.differing),
            "problems": list(file.problems),
        },
        "object": stored
        and {
            "found": stored.found,
            "good": stored.good,
            "etag": stored.etag,
            "size": stored.size,
            "archival-state": stored.archival_state,
            "compared": list(stored.compared),
            "problems": list(stored.problems),
        },
    }
