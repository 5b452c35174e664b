"""`ocihaul uploads …`: what was begun and not finished, here and at the service."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import global_options
from ocihaul.cli.groups import LazyGroup
from ocihaul.cli.invocation import (
    Invocation,
    client_at_work,
    is_terminal,
    namespace_option,
    settle,
)
from ocihaul.cli.options import FiniteRange
from ocihaul.cli.signals import next_line
from ocihaul.printing import say

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.events import Listener
    from ocihaul.transfer.upload.incomplete import IncompleteUpload


@click.command("rule")
@click.option("-bn", "--bucket-name", help="The bucket, for the commands that are shown.")
@namespace_option
@click.option("--days", type=click.IntRange(1, 36500), default=7, help="After so many days. [7]")
@global_options(hidden=True)
@click.pass_context
def rule(context: click.Context, /, **options: Any) -> None:
    """Print the lifecycle rule that drops unfinished uploads after some days.

    stdout gets the JSON for `oci os object-lifecycle-policy put --items`, stderr how it is used.
    """
    invocation = settle(context, options, command=("uploads", "rule"))
    days = invocation.options["days"]
    item = {
        "name": f"abort-unfinished-uploads-after-{days}-days",
        "action": "ABORT",
        "target": "multipart-uploads",
        "timeAmount": days,
        "timeUnit": "DAYS",
        "isEnabled": True,
    }
    invocation.answer([item])
    invocation.tell(*_how_to_use(invocation))


def _how_to_use(invocation: Invocation) -> list[str]:
    namespace = invocation.options["namespace"]
    bucket = invocation.options["bucket_name"] or "BUCKET"
    where = f"-ns {namespace} -bn {bucket}" if namespace else f"-bn {bucket}"
    service = f"objectstorage-{_region(invocation)}"
    return [
        "Write it to rule.json, and let the service have it:",
        f"  oci os object-lifecycle-policy put {where} --items file://rule.json",
        "That replaces all rules of the bucket. If it has some, add this one to them:",
        f"  oci os object-lifecycle-policy get {where}",
        "The service needs to be allowed to do it, by a policy of the tenancy:",
        f"  Allow service {service} to manage object-family in compartment COMPARTMENT",
    ]


def _region(invocation: Invocation) -> str:
    from ocihaul.errors import OcihaulError

    try:
        return invocation.settings().region or "REGION"
    except OcihaulError:  # the rule is the same everywhere
        return "REGION"


Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: What a price is for: a gigabyte as prices count it.
GB = 10**9


def buckets_option(command: Decorated) -> Decorated:
    """The buckets to look into; without it those of the journal."""
    text = "A bucket to look into; may be given several times. [those of the journal's uploads]"
    option = click.option("-bn", "--bucket-name", "buckets", multiple=True, help=text)
    return namespace_option(option(command))


def list_options(command: Decorated) -> Decorated:
    """The options of the list."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, as --output json does."),
        click.option(
            "--price", type=FiniteRange(0), help="Of one GB for a month, to tell the cost."
        ),
        click.option("--local", is_flag=True, help="The journal's alone; nothing is asked."),
        buckets_option,
    ):
        command = option(command)
    return command


@click.group("uploads", cls=LazyGroup, invoke_without_command=True)
@list_options
@global_options(hidden=True)
@click.pass_context
def uploads(context: click.Context, /, **options: Any) -> None:
    """Uploads that were begun and not finished: their parts stay at the service, and are billed.

    Without a command they are listed.
    """
    if context.invoked_subcommand is None:
        _list(settle(context, options, command=("uploads",)))


@uploads.command("list")
@list_options
@global_options(hidden=True)
@click.pass_context
def list_(context: click.Context, /, **options: Any) -> None:
    """List them, the oldest first."""
    _list(settle(context, options, command=("uploads", "list")))


@uploads.command("abort")
@click.argument("which", metavar="NAME_OR_ID")
@buckets_option
@click.option("--force", is_flag=True, help="Do not ask.")
@global_options(hidden=True)
@click.pass_context
def abort(context: click.Context, /, which: str, **options: Any) -> None:
    """Drop one with its parts, at the service and in the journal."""
    invocation = settle(context, options, command=("uploads", "abort"))
    with _client_and_uploads(invocation) as (client, found):
        chosen = _chosen(found, which)
        _confirm(invocation, f"Drop upload {_line(chosen, time.time())}?")
        client.abort_incomplete_upload(chosen)
        invocation.tell(f"dropped upload {chosen.upload_id}")


@uploads.command("forget")
@click.argument("which", metavar="NAME_OR_ID")
@global_options(hidden=True)
def forget(which: str) -> None:
    """Drop one from the journal alone: what the service has is left as it is."""
    from ocihaul.client import find_incomplete_uploads_here, forget_incomplete_upload

    chosen = _chosen(find_incomplete_uploads_here(), which)
    forget_incomplete_upload(chosen, listener=_told_on(sys.stderr))
    say(sys.stderr, f"forgot upload {chosen.upload_id} of {chosen.target.object}")


@uploads.command("clean")
@click.option("--older-than", help="Such as 7d or 12h. [required]")
@buckets_option
@click.option("--dry-run", is_flag=True, help="Only tell what would be dropped.")
@global_options(hidden=True)
@click.pass_context
def clean(context: click.Context, /, **options: Any) -> None:
    """Drop the journal's uploads that were begun longer ago, with their parts.

    In buckets named with -bn also those that the journal does not know: another machine may have
    begun them. What a process of this machine is at is left alone.
    """
    from ocihaul.cli.options import age

    invocation = settle(context, options, command=("uploads", "clean"))
    seconds = age(invocation.options["older_than"])
    with _client_and_uploads(invocation) as (client, found):
        now, named = time.time(), set(invocation.options["buckets"] or ())
        old = [
            each
            for each in found
            if (each.source is not None or each.target.bucket in named) and each.age(now) >= seconds
        ]
        for each in old:
            _drop(invocation, each, client)
        if not old:
            invocation.tell(f"none of {len(found)} is ours and that old")


uploads.add_command(rule)


def _list(invocation: Invocation) -> None:
    if invocation.options["local"]:
        from ocihaul.client import find_incomplete_uploads_here

        _show(invocation, find_incomplete_uploads_here())
        return
    with _client_and_uploads(invocation) as (_, found):
        _show(invocation, found)


@contextmanager
def _client_and_uploads(
    invocation: Invocation,
) -> "Iterator[tuple[Client, Sequence[IncompleteUpload]]]":
    """A client, and all that is not finished, at the service too."""
    from ocihaul.cli.options import namespace_or_none

    namespace = namespace_or_none(invocation.options.get("namespace"))
    names = tuple(invocation.options["buckets"] or ())
    with client_at_work(invocation) as (client, _):
        yield client, client.find_incomplete_uploads(names, namespace=namespace)


def _chosen(found: "Sequence[IncompleteUpload]", which: str) -> "IncompleteUpload":
    """The one with this upload id or object name. Raises UsageError when it is none or several."""
    from ocihaul.errors import UsageError

    matching = [each for each in found if which in {each.upload_id, each.target.object}]
    if not matching:
        raise UsageError(
            f"there is no incomplete upload {which!r}",
            hint="List them with: ocihaul uploads; those of other buckets with -bn BUCKET.",
        )
    if len(matching) > 1:
        ids = ", ".join(each.upload_id for each in matching)
        raise UsageError(
            f"there are several uploads of {which!r}: {ids}", hint="Name one by its id."
        )
    return matching[0]


def _drop(invocation: Invocation, leftover: "IncompleteUpload", client: "Client") -> None:
    from ocihaul.errors import TransferInProgressError, UsageError

    line = _line(leftover, time.time())
    if leftover.busy:
        invocation.tell(f"left alone, a process is at it: {line}")
        return
    if invocation.options["dry_run"]:
        invocation.tell(f"would drop {line}")
        return
    try:
        client.abort_incomplete_upload(leftover)
    except (TransferInProgressError, UsageError) as error:
        invocation.tell(f"left alone: {line}: {in_flags(error.message)}")
    else:
        invocation.tell(f"dropped {line}")


def _told_on(stderr: TextIO) -> "Listener":
    """A listener that tells what somebody has to do by hand."""
    from ocihaul.events import Event, Notice

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            say(stderr, f"Notice: {in_flags(event.text)}")

    return listen


def _confirm(invocation: Invocation, question: str) -> None:
    from ocihaul.errors import UsageError

    if invocation.options["force"]:
        return
    line = ""
    if invocation.may_ask():
        say(invocation.stderr, f"{question} [y/N]:", end=" ")
        line = next_line(invocation.stdin)
    if not line and not is_terminal(invocation.stdin):
        raise UsageError("there is no terminal to ask on", hint="Use --force.")
    if line.strip().lower() not in {"y", "yes"}:
        invocation.tell("Aborted!")
        raise click.Abort


def _show(invocation: Invocation, found: "Sequence[IncompleteUpload]") -> None:
    now, price = time.time(), invocation.options["price"]
    given = invocation.given.values
    if invocation.options["as_json"] or given.get("output") or given.get("query"):
        invocation.answer({"data": [_document(each, now, price) for each in found]})
        return
    from ocihaul.quantities import size_text

    if found:
        say(invocation.stdout, *(_line(each, now) for each in found))
    size = sum(each.size for each in found)
    total = f"{len(found)} unfinished, {size_text(size)}"
    if price is not None:
        total += f", {_cost(size, price):.2f} a month at {price:g} per GB"
    invocation.tell(total)


def _line(leftover: "IncompleteUpload", now: float) -> str:
    from ocihaul.quantities import duration_text, size_text

    where = f"{leftover.target.bucket}/{leftover.target.object}"
    notes = [
        note
        for note, true in (
            ("not in the journal", leftover.source is None),
            ("the service does not know it", leftover.on_server is False),
            ("the service was not asked", leftover.on_server is None),
            ("a process is at it", leftover.busy),
        )
        if true
    ]
    parts = "1 part" if leftover.parts == 1 else f"{leftover.parts} parts"
    size = f"{parts}, {size_text(leftover.size)}"
    age = duration_text(leftover.age(now))
    text = f"{leftover.upload_id}  {where}  {size}, begun {age} ago"
    return text + (f" ({'; '.join(notes)})" if notes else "")


def _document(leftover: "IncompleteUpload", now: float, price: float | None) -> dict[str, object]:
    from dataclasses import asdict

    from ocihaul.cli.output import iso

    cost = {} if price is None else {"monthly-cost": _cost(leftover.size, price)}
    return {
        **asdict(leftover.target),
        "upload-id": leftover.upload_id,
        "begun": iso(leftover.begun),
        "age-seconds": round(leftover.age(now)),
        "parts": leftover.parts,
        "size": leftover.size,
        "source": leftover.source,
        "in-journal": leftover.source is not None,
        "on-server": leftover.on_server,
        "busy": leftover.busy,
        **cost,
    }


def _cost(size: int, price: float) -> float:
    return size / GB * price
