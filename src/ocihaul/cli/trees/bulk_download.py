"""`os object bulk-download`: what is under a prefix to a directory."""

from collections.abc import Mapping
from typing import Any, TextIO

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, bucket_options, from_json_option, settle
from ocihaul.cli.option_types import PartSize
from ocihaul.cli.trees import options as tree
from ocihaul.printing import write_lines

COMMAND = ("os", "object", "bulk-download")


@click.command("bulk-download")
@bucket_options
@click.option("--prefix", help="Only objects whose names begin with this. [all in the bucket]")
@click.option("--delimiter", help='Only objects without "/" behind the prefix. The only one is /.')
@click.option("--dest-dir", "--download-dir", "dest_dir", help="The directory. It is made.")
@click.option("--overwrite", is_flag=True, help="Replace existing files without asking.")
@click.option("--no-overwrite", is_flag=True, help="Keep existing files.")
@tree.options(tree.PARALLEL)
@click.option("--multipart-download-threshold", type=click.IntRange(128, 51200), hidden=True)
@click.option("--no-multipart", is_flag=True, help="Fetch each object in one piece.")
@click.option(
    "--part-size",
    type=PartSize(128, 51200),
    help="Size of a part in MiB, or with its unit, such as 50000000B. [128]",
)
@tree.options(tree.FILTERS, tree.KEY_FILE, tree.DRY_RUN)
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
    from ocihaul.cli.option_values import check_required, customer_key, refuse_both
    from ocihaul.cli.trees.options import make_directory
    from ocihaul.cli.trees.run import run_tree
    from ocihaul.cli.trees.summary import DOWNLOAD
    from ocihaul.storage.client import StorageClient
    from ocihaul.trees.compare import Mode
    from ocihaul.trees.destination import check_root
    from ocihaul.trees.download import download_key, download_tree
    from ocihaul.trees.filters import make_filter
    from ocihaul.trees.remote import Bucket
    from ocihaul.trees.request import TreeDownload
    from ocihaul.trees.results import DOWNLOADED, Results
    from ocihaul.trees.work import Work

    check_required(given, "bucket_name", "dest_dir")
    refuse_both(given, "overwrite", "no_overwrite")
    root, prefix = tree.directory(given["dest_dir"]), given.get("prefix") or ""
    check_root(root, flag="--dest-dir")
    include, exclude = tree.patterns(given.get("include")), tree.patterns(given.get("exclude"))
    mode = Mode.KEEP if given.get("no_overwrite") else Mode.ASK
    common: dict[str, Any] = {
        "root": root,
        "bucket": given["bucket_name"],
        "prefix": prefix,
        "delimiter": given.get("delimiter"),
        "mode": Mode.REPLACE if given.get("overwrite") else mode,
        "filter": make_filter(include, exclude, root=root, prefix=prefix),
        "dry_run": bool(given.get("dry_run")),
        "multipart": not given.get("no_multipart"),
        "part_size": given.get("part_size"),
        "threshold": tree.in_bytes(given.get("multipart_download_threshold")),
        "parallel": tree.parallel(given.get("parallel_operations_count")),
        "sse_customer_key": customer_key(given.get("encryption_key_file"), invocation.home),
    }

    def run(work: Work, namespace: str) -> None:
        download_tree(TreeDownload(namespace=namespace, **common), work)

    def size(storage: StorageClient, namespace: str) -> int:
        bucket = Bucket(storage, namespace, given["bucket_name"], prefix)
        return bucket.size(delimiter=given.get("delimiter"))

    def dry_run(results: Results, stdout: TextIO) -> None:
        write_lines(stdout, (name for name, _ in results.items(DOWNLOADED)))

    if given.get("dry_run"):
        make_directory(root)  # as the official CLI, which makes it in any case
        return run_tree(invocation, run, DOWNLOAD, dry_run=dry_run)
    return run_tree(
        invocation,
        run,
        DOWNLOAD,
        key=lambda endpoint, namespace: download_key(
            TreeDownload(namespace=namespace, **common), endpoint
        ),
        question="{} already exists. Are you sure you want to overwrite it?",
        size=size,
    )
