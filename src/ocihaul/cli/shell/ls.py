"""`ocihaul ls`, `du` and `rm`: what is at an address, listed, counted or deleted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, client_at_work, is_terminal, settle
from ocihaul.cli.process import DONE, FAILED, is_of_one, worst
from ocihaul.cli.shell.uri import (
    ObjectUri,
    entries_in,
    for_each,
    look,
    look_at_folder,
    objects_below,
    run_command,
)
from ocihaul.errors import OcihaulError, ServiceError, TransferCancelled, UsageError
from ocihaul.printable import one_line
from ocihaul.quantities import size_text, time_text

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.directories.results import Results
    from ocihaul.storage.values import ListedObject


_HUMAN = click.option("-h", "--human-readable", is_flag=True, help="Sizes as 1.5 GiB.")
#: `-h` is for sizes here, as in every other ls and du.
_HELP = {"help_option_names": ["-?", "--help"]}


@click.command("ls", context_settings=_HELP)
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@click.option("-l", "long", is_flag=True, help="With size and time of each object.")
@_HUMAN
@click.option("-R", "--recursive", is_flag=True, help="All that is below, not one level.")
@global_options(hidden=True)
@click.pass_context
def ls(context: click.Context, /, **options: Any) -> None:
    """List what is in a bucket or below a prefix: oci://bucket[@namespace][/prefix].

    What has a "/" behind the prefix is shown once, as a directory. Times are local.
    """
    invocation = settle(context, options, command=("ls",))
    raise click.exceptions.Exit(run_command(invocation, lambda it: _run_ls(it, _listed)))


@click.command("du", context_settings=_HELP)
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@_HUMAN
@click.option("-s", "--summarize", is_flag=True, help="Only the sum of each URI.")
@global_options(hidden=True)
@click.pass_context
def du(context: click.Context, /, **options: Any) -> None:
    """Show how many bytes are below a prefix, and below each directory in it.

    Only objects count: not older versions, and not the parts of unfinished uploads (see uploads).
    """
    invocation = settle(context, options, command=("du",))
    raise click.exceptions.Exit(run_command(invocation, lambda it: _run_ls(it, _used)))


_Lines = Callable[["Client", ObjectUri, Invocation], Iterator[str]]


def _run_ls(invocation: Invocation, lines: _Lines) -> int:
    """Print the lines of each address; all addresses are read before anything is asked."""
    from ocihaul.printing import write_lines

    uris = [ObjectUri.parse(text) for text in invocation.options["uris"]]
    with client_at_work(invocation) as (client, _):

        def write(uri: ObjectUri) -> int:
            write_lines(invocation.stdout, lines(client, uri, invocation))
            return DONE

        return for_each(invocation, uris, write)


def _listed(client: "Client", uri: ObjectUri, invocation: Invocation) -> Iterator[str]:
    options = invocation.options
    found = look(client, uri)
    if len(options["uris"]) > 1:
        yield f"{uri}:"
    if found.object is not None:
        yield _row(found.object, uri.last, options)
    if found.is_directory:
        every = objects_below if options["recursive"] else entries_in
        for each in every(client, uri, _left_out(invocation)):
            # What stands for the directory itself has no name in it.
            if name := each.name[len(uri.prefix) :]:
                yield _row(each, name, options)


def _left_out(invocation: Invocation) -> Callable[[str], None]:
    """What tells a person of an entry that is not shown."""
    return lambda why: invocation.tell(f"Notice: an entry of the list is left out: {why}")


def _row(each: "ListedObject", name: str, options: Any) -> str:
    from ocihaul.storage.names import epoch

    if not options["long"]:
        return name
    size = "-" if each.size is None else _size(each.size, human=options["human_readable"])
    when = "-"
    if each.time_modified is not None:
        when = time_text(epoch(each.time_modified))[:16]
    return f"{size:>14}  {when:16}  {name}"


def _used(client: "Client", uri: ObjectUri, invocation: Invocation) -> Iterator[str]:
    options = invocation.options
    human, total = options["human_readable"], 0
    found = look(client, uri)
    if found.object is not None:
        total = found.object.size or 0
    # The name of a directory may be empty, too: there are names such as "/x".
    directory: str | None = None
    size = 0
    below = objects_below(client, uri, _left_out(invocation)) if found.is_directory else ()
    for each in below:
        if each.size is None:
            invocation.tell(f"Notice: {one_line(each.name)} is not counted: its size is not told")
        first, slash, _ = each.name[len(uri.prefix) :].partition("/")
        if directory is not None and (first != directory or not slash):
            if not options["summarize"]:
                yield _used_row(size, uri.below(directory or "/"), human)
            directory = None
        if slash and directory is None:
            directory, size = first, 0
        size += each.size or 0
        total += each.size or 0
    if directory is not None and not options["summarize"]:
        yield _used_row(size, uri.below(directory or "/"), human)
    yield _used_row(total, uri, human)


def _used_row(size: int, uri: ObjectUri, human: bool) -> str:
    return f"{_size(size, human=human):>14}  {uri}"


def _size(size: int, *, human: bool) -> str:
    return size_text(size) if human else str(size)


@click.command("rm")
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@click.option("-r", "-R", "--recursive", is_flag=True, help="Also all that is below a prefix.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@global_options(hidden=True)
@click.pass_context
def rm(context: click.Context, /, **options: Any) -> None:
    """Delete objects: oci://bucket[@namespace]/name.

    It asks before it deletes. Where the bucket keeps versions, they stay.
    """
    invocation = settle(context, options, command=("rm",))
    raise click.exceptions.Exit(run_command(invocation, _run_rm))


def _run_rm(invocation: Invocation) -> int:
    """Delete each; all addresses are read before anything is deleted."""
    options = invocation.options
    uris = [ObjectUri.parse(text) for text in options["uris"]]
    for uri in uris:
        if not uri.name and not options["recursive"]:
            raise UsageError(f"{uri} is a bucket", hint="Delete all that is in it with -r.")
    below: list[ObjectUri] = []
    with client_at_work(invocation) as (client, stop):

        def delete(uri: ObjectUri) -> int:
            if stop.is_set():
                raise TransferCancelled(f"stopped before {uri}")
            if not options["recursive"]:
                _check_object(client, uri)
                return _delete_one(client, uri, invocation)
            found = look(client, uri)
            if found.is_directory:
                below.append(uri)
            return _delete_one(client, uri, invocation) if found.is_object else DONE

        code = for_each(invocation, uris, delete)
    return worst([code, _delete_all_below(invocation, below)])


def _check_object(client: "Client", uri: ObjectUri) -> None:
    """Raise OcihaulError for what is no object, or stands for a directory that is not empty."""
    found = look(client, uri) if not uri.is_directory else look_at_folder(client, uri)
    if uri.is_directory and found.is_directory:
        what = "is not empty" if found.is_object else "is a prefix, and no object"
        raise UsageError(f"{uri} {what}", hint=f"Delete all that is below it: ocihaul rm -r {uri}")
    if not found.is_object:
        raise OcihaulError(
            f"{uri}: there is no such object", hint=f"It is a prefix: ocihaul rm -r {uri}/"
        )


def _delete_all_below(invocation: Invocation, uris: Sequence[ObjectUri]) -> int:
    if len(uris) == 1:
        return _delete_below(invocation, uris[0])
    if not uris:
        return DONE
    from ocihaul.cli.transfer_run import run_several

    items = [(str(uri), uri) for uri in uris]
    target = " ".join(f"{uri.bucket}/{uri.prefix}" for uri in uris)
    return run_several(invocation, "rm", target, items, _delete_below, is_of_one=is_of_one)


def _delete_one(client: "Client", uri: ObjectUri, invocation: Invocation) -> int:
    from ocihaul.cli.objects.query_command import agreed

    if not agreed(invocation, f"Delete {uri}? [y/N]:"):
        return FAILED
    try:
        client.delete_object(uri.bucket, uri.name, namespace=uri.namespace)
    except ServiceError as error:
        if error.status != 404:  # another one was faster
            raise
    return DONE


def _delete_below(invocation: Invocation, uri: ObjectUri) -> int:
    from ocihaul.cli.directories.run import DELETE, ask, run_directory
    from ocihaul.directories.request import DirectoryDelete

    options = invocation.options
    below = ObjectUri(uri.bucket, uri.namespace, uri.prefix)

    def confirm(count: int) -> bool:
        question = f"Delete {count} objects below {below}?"
        answer = ask(invocation, question, "y/N") if invocation.may_ask() else None
        if answer is None and not is_terminal(invocation.stdin):
            raise OcihaulError(
                "rm asks before it deletes, and there is no terminal to ask on",
                hint="Use --force to delete without a question.",
            )
        return answer in {"y", "yes"}

    return run_directory(
        replace(invocation, options={**options, "bucket_name": uri.bucket, "prefix": uri.prefix}),
        DirectoryDelete(namespace=uri.namespace or "", bucket=uri.bucket, prefix=uri.prefix),
        DELETE,
        command="rm",
        confirm_deletion=None if options["force"] else confirm,
        dry_run=_print_nothing,
    )


def _print_nothing(results: "Results", stdout: TextIO) -> None:
    """What was deleted is not said: the log has how many."""
