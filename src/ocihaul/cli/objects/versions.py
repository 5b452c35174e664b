"""`os object list-object-versions` and `bulk-delete-versions`."""

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.directories import options as tree
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.invocation import Invocation, at_work, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import (
    agreed,
    all_option,
    check_all,
    command,
    force_option,
    question,
)
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocihaul.cli.objects.bucket_emptying import Doomed
    from ocihaul.storage.client import StorageClient

#: The official CLI's default for `--limit`, and the page it asks for.
_PAGE = 100


@question("os", "object", "list-object-versions", required=("bucket_name",))
@namespace_option
@click.option("-bn", "--bucket-name", "--bucket", "bucket_name", help="The bucket. [required]")
@click.option("--prefix", help="Only names that begin with this.")
@click.option("--start", help="Only names from this one on.")
@click.option("--end", help="Only names before this one.")
@click.option("--start-after", help="Only names after this one.")
@click.option("--delimiter", help="Tell names up to this character, once. It can only be /.")
@click.option("--fields", help="What to tell of each version, separated by commas. [everything]")
@click.option("--page", help="Where to go on: opc-next-page of an earlier answer.")
@all_option
def list_object_versions(
    invocation: Invocation, storage: "StorageClient", namespace: str
) -> object:
    """List the versions of the objects in a bucket: 100, unless --limit or --all says otherwise."""
    from ocihaul.cli.objects.official_json import object_version
    from ocihaul.storage.values import ALL_FIELDS, PAGE, Selection

    check_all(invocation)
    options = invocation.options
    fields = options["fields"]
    selection = Selection(
        prefix=options["prefix"],
        start=options["start"] or None,
        end=options["end"],
        start_after=options["start_after"],
        delimiter=options["delimiter"],
        fields=ALL_FIELDS if fields is None else fields,
    )
    everything = options["all_pages"]
    page_size = options["page_size"] or (PAGE if everything else _PAGE)
    found: list[dict[str, Any]] = []
    prefixes: dict[str, None] = {}
    following = None
    for page in storage.list_object_versions(
        namespace,
        options["bucket_name"],
        selection,
        page=options["page"],
        limit=None if everything else options["limit"] or _PAGE,
        page_size=min(page_size, PAGE),
    ):
        invocation.tell(*(f"Notice: an entry of the list is left out: {why}" for why in page.odd))
        found += map(object_version, page.objects)
        prefixes |= dict.fromkeys(page.prefixes)
        following = page.following
    answer: dict[str, Any] = {"prefixes": list(prefixes)}
    if found:
        answer["data"] = found
    if following is not None:
        answer["opc-next-page"] = following
    return answer


@bucket_options
@click.option("--prefix", help="Only objects whose names begin with this. [all in the bucket]")
@click.option("--object-name", help="Only the versions of this object.")
@click.option("--delimiter", help='Only objects without "/" behind the prefix. The only one is /.')
@tree.options(tree.DRY_RUN)
@force_option
@click.option(
    "--parallel-operations-count",
    type=click.IntRange(1, 1000),
    help="Operations at the same time. [10]",
)
@tree.options(tree.FILTERS)
def _bulk_delete_versions() -> None:
    """Delete all versions of the objects that match, for good.

    A version that cannot be deleted does not stop the others.
    """


def _run(invocation: Invocation) -> int:
    from ocihaul.cli.objects.bucket_emptying import delete_all, versions
    from ocihaul.cli.options import namespace_or_none
    from ocihaul.directories.request import make_filter
    from ocihaul.storage.values import PAGE

    options = invocation.options
    bucket, name, prefix = options["bucket_name"], options["object_name"], options["prefix"]
    include, exclude = tree.patterns(options["include"]), tree.patterns(options["exclude"])
    if name and (prefix or include or exclude):
        raise UsageError(
            "The --object-name parameter cannot be combined with either --prefix or --include or "
            "--exclude"
        )
    accept = make_filter(include, exclude, root=bucket, prefix=prefix or "")
    dry_run = bool(options["dry_run"])
    with at_work(invocation) as (storage, stop):
        namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
        doomed: Iterator[Doomed] = versions(
            storage,
            namespace,
            bucket,
            prefix=prefix,
            delimiter=options["delimiter"],
            name=name,
            accept=accept,
        )
        if not (dry_run or options["force"]):
            # The first page is listed before the question, so that it can say how many there are.
            first = list(islice(doomed, PAGE))
            if not first:
                invocation.tell(f"There are no objects to delete in {bucket}")
                return DONE
            text = (
                f"WARNING: This command will delete at least {len(first)} object versions. Are "
                "you sure you wish to continue? [y/N]:"
            )
            if not agreed(invocation, text):
                return FAILED
            doomed = chain(first, doomed)
        outcome = delete_all(
            "object",
            doomed,
            dry_run=dry_run,
            parallel=options["parallel_operations_count"] or tree.DEFAULT_PARALLEL,
            stop=stop,
        )
    table = invocation.view.is_table
    invocation.answer(outcome.rows(dry_run=dry_run) if table else outcome.document())
    return FAILED if outcome.failures else DONE


bulk_delete_versions = command(
    "os", "object", "bulk-delete-versions", required=("bucket_name",), like=_bulk_delete_versions
)(_run)
