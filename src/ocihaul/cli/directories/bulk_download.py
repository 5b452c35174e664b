"""`os object bulk-download`: what is under a prefix to a directory."""

from collections.abc import Mapping
from typing import Any, TextIO

import click

from ocihaul.cli.client import dask_options
from ocihaul.cli.directories import options as shared
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, bucket_options, from_json_option, settle
from ocihaul.cli.options import PartSize
from ocihaul.printing import write_lines

COMMAND = ("os", "object", "bulk-download")


@click.command("bulk-download")
@bucket_options
@click.option("--prefix", help="Only objects whose names begin with this. [all in the bucket]")
@click.option("--delimiter", help='Only objects without "/" behind the prefix. The only one is /.')
@click.option("--dest-dir", "--download-dir", "dest_dir", help="The directory. It is made.")
@click.option("--overwrite", is_flag=True, help="Replace existing files without asking.")
@click.option("--no-overwrite", is_flag=True, help="Keep existing files.")
@shared.options(shared.PARALLEL)
@click.option("--multipart-download-threshold", type=PartSize(128, 51200), hidden=True)
@click.option("--no-multipart", is_flag=True, help="Fetch each object in one piece.")
@click.option(
    "--part-size",
    type=PartSize(128, 51200),
    help="Size of a part in MiB, or with its unit, such as 200M. [128]",
)
@shared.options(shared.FILTERS, shared.KEY_FILE, shared.DRY_RUN, shared.SHARD)
@dask_options
@from_json_option
@global_options(hidden=True)
@click.pass_context
def bulk_download(context: click.Context, /, **options: Any) -> None:
    """Download all objects that match.

    A file appears when all of it is there and right. An object that fails does not stop the
    others. Run again after an interruption, the same command goes on.
    """
    invocation = settle(context, options, command=COMMAND)
    raise click.exceptions.Exit(_run(invocation, invocation.options))


def _run(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.options import make_directory
    from ocihaul.cli.directories.run import run_directory
    from ocihaul.cli.directories.summary import DOWNLOAD
    from ocihaul.cli.options import (
        check_required,
        customer_key,
        namespace_or_none,
        refuse_both,
    )
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.destination import check_root
    from ocihaul.directories.filters import make_filter
    from ocihaul.directories.request import DirectoryDownload
    from ocihaul.directories.results import DOWNLOADED, Results

    check_required(given, "bucket_name", "dest_dir")
    refuse_both(given, "overwrite", "no_overwrite")
    root, prefix = shared.directory(given["dest_dir"]), given.get("prefix") or ""
    check_root(root, parameter="dest_dir")
    include, exclude = shared.patterns(given.get("include")), shared.patterns(given.get("exclude"))
    mode = SyncMode.KEEP if given.get("no_overwrite") else SyncMode.ASK
    request = DirectoryDownload(
        root=root,
        namespace=namespace_or_none(given.get("namespace")) or "",
        bucket=given["bucket_name"],
        prefix=prefix,
        delimiter=given.get("delimiter"),
        mode=SyncMode.REPLACE if given.get("overwrite") else mode,
        filter=make_filter(include, exclude, root=root, prefix=prefix),
        dry_run=bool(given.get("dry_run")),
        shard=shared.shard(given),
        multipart=not given.get("no_multipart"),
        part_size=given.get("part_size"),
        threshold=given.get("multipart_download_threshold"),
        parallel=shared.parallel(given.get("parallel_operations_count")),
        sse_customer_key=customer_key(given.get("encryption_key_file"), invocation.home),
    )

    def dry_run(results: Results, stdout: TextIO) -> None:
        write_lines(stdout, (name for name, _ in results.items(DOWNLOADED)))

    if request.dry_run:
        make_directory(root)  # as the official CLI, which makes it in any case
    return run_directory(
        invocation,
        request,
        DOWNLOAD,
        command="bulk-download",
        adaptive=shared.is_adaptive(given),
        question="{} already exists. Are you sure you want to overwrite it?",
        dry_run=dry_run if request.dry_run else None,
    )
