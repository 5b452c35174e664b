"""One run over a directory as its operator sees it: signals, questions, lines, summary."""

from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ocihaul.cli.client import client_for, cluster_of, estimator_for
from ocihaul.cli.directories.summary import Layout, print_summary
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.output import EMPTY_RESULT
from ocihaul.cli.prompts import next_line
from ocihaul.cli.run_result import FileCounts
from ocihaul.cli.transfer_run import TransferRun, run_transfer
from ocihaul.directories.delete import NothingToDelete
from ocihaul.directories.request import ConfirmDeletion, ConfirmReplacement, Request
from ocihaul.directories.results import Results
from ocihaul.directories.run import DirectoryResult, Hooks
from ocihaul.errors import TransferCancelled
from ocihaul.events import audience, ignore
from ocihaul.printing import say

#: Prints what a dry run has found.
DryRun = Callable[[Results, TextIO], None]


def run_directory(
    invocation: Invocation,
    request: Request,
    layout: Layout,
    *,
    command: str,
    adaptive: bool | None = None,
    question: str = "",
    confirm_deletion: ConfirmDeletion | None = None,
    dry_run: DryRun | None = None,
) -> int:
    """Run it and print the summary; returns the exit status.

    `command` is its name in the log. `question` asks about one name, `{}` in it. `dry_run` prints
    the results instead of the summary.
    """

    def work(run: TransferRun) -> int:
        return _work(
            invocation,
            request,
            layout,
            run,
            adaptive=adaptive,
            question=question,
            confirm_deletion=confirm_deletion,
            dry_run=dry_run,
        )

    target = _target(invocation.options)
    return run_transfer(invocation, command, target, work, directory=True)


def _target(options: Mapping[str, Any]) -> str:
    """The directory as the log has it; of a deletion, the bucket and the prefix."""
    for name in ("src_dir", "dest_dir", "download_dir"):
        if options.get(name):
            return str(options[name])
    return f"{options.get('bucket_name')}/{options.get('prefix') or ''}"


def _work(
    invocation: Invocation,
    request: Request,
    layout: Layout,
    run: TransferRun,
    *,
    adaptive: bool | None,
    question: str,
    confirm_deletion: ConfirmDeletion | None,
    dry_run: DryRun | None,
) -> int:
    settings = invocation.settings()
    unprinted = False

    def report(results: Results, result: DirectoryResult) -> None:
        nonlocal unprinted
        run.size = result.size
        run.files = FileCounts(
            transferred=result.transferred,
            unchanged=result.skipped,
            deleted=result.deleted,
            failed=result.failed,
        )
        if result.failed:
            run.notice(f"{result.failed} failed; the others are done.")
        run.announce(FAILED if result.failed else DONE)
        if dry_run is not None:
            dry_run(results, invocation.stdout)
        else:
            unprinted = not print_summary(results, layout, invocation.view, invocation.stdout)

    for text in invocation.notices(settings):
        run.notice(f"Notice: {text}")
    # What one large file of many takes is no forecast.
    estimator = estimator_for(settings, ignore)
    hooks = Hooks(
        confirm=_confirm(invocation, question, run),
        confirm_deletion=confirm_deletion,
        before=estimator.require if settings.session_options.require_session else None,
        report=report,
        count_ahead=run.bar is not None,
    )
    with (
        cluster_of(invocation.options) as workers,
        client_for(settings, listener=audience(run, estimator), stop=run.stop) as client,
    ):
        try:
            result = client.run_directory(request, hooks=hooks, adaptive=adaptive, **workers)
        except NothingToDelete:
            run.notice(f"There are no objects to delete in {invocation.options['bucket_name']}")
            return DONE
        except KeyboardInterrupt:
            raise TransferCancelled("stopped while asking") from None
    if unprinted:
        say(invocation.stderr, EMPTY_RESULT)
    return FAILED if result.failed else DONE


def _confirm(invocation: Invocation, question: str, run: TransferRun) -> ConfirmReplacement | None:
    """What asks before something is replaced; None where no answer can come."""
    if not question or not invocation.may_ask():
        return None
    everything = ended = False

    def confirm(name: str) -> bool | None:
        nonlocal everything, ended
        if ended:
            return None
        if everything:
            return True
        with run.asking():
            word = ask(invocation, question.format(name), "y/N/yes to (a)ll")
        if word is None and not is_terminal(invocation.stdin):
            ended = True
            return None
        everything = word in {"a", "all"}
        return everything or word in {"y", "yes"}

    return confirm


def ask(invocation: Invocation, question: str, choices: str) -> str | None:
    """The answer to a question, in lower case; None where the input has ended without one."""
    say(invocation.stderr, f"WARNING: {question} [{choices}]:", end=" ")
    line = next_line(invocation.stdin)
    if not line or not is_terminal(invocation.stdin):  # only a terminal echoes the line's end
        say(invocation.stderr, "")
    if not line:
        return None
    return line.strip().lower()
