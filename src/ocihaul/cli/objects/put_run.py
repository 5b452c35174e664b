"""One upload, seen by the person who started it: signals, question, progress, answer."""

from collections.abc import Callable
from typing import TextIO

from ocihaul.cli import client
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.objects.pipes import piped, reads_stdin
from ocihaul.cli.output import checksum_verdict, put_answer
from ocihaul.cli.progress import Reporter
from ocihaul.cli.prompts import yes_or_no
from ocihaul.cli.signals import Stopper, stopping
from ocihaul.config import Settings
from ocihaul.errors import ObjectExistsError, OcihaulError, ReceiptError, TransferCancelled
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult

KEPT = "The object already exists and was not overwritten"
QUESTION = "WARNING: This object already exists. Are you sure you want to overwrite it? [y/N]:"


def run_put(invocation: Invocation, request: UploadRequest) -> int:
    """Upload, print the answer on stdout, and return the exit status."""
    settings = invocation.settings()
    with piped(request, invocation.stdin) as given:
        return _run_put(invocation, settings, given)


def _run_put(invocation: Invocation, settings: Settings, request: UploadRequest) -> int:
    may_ask = invocation.may_ask() and not reads_stdin(request)
    question = _Question(invocation.stdin, invocation.stderr)
    failure: ReceiptError | None = None
    with stopping() as stopper:
        with client.reporting_on(invocation, settings) as (listener, reporter):
            confirm = question.asked_by(stopper) if may_ask else None
            try:
                result = client.run_upload(
                    settings, request, listener=listener, confirm=confirm, stop=stopper.stop
                )
            except ReceiptError as error:  # the object is there all the same
                if not isinstance(error.result, UploadResult):
                    raise
                result, failure = error.result, error
            except ObjectExistsError as error:
                return _exists(error, request, reporter, asked=question.answered)
            except KeyboardInterrupt:
                raise TransferCancelled("stopped before the upload began") from None
        code = _answer(invocation, request, result)
        if failure is not None:
            raise failure
        return code


def _answer(invocation: Invocation, request: UploadRequest, result: UploadResult) -> int:
    answer = put_answer(result.headers)
    if answer:
        invocation.answer(answer)
    if not request.verify_checksum:
        return DONE
    verdict, good = checksum_verdict(result.headers, result.md5)
    invocation.tell(verdict)
    return DONE if good else FAILED


def _exists(
    error: ObjectExistsError, request: UploadRequest, reporter: Reporter, *, asked: bool
) -> int:
    if request.existing is IfExists.KEEP:
        reporter.notice(KEPT)
        return DONE
    if asked:
        reporter.notice("Aborted!")
        return FAILED
    cure = error.hint or "Use --force to replace it, or --no-overwrite to keep it."
    raise OcihaulError(error.message, hint=f"There is no terminal to ask on. {cure}") from None


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
