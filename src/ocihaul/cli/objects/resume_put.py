"""`os object resume-put`: go on with an upload that is known by its id."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import bucket_options, from_json_option, settle
from ocihaul.cli.option_types import AUTO, ParallelCount, PartSize

if TYPE_CHECKING:
    from ocihaul.transfer.upload.request import UploadRequest

COMMAND = ("os", "object", "resume-put")

#: As the official CLI: fewer than `put`.
DEFAULT_PARALLEL = 3


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

    invocation = settle(context, options, command=COMMAND)
    given, home = invocation.options, invocation.home
    code = run_put(invocation, lambda: build_request(given, home=home), command="resume-put")
    raise click.exceptions.Exit(code)


def build_request(options: Mapping[str, Any], *, home: Path) -> "UploadRequest":
    """The request that these options (by their parameter names) mean; raises UsageError."""
    from ocihaul.cli.objects.put_options import check_source
    from ocihaul.cli.option_values import check_required, customer_key, namespace_or_none
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
        parallel=1 if one else MOST if count == AUTO else int(count or DEFAULT_PARALLEL),
        adaptive=count == AUTO,
        verify_checksum=bool(options.get("verify_checksum")),
        checksum_algorithm=options.get("opc_checksum_algorithm"),
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        wait=not options.get("no_wait"),
        receipt=Path(options["receipt"]) if options.get("receipt") else None,
    )
