"""`os object put` and `resume-put`: their options."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.client import dask_options
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import bucket_options, from_json_option, settle
from ocihaul.cli.options import AUTO, JsonObject, ParallelCount, PartSize

if TYPE_CHECKING:
    from ocihaul.transfer.upload.request import UploadRequest


_PUT = ("os", "object", "put")

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

    invocation = settle(context, options, command=_PUT)
    given, home = invocation.options, invocation.home
    code = run_put(invocation, lambda: build_request(given, home=home))
    raise click.exceptions.Exit(code)


_RESUME_PUT = ("os", "object", "resume-put")

#: As the official CLI: fewer than `put`.
_RESUME_PARALLEL = 3


@click.command("resume-put")
@bucket_options
@click.option("--file", help="The file that is being uploaded. [required]")
@click.option("--name", help="The name of the object. [the file's name]")
@click.option("--upload-id", help="The upload to go on with. [required]")
@click.option(
    "--part-size",
    type=PartSize(1, 51200),
    help="Size of a part in MiB, or with its unit, such as 50M. Another one than that of "
    "its parts is refused. [that of its parts]",
)
@click.option("--disable-parallel-uploads", is_flag=True, help="Send one part at a time.")
@click.option(
    "--parallel-upload-count",
    type=ParallelCount(),
    help="Parts in flight; auto finds out how many pay. [3]",
)
@click.option(
    "--verify-checksum", is_flag=True, help="Compare the local MD5 with the service's at the end."
)
@click.option(
    "--opc-checksum-algorithm",
    type=click.Choice(["CRC32C", "SHA256", "SHA384"], case_sensitive=False),
    help="The checksum that the upload was created with, to be declared for the parts that are "
    "sent. [what the journal knows]",
)
@click.option("--encryption-key-file", help="A file with a base64 AES-256 key of yours (SSE-C).")
@click.option("--no-wait", is_flag=True, help="End at once if another process is uploading this.")
@click.option("--receipt", help="Write a receipt to this file: the proof of what was stored.")
@from_json_option
@global_options(hidden=True)
@click.pass_context
def resume_put(context: click.Context, /, **options: Any) -> None:
    """Go on with a multipart upload that was left unfinished, by whatever tool.

    Its parts are compared with the file by their MD5: what is not the file's is sent again. What
    ocihaul itself has begun needs no id: run the same `put` again.
    """
    from ocihaul.cli.objects.put_run import run_put

    invocation = settle(context, options, command=_RESUME_PUT)
    given, home = invocation.options, invocation.home
    code = run_put(invocation, lambda: resume_request(given, home=home), command="resume-put")
    raise click.exceptions.Exit(code)


def resume_request(options: Mapping[str, Any], *, home: Path) -> "UploadRequest":
    """The request that these options (by their parameter names) mean; raises UsageError."""
    from ocihaul.cli.objects.put_options import check_source
    from ocihaul.cli.options import check_required, customer_key, namespace_or_none
    from ocihaul.errors import UsageError
    from ocihaul.transfer.monitor import MOST
    from ocihaul.transfer.upload.request import IfExists, UploadRequest

    check_required(options, "bucket_name", "file", "upload_id")
    count, one = options.get("parallel_upload_count"), options.get("disable_parallel_uploads")
    if count is not None and one:
        raise UsageError(
            "--parallel-upload-count and --disable-parallel-uploads exclude each other",
            hint="Leave one out.",
        )
    if options["file"] == "-":
        raise UsageError(
            "--file -: a pipe cannot be gone on with", hint="Name the file that was uploaded."
        )
    source = check_source(Path(str(options["file"])))
    return UploadRequest(
        source=source,
        namespace=namespace_or_none(options.get("namespace")) or "",
        bucket=options["bucket_name"],
        name=options.get("name") or source.name,
        existing=IfExists.REPLACE,  # as in the official CLI: it asks nothing
        upload_id=options["upload_id"],
        part_size=options.get("part_size"),
        parallel=1 if one else MOST if count == AUTO else int(count or _RESUME_PARALLEL),
        adaptive=count == AUTO,
        verify_checksum=bool(options.get("verify_checksum")),
        checksum_algorithm=options.get("opc_checksum_algorithm"),
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        wait=not options.get("no_wait"),
        receipt=Path(options["receipt"]) if options.get("receipt") else None,
    )
