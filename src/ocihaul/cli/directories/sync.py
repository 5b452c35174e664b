"""`os object sync`: a directory and a bucket made alike, in one direction."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocihaul.cli.client import dask_options
from ocihaul.cli.directories import options as shared
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, bucket_options, from_json_option, settle
from ocihaul.cli.options import PartSize
from ocihaul.cli.process import mimics_official_cli
from ocihaul.printing import write_lines

if TYPE_CHECKING:
    from ocihaul.directories.compare import SyncMode

_SYNC = ("os", "object", "sync")


@click.command("sync")
@bucket_options
@click.option("--src-dir", help="The directory whose files go into the bucket.")
@click.option("--dest-dir", help="The directory that gets the bucket's objects. It is made.")
@click.option("--prefix", help="What the names of the objects begin with, and the files' do not.")
@click.option("--delete", is_flag=True, help="Delete what the source does not have.")
@click.option("--checksum", is_flag=True, help="Compare the content of all that has the same size.")
@shared.options(shared.OF_OBJECTS)
@click.option("--no-multipart", is_flag=True, help="Transfer each object in one piece.")
@click.option(
    "--part-size",
    type=PartSize(128, 51200),
    help="Size of a part in MiB, or with its unit, such as 200M. [128]",
)
@shared.options(shared.PARALLEL, shared.FILTERS, shared.KEY_FILE, shared.DRY_RUN, shared.LINKS)
@shared.options(shared.SHARD)
@dask_options
@from_json_option
@global_options(hidden=True)
@click.pass_context
def sync(context: click.Context, /, **options: Any) -> None:
    """Upload or download what is new or different.

    A file goes up when it has another size than its object, or is newer and has another content;
    an object comes down when it has another size than its file, or is newer and has another
    content. With --checksum the content counts whatever the time says: each file is read, and
    for objects that were sent in parts the service is asked. A file that fails does not stop the
    others.
    """
    invocation = settle(context, options, command=_SYNC)
    given = invocation.options
    from ocihaul.cli.options import OF_UPLOADS, check_required, refuse_both
    from ocihaul.errors import UsageError

    check_required(given, "bucket_name")
    if given.get("src_dir") and given.get("dest_dir"):
        raise UsageError(
            "Only one of --src-dir and --dest-dir can be given",
            hint="Leave one out, on the command line or in the rc file.",
        )
    if given.get("src_dir"):
        raise click.exceptions.Exit(_up(invocation, given))
    if not given.get("dest_dir"):
        raise UsageError("Either --src-dir or --dest-dir must be given", hint="Give one of them.")
    for name in OF_UPLOADS:
        refuse_both(given, "dest_dir", name)
    raise click.exceptions.Exit(_down(invocation, given))


def _up(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import DELETE, UPLOAD, run_directory
    from ocihaul.directories.listing import check_root
    from ocihaul.directories.request import DirectoryUpload, make_filter
    from ocihaul.directories.results import EXTRA, SKIPPED, UPLOADED, Results
    from ocihaul.transfer.upload.request import UploadRequest

    root = shared.directory(given["src_dir"])
    check_root(root, parameter="src_dir")
    prefix = given.get("prefix") or ""
    include, exclude = shared.patterns(given.get("include")), shared.patterns(given.get("exclude"))
    request = DirectoryUpload(
        root=root,
        prefix=prefix,
        each=UploadRequest(
            **shared.of_each(given, home=invocation.home),
            source=Path(root),
            name="-",
            parallel=shared.parallel(given.get("parallel_operations_count")),
        ),
        mode=_mode(given),
        local_filter=make_filter(include, exclude, root=root),
        remote_filter=make_filter(include, exclude, root=given["bucket_name"], prefix=prefix),
        follow_links=not given.get("no_follow_symlinks"),
        guess_types=given.get("content_type") == "auto",
        empty_directories=True,
        checksum=bool(given.get("checksum")),
        delete=bool(given.get("delete")),
        dry_run=bool(given.get("dry_run")),
        shard=shared.shard(given),
    )

    def dry_run(results: Results, stdout: TextIO) -> None:
        def told() -> Iterator[str]:
            for path, _ in results.items(UPLOADED):
                yield f"Uploading file: {os.path.join(root, path)}"  # noqa: PTH118
            for name, _ in results.items(SKIPPED):
                path = os.path.join(root, name.removeprefix(prefix))  # noqa: PTH118
                yield f"Skipping file: {path}"
            for name, _ in results.items(EXTRA):
                yield f"Deleting object: {name}"

        write_lines(stdout, told())

    return run_directory(
        invocation,
        request,
        UPLOAD + (DELETE if request.delete else ()),
        command="sync",
        adaptive=shared.is_adaptive(given),
        dry_run=dry_run if request.dry_run else None,
    )


def _down(invocation: Invocation, given: Mapping[str, Any]) -> int:
    from ocihaul.cli.directories.run import DELETE_FILES, DOWNLOAD, run_directory
    from ocihaul.cli.options import customer_key, namespace_or_none
    from ocihaul.directories.destination import check_root
    from ocihaul.directories.request import DirectoryDownload, make_filter
    from ocihaul.directories.results import DELETED, DOWNLOADED, SKIPPED, Results

    root, prefix = shared.directory(given["dest_dir"]), given.get("prefix") or ""
    check_root(root, parameter="dest_dir")
    include, exclude = shared.patterns(given.get("include")), shared.patterns(given.get("exclude"))
    request = DirectoryDownload(
        root=root,
        namespace=namespace_or_none(given.get("namespace")) or "",
        bucket=given["bucket_name"],
        prefix=prefix,
        mode=_mode(given),
        filter=make_filter(include, exclude, root=root, prefix=prefix),
        follow_links=not given.get("no_follow_symlinks"),
        strip_prefix=True,
        checksum=bool(given.get("checksum")),
        delete=bool(given.get("delete")),
        dry_run=bool(given.get("dry_run")),
        shard=shared.shard(given),
        multipart=not given.get("no_multipart"),
        part_size=given.get("part_size"),
        parallel=shared.parallel(given.get("parallel_operations_count")),
        sse_customer_key=customer_key(given.get("encryption_key_file"), invocation.home),
    )

    def dry_run(results: Results, stdout: TextIO) -> None:
        for what, kind in (
            ("Downloading object:", DOWNLOADED),
            ("Skipping object:", SKIPPED),
            ("Deleting :", DELETED),
        ):
            write_lines(stdout, (f"{what} {name}" for name, _ in results.items(kind)))

    if request.dry_run:
        shared.make_directory(root)  # as the official CLI, which makes it in any case
    return run_directory(
        invocation,
        request,
        DOWNLOAD + (DELETE_FILES if request.delete else ()),
        command="sync",
        adaptive=shared.is_adaptive(given),
        dry_run=dry_run if request.dry_run else None,
    )


def _mode(given: Mapping[str, Any]) -> "SyncMode":
    """Compare what has another time only, or send it as the official CLI does."""
    from ocihaul.directories.compare import SyncMode

    newer = mimics_official_cli() and not given.get("checksum")
    return SyncMode.SYNC_NEWER if newer else SyncMode.SYNC
