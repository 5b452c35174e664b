"""`os object get`: its options."""

from typing import Any

import click

from ocihaul.cli.cluster import dask_options
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import bucket_options, from_json_option, settle
from ocihaul.cli.option_types import OptionalHours, ParallelCount, PartSize

COMMAND = ("os", "object", "get")

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
    from ocihaul.cli.objects.get_options import build_request
    from ocihaul.cli.objects.get_run import run_get

    invocation = settle(context, options, command=COMMAND)
    given, home, stdout = invocation.options, invocation.home, invocation.stdout
    code = run_get(invocation, lambda: build_request(given, home=home, stdout=stdout))
    raise click.exceptions.Exit(code)
