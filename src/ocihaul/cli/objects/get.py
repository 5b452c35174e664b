"""`os object get`: its options, the request that they mean, and the run of it."""

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from ocihaul.cli.client import cluster_of, dask_options
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, bucket_options, from_json_option, settle
from ocihaul.cli.options import AUTO, OptionalHours, ParallelCount, PartSize
from ocihaul.cli.process import DONE
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from ocihaul.cli.transfer_run import TransferRun
    from ocihaul.transfer.download.request import DownloadRequest


_GET = ("os", "object", "get")

_MIB = PartSize(1, 10 * 2**20)  # at most the largest object
_HEADER = "What the answer's {} header shall say."


@click.command("get")
@bucket_options
@click.option("--name", help="The name of the object. [required]")
@click.option("--file", help="The file to write, or - for stdout. [required]")
@click.option("--version-id", help="The version of the object.")
@click.option("--if-match", help="Download the object only if it has this etag.")
@click.option("--if-none-match", help="Download the object only if it has another etag.")
@click.option("--range", help="Only these bytes, such as bytes=0-99, bytes=100- or bytes=-100.")
@click.option(
    "--multipart-download-threshold",
    type=_MIB,
    help="Fetch objects larger than this (MiB, or with its unit) in several ranges. [two ranges]",
)
@click.option(
    "--part-size",
    type=PartSize(1, 51200),
    help="Size of a range in MiB, or with its unit, such as 50M. [by size, 10 to 128]",
)
@click.option(
    "--parallel-download-count",
    type=ParallelCount(),
    help="Ranges in flight; auto finds out how many pay. [10]",
)
@click.option("--no-multipart", is_flag=True, help="Fetch the object in one piece.")
@click.option("--encryption-key-file", help="A file with a base64 AES-256 key of yours (SSE-C).")
@click.option("--http-response-content-disposition", help=_HEADER.format("Content-Disposition"))
@click.option("--http-response-cache-control", help=_HEADER.format("Cache-Control"))
@click.option("--http-response-content-type", help=_HEADER.format("Content-Type"))
@click.option("--http-response-content-language", help=_HEADER.format("Content-Language"))
@click.option("--http-response-content-encoding", help=_HEADER.format("Content-Encoding"))
@click.option("--http-response-expires", help=_HEADER.format("Expires"))
@click.option(
    "--restore",
    type=OptionalHours(),
    is_flag=False,
    flag_value=OptionalHours.DEFAULT,
    help="Restore an archived object first, for so many hours, and wait for it. [24]",
)
@click.option(
    "--no-verify-checksum", is_flag=True, help="Do not compare what came with the checksum."
)
@click.option("--restart", is_flag=True, help="Drop what an earlier run left unfinished.")
@click.option("--no-wait", is_flag=True, help="End at once if another process is fetching this.")
@dask_options
@from_json_option
@global_options(hidden=True)
@click.pass_context
def get(context: click.Context, /, **options: Any) -> None:
    """Download an object to a file.

    The file appears, or is replaced, when all of it is there and compared with the object's
    checksum. Run again after an interruption, the same command goes on.
    """

    invocation = settle(context, options, command=_GET)
    given, home, stdout = invocation.options, invocation.home, invocation.stdout
    code = run_get(invocation, lambda: build_request(given, home=home, stdout=stdout))
    raise click.exceptions.Exit(code)


DEFAULT_PARALLEL = 10

#: Parameter name → what GetObject calls it, after httpResponse.
_RESPONSE_HEADERS = {
    "http_response_content_disposition": "ContentDisposition",
    "http_response_cache_control": "CacheControl",
    "http_response_content_type": "ContentType",
    "http_response_content_language": "ContentLanguage",
    "http_response_content_encoding": "ContentEncoding",
    "http_response_expires": "Expires",
}


def build_request(options: Mapping[str, Any], *, home: Path, stdout: TextIO) -> "DownloadRequest":
    """The request that these options (by their parameter names) mean; raises UsageError."""
    from ocihaul.cli.options import check_required, customer_key, namespace_or_none
    from ocihaul.storage.names import check_bucket_name, check_object_name
    from ocihaul.transfer.download.request import DownloadRequest
    from ocihaul.transfer.monitor import MOST

    check_required(options, "bucket_name", "name", "file")
    check_bucket_name(options["bucket_name"])
    check_object_name(options["name"])
    file, hours = str(options["file"]), options.get("restore")
    threshold = options.get("multipart_download_threshold")
    parallel = options.get("parallel_download_count")
    count = DEFAULT_PARALLEL if parallel is None else parallel
    _check_exclusions(options, to_stdout=file == "-")
    return DownloadRequest(
        namespace=namespace_or_none(options.get("namespace")) or "",
        bucket=options["bucket_name"],
        name=options["name"],
        target=_unbuffered(stdout) if file == "-" else _checked(Path(file)),
        version_id=options.get("version_id"),
        if_match=options.get("if_match"),
        if_none_match=options.get("if_none_match"),
        byte_range=options.get("range"),
        part_size=options.get("part_size"),
        threshold=threshold,
        parallel=MOST if count == AUTO else count,
        adaptive=count == AUTO,
        multipart=not options.get("no_multipart"),
        verify=not options.get("no_verify_checksum"),
        restart=bool(options.get("restart")),
        wait=not options.get("no_wait"),
        restore=hours is not None,
        restore_hours=None if hours == OptionalHours.DEFAULT else hours,
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        response_headers={
            name: options[parameter]
            for parameter, name in _RESPONSE_HEADERS.items()
            if options.get(parameter) is not None
        },
    )


def _check_exclusions(options: Mapping[str, Any], *, to_stdout: bool) -> None:
    for flag in ("restart", "no_wait"):
        if to_stdout and options.get(flag):
            raise UsageError(
                f"--{flag.replace('_', '-')} is for files: nothing is kept of what goes to stdout",
                hint="Leave it out.",
            )


def _checked(path: Path) -> Path:
    """`path`, if it can be a file; raises UsageError before anything else is done."""
    from ocihaul.transfer.download.local_file import is_special, resolved

    if os.path.isdir(path) or not is_special(path):  # noqa: PTH112  never raises, as is_dir may
        resolved(path)
    return path


def _unbuffered(stdout: TextIO) -> BinaryIO:
    """The bytes below a text stream: what is written is out, and nothing is left to flush."""
    try:
        return io.FileIO(stdout.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:  # it is no file at all
        return stdout.buffer


def run_get(
    invocation: Invocation, build: "Callable[[], DownloadRequest]", *, command: str = "get"
) -> int:
    """Download what `build` asks for, and return the exit status."""
    from ocihaul.cli.client import run_download
    from ocihaul.cli.transfer_run import run_transfer

    def work(run: "TransferRun") -> int:
        request = build()
        settings = invocation.settings()
        for text in invocation.notices(settings):
            run.notice(f"Notice: {text}")
        with cluster_of(invocation.options) as workers:
            result = run_download(settings, request, listener=run, stop=run.stop, workers=workers)
        run.size, run.compared = result.size, result.checked_by
        return DONE

    given = invocation.options
    target = f"{given.get('bucket_name')}/{given.get('name')}"
    return run_transfer(invocation, command, target, work)
