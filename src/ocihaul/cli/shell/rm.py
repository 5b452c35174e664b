"""`ocihaul rm`: objects deleted, one by one or all below a prefix."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocihaul.cli.exit_codes import DONE, FAILED, worst
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, client_at_work, is_terminal, settle
from ocihaul.cli.shell.uri import ObjectUri
from ocihaul.errors import OcihaulError, ServiceError, UsageError

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.directories.results import Results


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
    raise click.exceptions.Exit(_run(invocation))


def _run(invocation: Invocation) -> int:
    from ocihaul.cli.shell.uri import look

    options = invocation.options
    uris = [ObjectUri.parse(text) for text in options["uris"]]
    for uri in uris:
        if uri.is_directory and not options["recursive"]:
            raise UsageError(f"{uri} is a prefix", hint="Delete all that is below it with -r.")
    codes: list[int] = []
    below: list[ObjectUri] = []
    with client_at_work(invocation) as (client, _):
        for uri in uris:
            found = look(client, uri)
            if found.is_object:
                codes.append(_delete_one(client, uri, invocation))
            elif not options["recursive"]:
                raise OcihaulError(
                    f"{uri}: there is no such object", hint=f"It is a prefix: ocihaul rm -r {uri}/"
                )
            if found.is_directory and options["recursive"]:
                below.append(uri)
    codes += [_delete_below(invocation, uri) for uri in below]
    return worst(codes)


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
    from ocihaul.cli.directories.run import ask, run_directory
    from ocihaul.cli.directories.summary import DELETE
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
