"""`os object bulk-delete`: all objects under a prefix."""

from collections.abc import Mapping
from typing import Any

import click

from ocihaul.cli.directories import options as shared
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import (
    Invocation,
    bucket_options,
    from_json_option,
    is_terminal,
    settle,
)

COMMAND = ("os", "object", "bulk-delete")


@click.command("bulk-delete")
@bucket_options
@click.option("--prefix", help="Only objects whose names begin with this. [all in the bucket]")
@click.option("--delimiter", help='Only objects without "/" behind the prefix. The only one is /.')
@shared.options(shared.DRY_RUN)
@click.option("--force", is_flag=True, help="Do not ask.")
@shared.options(shared.PARALLEL, shared.FILTERS, shared.SHARD)
@from_json_option
@global_options(hidden=True)
@click.pass_context
def bulk_delete(context: click.Context, /, **options: Any) -> None:
    """Delete all objects that match.

    An object that cannot be deleted does not stop the others.
    """
    invocation = settle(context, options, command=COMMAND)
    raise click.exceptions.Exit(_run(invocation, invocation.options))


def _run(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import ask, run_directory
    from ocihaul.cli.directories.summary import DELETE
    from ocihaul.cli.options import check_required, namespace_or_none
    from ocihaul.directories.filters import make_filter
    from ocihaul.directories.request import DirectoryDelete
    from ocihaul.errors import OcihaulError

    check_required(given, "bucket_name")
    bucket, prefix = given["bucket_name"], given.get("prefix") or ""
    include, exclude = shared.patterns(given.get("include")), shared.patterns(given.get("exclude"))
    force = bool(given.get("force"))
    request = DirectoryDelete(
        namespace=namespace_or_none(given.get("namespace")) or "",
        bucket=bucket,
        prefix=prefix,
        delimiter=given.get("delimiter"),
        filter=make_filter(include, exclude, root=bucket, prefix=prefix),
        parallel=shared.parallel(given.get("parallel_operations_count")),
        dry_run=bool(given.get("dry_run")),
        shard=shared.shard(given),
    )

    def confirm(count: int) -> bool:
        question = (
            f"This command will delete at least {count} objects. Are you sure you wish to continue?"
        )
        answer = ask(invocation, question, "y/N") if invocation.may_ask() else None
        if answer is None and not is_terminal(invocation.stdin):
            raise OcihaulError(
                "bulk-delete asks before it deletes, and there is no terminal to ask on",
                hint="Use --force to delete without a question, or --dry-run to see what would go.",
            )
        return answer in {"y", "yes"}

    return run_directory(
        invocation,
        request,
        DELETE,
        command="bulk-delete",
        adaptive=shared.is_adaptive(given),
        confirm_deletion=None if force else confirm,
    )
