"""`os object put` and `resume-put`: their options, and the upload as a person sees it.

It has signals, a question, progress and an answer.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, TextIO

import click

from ocihaul.cli import client
from ocihaul.cli.client import Executor, cluster_of, dask_options
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import (
    Invocation,
    bucket_options,
    from_json_option,
    is_terminal,
    settle,
)
from ocihaul.cli.objects.put_options import build_request, check_source, piped, reads_stdin
from ocihaul.cli.options import (
    AUTO,
    JsonObject,
    ParallelCount,
    PartSize,
    check_required,
    customer_key,
    namespace_or_none,
)
from ocihaul.cli.output import checksum_verdict, put_answer
from ocihaul.cli.process import DONE, FAILED, mimics_official_cli
from ocihaul.cli.run_result import KEPT, KEPT_DIFFERENT
from ocihaul.cli.signals import Stopper, yes_or_no
from ocihaul.cli.transfer_run import TransferRun, run_transfer
from ocihaul.clock import read_date
from ocihaul.config import Settings
from ocihaul.errors import (
    ObjectExistsError,
    OcihaulError,
    ReceiptError,
    TransferCancelled,
    UsageError,
)
from ocihaul.quantities import time_text
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.monitor import MOST
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult

_PUT = ("os", "object", "put")

SAID_KEPT = "The object already exists and was not overwritten"
QUESTION = "WARNING: This object already exists. Are you sure you want to overwrite it? [y/N]:"

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

    invocation = settle(context, options, command=_RESUME_PUT)
    given, home = invocation.options, invocation.home
    code = run_put(invocation, lambda: resume_request(given, home=home), command="resume-put")
    raise click.exceptions.Exit(code)


def resume_request(options: Mapping[str, Any], *, home: Path) -> UploadRequest:
    """The request that these options (by their parameter names) mean; raises UsageError."""

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


def run_put(
    invocation: Invocation,
    build: Callable[[], UploadRequest],
    *,
    command: str = "put",
    answers: bool = True,
) -> int:
    """Upload what `build` asks for, and return the exit status.

    The answer is printed on stdout, unless `answers` is False.
    """

    def work(run: TransferRun) -> int:
        request = build()
        settings = invocation.settings()
        run.receipt = None if request.receipt is None else str(request.receipt)
        with (
            piped(request, invocation.stdin) as given,
            cluster_of(invocation.options) as workers,
        ):
            return _run_put(invocation, settings, given, run, workers, answers=answers)

    return run_transfer(invocation, command, _target(invocation.options), work)


def _target(options: Mapping[str, Any]) -> str:
    """The object as the log has it, also where the options turn out to be wrong."""
    name = options.get("name") or PurePath(str(options.get("file") or "")).name
    return f"{options.get('bucket_name')}/{name}"


def _run_put(
    invocation: Invocation,
    settings: Settings,
    request: UploadRequest,
    run: TransferRun,
    workers: Executor,
    *,
    answers: bool,
) -> int:
    word = invocation.options.get("if_exists")
    may_ask = word is None and invocation.may_ask() and not reads_stdin(request)
    question = _Question(invocation.stdin, invocation.stderr)
    failure: ReceiptError | None = None
    for text in invocation.notices(settings):
        run.notice(f"Notice: {text}")
    try:
        result = client.run_upload(
            settings,
            request,
            listener=run,
            confirm=question.asked_by(run.stopper) if may_ask else None,
            stop=run.stop,
            compare_kept=request.existing is IfExists.KEEP and not mimics_official_cli(),
            workers=workers,
        )
    except ReceiptError as error:  # the object is there all the same
        if not isinstance(error.result, UploadResult):
            raise
        result, failure = error.result, error
    except ObjectExistsError as error:
        return _exists(error, request, run, asked=question.answered, word=word)
    except KeyboardInterrupt:
        raise TransferCancelled("stopped before the upload began") from None
    run.size = result.size
    run.compared = " and ".join(_compared(request, result)) or None
    code = _verify(request, result, run)
    if failure is None:
        run.announce(code)
    answer = put_answer(result.headers)
    if answer and answers:
        invocation.answer(answer)
    if failure is not None:
        raise failure
    return code


def _compared(request: UploadRequest, result: UploadResult) -> Iterator[str]:
    """The checksums that both sides have: ours are in the result, the service's in its answer."""
    ours = {"CRC32C": result.crc32c, "MD5": result.md5}
    if request.checksum_algorithm is not None:  # it was declared, and a difference is refused
        ours.setdefault(request.checksum_algorithm, "declared")
    for name, value in ours.items():
        headers = {f"opc-{kind}-{name.lower()}" for kind in ("content", "multipart")}
        if value is not None and headers & result.headers.keys():
            yield name


def _verify(request: UploadRequest, result: UploadResult, run: TransferRun) -> int:
    if not request.verify_checksum:
        return DONE
    verdict, good = checksum_verdict(result.headers, result.md5)
    run.notice(verdict, routine=good)
    return DONE if good else FAILED


def _exists(
    error: ObjectExistsError,
    request: UploadRequest,
    run: TransferRun,
    *,
    asked: bool,
    word: str | None,
) -> int:
    if request.existing is IfExists.KEEP:
        run.state = KEPT if error.same is not False else KEPT_DIFFERENT
        run.notice(SAID_KEPT)
        if error.same:
            run.notice("It is this file: size and checksum are the same.", routine=True)
        else:
            for line in _other(error, request):
                run.notice(line)
        return DONE if error.same or word != "keep-same" else FAILED
    if asked:
        run.notice("Aborted!")
        return FAILED
    if word is not None:
        raise OcihaulError(error.message, hint="--if-exists keep-same or replace allows it.")
    cure = error.hint or "Use --force to replace it, or --no-overwrite to keep it."
    raise OcihaulError(error.message, hint=f"There is no terminal to ask on. {cure}") from None


def _other(error: ObjectExistsError, request: UploadRequest) -> Iterator[str]:
    """What is said of an object that is kept and is not known to be the file."""
    if error.same is None:
        if request.stream is None and error.size is not None:
            yield "It has the size of this file; no checksum can tell whether it is this file."
        return
    theirs = _described(error.size or 0, read_date(error.headers.get("last-modified", "")))
    try:
        status = request.source.stat()
    except OSError:
        ours = "another size or content"
    else:
        ours = _described(status.st_size, status.st_mtime)
    yield (
        f"THE OBJECT IS NOT THIS FILE, AND NOTHING OF THIS FILE WAS STORED: object {request.name} "
        f"has {theirs}; file {request.source} has {ours}."
    )
    yield "Name each night's object by its date, or replace it with --if-exists replace."


def _described(size: int, modified: float | None) -> str:
    when = "" if modified is None else f", modified {time_text(modified)}"
    return f"{size} bytes{when}"


class _Question:
    """Whether to overwrite; `answered` once there was an answer."""

    def __init__(self, stdin: TextIO, stderr: TextIO) -> None:
        self._streams = (stdin, stderr)
        self.answered = False

    def asked_by(self, stopper: Stopper) -> Callable[[ObjectSummary], bool]:
        """The question as a function; a signal ends it."""

        def confirm(existing: ObjectSummary) -> bool:  # noqa: ARG001  the question is the official one
            with stopper.asking():
                answer = yes_or_no(*self._streams, QUESTION)
            self.answered = answer is not None or is_terminal(self._streams[0])
            return bool(answer)

        return confirm
