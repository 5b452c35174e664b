"""One upload, seen by the person who started it: signals, question, progress, answer."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, TextIO

from ocihaul.cli import client, compat
from ocihaul.cli.client import Executor, cluster_of
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.objects.put_options import piped, reads_stdin
from ocihaul.cli.output import checksum_verdict, put_answer
from ocihaul.cli.process import DONE, FAILED
from ocihaul.cli.prompts import yes_or_no
from ocihaul.cli.run_result import KEPT, KEPT_DIFFERENT
from ocihaul.cli.signals import Stopper
from ocihaul.cli.transfer_run import TransferRun, run_transfer
from ocihaul.clock import read_date
from ocihaul.config import Settings
from ocihaul.errors import ObjectExistsError, OcihaulError, ReceiptError, TransferCancelled
from ocihaul.quantities import time_text
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult

SAID_KEPT = "The object already exists and was not overwritten"
QUESTION = "WARNING: This object already exists. Are you sure you want to overwrite it? [y/N]:"


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
            compare_kept=request.existing is IfExists.KEEP and not compat.is_official(),
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
