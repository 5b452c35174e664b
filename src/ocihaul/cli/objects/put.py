"""`os object put`: its options."""

from typing import Any

import click

from ocihaul.cli.cluster import dask_options
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import bucket_options, from_json_option, settle
from ocihaul.cli.option_types import JsonObject, ParallelCount, PartSize

COMMAND = ("os", "object", "put")

_TIERS = click.Choice(["Standard", "InfrequentAccess", "Archive"], case_sensitive=False)
_ALGORITHMS = click.Choice(["CRC32C", "SHA256", "SHA384"], case_sensitive=False)
PARALLEL = ParallelCount()
IF_EXISTS = ("fail", "keep", "keep-same", "replace")
_OF_SINGLE = "Only where the object is sent in one piece."


@click.command("put")
@bucket_options
@click.option("--file", help="The file to upload, a pipe, or - for stdin. [required]")
@click.option("--name", help="The name of the object. [the file's name]")
@click.option("--if-match", help="Replace the object only if it has this etag.")
@click.option("--content-md5", help=f"The expected MD5, in base64. {_OF_SINGLE}")
@click.option("--opc-checksum-algorithm", type=_ALGORITHMS, help="A checksum beside the MD5.")
@click.option("--opc-content-crc32c", help=f"The expected CRC32C, in base64. {_OF_SINGLE}")
@click.option("--opc-content-sha256", help=f"The expected SHA-256, in base64. {_OF_SINGLE}")
@click.option("--opc-content-sha384", help=f"The expected SHA-384, in base64. {_OF_SINGLE}")
@click.option(
    "--metadata",
    type=JsonObject(),
    help='Metadata of your own: \'{"key": "value"}\', or file://path.',
)
@click.option(
    "--content-type",
    help="The MIME type; auto guesses it from the file's name. What is compressed (a.css.gz) is "
    "application/gzip, unless --content-encoding says gzip.",
)
@click.option("--content-language", help="The language of the content.")
@click.option("--content-encoding", help="The encoding of the content, such as gzip.")
@click.option("--content-disposition", help="How a browser shows the object.")
@click.option("--cache-control", help="How the object may be cached.")
@click.option("--force", is_flag=True, help="Replace an existing object without asking.")
@click.option(
    "--no-overwrite",
    is_flag=True,
    help="Keep an existing object, and be done; where it is another than this file, that is said.",
)
@click.option(
    "--if-exists",
    type=click.Choice(IF_EXISTS),
    help="What becomes of an object that exists: fail; keep it, as --no-overwrite; keep-same "
    "keeps it where it is this file, and else fails; replace it, as --force. [ask, or fail]",
)
@click.option("--no-multipart", is_flag=True, help="Send the object in one piece.")
@click.option(
    "--part-size",
    type=PartSize(),
    help="Size of a part in MiB, or with its unit. [by size, 10 to 128; of a pipe: from 16]",
)
@click.option("--disable-parallel-uploads", is_flag=True, help="Send one part at a time.")
@click.option(
    "--parallel-upload-count",
    type=PARALLEL,
    help="Parts in flight; auto finds out how many pay. [10]",
)
@click.option(
    "--verify-checksum", is_flag=True, help="Compare the local MD5 with the service's at the end."
)
@click.option("--encryption-key-file", help="A file with a base64 AES-256 key of yours (SSE-C).")
@click.option("--storage-tier", type=_TIERS, help="The storage tier. [the bucket's]")
@click.option("--opc-sse-kms-key-id", help="OCID of the master encryption key to use.")
@click.option(
    "--expected-size", metavar="SIZE", help="Bytes that have to come; else nothing is stored."
)
@click.option(
    "--allow-empty",
    is_flag=True,
    help="A pipe may end without a byte; else that is an error, as its producer has failed.",
)
@click.option("--expected-sha256", metavar="HEX", help="SHA-256 of it all; else nothing is stored.")
@click.option(
    "--memory-limit", metavar="SIZE", help="Parts of a pipe in memory; others on disk. [256M]"
)
@click.option(
    "--spool-dir",
    metavar="DIRECTORY",
    help="Where other parts of a pipe wait, unencrypted, in files without a name. [$TMPDIR or "
    "/var/tmp]",
)
@click.option("--restart", is_flag=True, help="Drop what an earlier run left unfinished.")
@click.option(
    "--outlive-session",
    is_flag=True,
    help="Send the parts through a pre-authenticated request for this one object, so that the "
    "upload goes on when the session has ended.",
)
@click.option("--no-wait", is_flag=True, help="End at once if another process is uploading this.")
@dask_options
@click.option("--receipt", help="Write a receipt to this file: the proof of what was stored.")
@from_json_option
@global_options(hidden=True)
@click.pass_context
def put(context: click.Context, /, **options: Any) -> None:
    """Upload a file or a pipe as an object.

    Larger than a part, it is sent in parts, several at a time; the session's token is renewed
    while they go out. Run again after an interruption, the same command goes on with a file.
    A pipe can be read only once: when something fails, nothing is stored. If its producer can
    fail, say what has to come: --expected-size, --expected-sha256.
    """
    from ocihaul.cli.objects.put_options import build_request
    from ocihaul.cli.objects.put_run import run_put

    invocation = settle(context, options, command=COMMAND)
    given, home = invocation.options, invocation.home
    code = run_put(invocation, lambda: build_request(given, home=home))
    raise click.exceptions.Exit(code)
