"""`os object bulk-upload`, `bulk-download` and `bulk-delete`: their options and what they mean."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from ocihaul.cli.client import dask_options
from ocihaul.cli.directories import options as shared
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import (
    Invocation,
    bucket_options,
    from_json_option,
    is_terminal,
    settle,
)
from ocihaul.cli.options import ParallelCount, PartSize
from ocihaul.printing import write_lines

_BULK_UPLOAD = ("os", "object", "bulk-upload")


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
    invocation = settle(context, options, command=_BULK_UPLOAD)
    raise click.exceptions.Exit(_run_upload(invocation, invocation.options))


def _run_upload(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import UPLOAD, run_directory
    from ocihaul.cli.options import check_required, refuse_both
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.listing import check_root
    from ocihaul.directories.request import DirectoryUpload, make_filter
    from ocihaul.directories.results import UPLOADED, Results
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


_BULK_DOWNLOAD = ("os", "object", "bulk-download")


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
    invocation = settle(context, options, command=_BULK_DOWNLOAD)
    raise click.exceptions.Exit(_run_download(invocation, invocation.options))


def _run_download(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.options import make_directory
    from ocihaul.cli.directories.run import DOWNLOAD, run_directory
    from ocihaul.cli.options import (
        check_required,
        customer_key,
        namespace_or_none,
        refuse_both,
    )
    from ocihaul.directories.compare import SyncMode
    from ocihaul.directories.destination import check_root
    from ocihaul.directories.request import DirectoryDownload, make_filter
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


_BULK_DELETE = ("os", "object", "bulk-delete")


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
    invocation = settle(context, options, command=_BULK_DELETE)
    raise click.exceptions.Exit(_run_delete(invocation, invocation.options))


def _run_delete(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import DELETE, ask, run_directory
    from ocihaul.cli.options import check_required, namespace_or_none
    from ocihaul.directories.request import DirectoryDelete, make_filter
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
