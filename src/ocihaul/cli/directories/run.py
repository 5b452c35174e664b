"""One run over a directory as its operator sees it: signals, questions, lines, summary."""

from collections.abc import Callable
from typing import TextIO

from ocihaul.cli.client import client_for, estimator_for
from ocihaul.cli.directories.progress import DirectoryReporter, directory_reporting
from ocihaul.cli.directories.summary import Layout, print_summary
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.output import EMPTY_RESULT
from ocihaul.cli.prompts import next_line
from ocihaul.cli.signals import Stopper, stopping
from ocihaul.client import Client
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
    adaptive: bool | None = None,
    question: str = "",
    confirm_deletion: ConfirmDeletion | None = None,
    dry_run: DryRun | None = None,
) -> int:
    """Run it and print the summary; returns the exit status.

    `question` asks about one name, `{}` in it. `dry_run` prints the results instead of the
    summary.
    """
    settings = invocation.settings()
    unprinted = False

    def report(results: Results) -> None:
        nonlocal unprinted
        if not request.dry_run:
            reporter.beat()
        if dry_run is not None:
            dry_run(results, invocation.stdout)
        else:
            unprinted = not print_summary(results, layout, invocation.view, invocation.stdout)

    with (
        stopping() as stopper,
        directory_reporting(invocation.stderr, debug=invocation.given.debug) as reporter,
    ):
        for text in invocation.notices(settings):
            reporter.notice(f"Notice: {text}")
        # What one large file of many takes is no forecast.
        estimator = estimator_for(settings, ignore)
        hooks = Hooks(
            confirm=_confirm(invocation, question, stopper),
            confirm_deletion=confirm_deletion,
            before=estimator.require if settings.session_options.require_session else None,
            report=report,
        )
        hears = audience(reporter, estimator)
        with client_for(settings, listener=hears, stop=stopper.stop) as client:
            result = _run(client, request, hooks, adaptive=adaptive, reporter=reporter)
        if unprinted:
            say(invocation.stderr, EMPTY_RESULT)
        if result.failed:
            reporter.notice(f"{result.failed} failed; the others are done.")
        return FAILED if result.failed else DONE


def _run(
    client: Client,
    request: Request,
    hooks: Hooks,
    *,
    adaptive: bool | None,
    reporter: DirectoryReporter,
) -> DirectoryResult:
    try:
        return client.run_directory(request, hooks=hooks, adaptive=adaptive)
    except KeyboardInterrupt:
        raise TransferCancelled("stopped while asking") from None
    finally:
        if not request.dry_run:
            reporter.beat()


def _confirm(invocation: Invocation, question: str, stopper: Stopper) -> ConfirmReplacement | None:
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
        with stopper.asking():
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
    if not line:
        say(invocation.stderr, "")
        return None
    return line.strip().lower()
