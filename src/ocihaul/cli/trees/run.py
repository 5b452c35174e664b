"""One run over a tree, seen by the person who started it: signals, questions, lines, summary."""

import time
from collections.abc import Callable
from typing import TextIO

from ocihaul.cli.asking import next_line
from ocihaul.cli.core import journal_for, storage_for
from ocihaul.cli.exit_codes import DONE, FAILED
from ocihaul.cli.foretelling import Foreteller
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.option_values import namespace_or_none
from ocihaul.cli.output import EMPTY_RESULT
from ocihaul.cli.stopping import Stopper, stopping
from ocihaul.cli.trees.options import is_adaptive
from ocihaul.cli.trees.progress import TreeReporter, tree_reporting
from ocihaul.cli.trees.summary import Layout, print_summary
from ocihaul.errors import Interrupted
from ocihaul.events import audience, ignore
from ocihaul.printing import say
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.pace import Pace
from ocihaul.trees.ledger import open_ledger
from ocihaul.trees.request import Confirm
from ocihaul.trees.results import FAILED as FAILURES
from ocihaul.trees.results import NOT_DELETED, Results
from ocihaul.trees.work import Work

#: Does the work in a namespace.
Run = Callable[[Work, str], None]
#: The ledger's name of the run, from the endpoint and the namespace; None: nothing to remember.
Key = Callable[[str, str], str]
#: How many bytes there are at most, in a namespace; None where no number says how long it takes.
Size = Callable[[StorageClient, str], int | None]


def run_tree(
    invocation: Invocation,
    run: Run,
    layout: Layout,
    *,
    key: Key | None = None,
    question: str = "",
    dry_run: Callable[[Results, TextIO], None] | None = None,
    size: Size | None = None,
) -> int:
    """Run it and print the summary; returns the exit status.

    `question` asks about one name, `{}` in it. `dry_run` prints the results instead. With `size`,
    --require-session is heard.
    """
    settings = invocation.settings()
    debug = invocation.given.debug
    with (
        stopping() as stopper,
        Results() as results,
        tree_reporting(invocation.stderr, debug=debug) as reporter,
    ):
        for text in invocation.notices(settings):
            reporter.notice(f"Notice: {text}")
        wishes = settings.wishes
        foreteller = Foreteller(
            ignore,  # what one large file of many takes is no forecast
            mints=wishes.renew_with,
            expected_rate=wishes.expected_rate,
            monotonic=time.monotonic,
            now=time.time,
        )
        pace = Pace() if is_adaptive(invocation.options) else None
        hears = reporter if pace is None else audience(reporter, pace)
        with (
            journal_for(reporter) as journal,
            storage_for(
                settings, listener=audience(hears, foreteller), stop=stopper.stop
            ) as storage,
        ):
            namespace = namespace_or_none(invocation.options.get("namespace"))
            namespace = namespace or storage.get_namespace()
            if wishes.require_session and size is not None:
                foreteller.require(size(storage, namespace))
            remembered = None if key is None else key(storage.base_url(namespace), namespace)
            with open_ledger(remembered, reporter) as ledger:
                work = Work(
                    storage,
                    results,
                    hears,
                    stopper.stop,
                    journal=journal,
                    ledger=ledger,
                    confirm=_confirm(invocation, question, stopper),
                    pace=pace,
                )
                _run(run, work, namespace, None if invocation.options.get("dry_run") else reporter)
        if dry_run is not None:
            dry_run(results, invocation.stdout)
        elif not print_summary(results, layout, invocation.view, invocation.stdout):
            say(invocation.stderr, EMPTY_RESULT)
        failed = results.count(FAILURES) + results.count(NOT_DELETED)
        if failed:
            reporter.notice(f"{failed} failed; the others are done.")
        return FAILED if failed else DONE


def _run(run: Run, work: Work, namespace: str, reporter: TreeReporter | None) -> None:
    try:
        run(work, namespace)
    except KeyboardInterrupt:
        raise Interrupted("stopped while asking") from None
    finally:
        if reporter is not None:
            reporter.beat()  # where nothing is done, there is nothing to say of it


def _confirm(invocation: Invocation, question: str, stopper: Stopper) -> Confirm | None:
    """Who is asked before something is replaced; None where there is nobody."""
    if not question or not invocation.may_ask():
        return None
    everything = False

    def confirm(name: str) -> bool:
        nonlocal everything
        if everything:
            return True
        with stopper.asking():
            word = ask(invocation, question.format(name), "y/N/yes to (a)ll") or ""
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
