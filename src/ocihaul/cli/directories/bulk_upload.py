"""`os object bulk-upload`: a directory to a bucket."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from ocihaul.cli.client import dask_options
from ocihaul.cli.directories import options as shared
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, bucket_options, from_json_option, settle
from ocihaul.cli.options import ParallelCount, PartSize
from ocihaul.printing import write_lines

COMMAND = ("os", "object", "bulk-upload")


@click.command("bulk-upload")
@bucket_options
@click.option("--src-dir", help="The directory with the files. [required]")
@click.option("--prefix", "--object-prefix", "object_prefix", help="What each name begins with.")
@shared.options(shared.OF_OBJECTS)
@click.option("--overwrite", is_flag=True, help="Replace existing objects without asking.")
@click.option("--no-overwrite", is_flag=True, help="Keep existing objects.")
@click.option("--no-multipart", is_flag=True, help="Send each object in one piece.")
@click.option(
    "--part-size", type=PartSize(), help="Size of a part in MiB, or with its unit (200M). [128]"
)
@click.option("--disable-parallel-uploads", is_flag=True, help="Has no effect.")
@click.option("--parallel-upload-count", type=ParallelCount(), help="At a time, or auto. [10]")
@click.option("--verify-checksum", is_flag=True, help="Compare each MD5 with the service's.")
@shared.options(shared.FILTERS, shared.KEY_FILE, shared.DRY_RUN, shared.LINKS, shared.SHARD)
@click.option("--opc-sse-kms-key-id", help="OCID of the master encryption key to use.")
@dask_options
@from_json_option
@global_options(hidden=True)
@click.pass_context
def bulk_upload(context: click.Context, /, **options: Any) -> None:
    """Upload all files in a directory and below.

    A file that fails does not stop the others. Run again after an interruption, the same command
    goes on: what was sent is not sent again.
    """
    invocation = settle(context, options, command=COMMAND)
    raise click.exceptions.Exit(_run(invocation, invocation.options))


def _run(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import run_directory
    from ocihaul.cli.directories.summary import UPLOAD
    from ocihaul.cli.options import check_required, refuse_both
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.filters import make_filter
    from ocihaul.directories.request import DirectoryUpload
    from ocihaul.directories.results import UPLOADED, Results
    from ocihaul.directories.walk import check_root
    from ocihaul.transfer.upload.request import UploadRequest

    check_required(given, "bucket_name", "src_dir")
    refuse_both(given, "overwrite", "no_overwrite")
    root = shared.directory(given["src_dir"])
    check_root(root, parameter="src_dir")
    include, exclude = shared.patterns(given.get("include")), shared.patterns(given.get("exclude"))
    mode = SyncMode.KEEP if given.get("no_overwrite") else SyncMode.ASK
    request = DirectoryUpload(
        root=root,
        prefix=given.get("object_prefix") or "",
        each=UploadRequest(
            **shared.of_each(given, home=invocation.home),
            source=Path(root),
            name="-",
            parallel=shared.parallel(given.get("parallel_upload_count")),
        ),
        mode=SyncMode.REPLACE if given.get("overwrite") else mode,
        local_filter=make_filter(include, exclude, root=root),
        follow_links=not given.get("no_follow_symlinks"),
        guess_types=given.get("content_type") == "auto",
        dry_run=bool(given.get("dry_run")),
        shard=shared.shard(given),
    )

    def dry_run(results: Results, stdout: TextIO) -> None:
        write_lines(stdout, (str(Path(root) / path) for path, _ in results.items(UPLOADED)))

    return run_directory(
        invocation,
        request,
        UPLOAD,
        command="bulk-upload",
        adaptive=shared.is_adaptive(given),
        question="{} already exists. Are you sure you want to overwrite it?",
        dry_run=dry_run if request.dry_run else None,
    )
