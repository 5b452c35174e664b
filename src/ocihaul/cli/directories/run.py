"""One run over a directory as its operator sees it: signals, questions, lines, summary.

The summary is the official JSON, written as it is read: the results may be more than memory holds,
so without --query they are never all in hand.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from ocihaul.cli.client import client_for, cluster_of, estimator_for
from ocihaul.cli.error_text import in_flags
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.output import EMPTY_RESULT, View, columns_of, print_view
from ocihaul.cli.process import DONE, FAILED
from ocihaul.cli.run_result import FileCounts
from ocihaul.cli.signals import next_line
from ocihaul.cli.transfer_run import TransferRun, run_transfer
from ocihaul.directories.delete import NothingToDelete
from ocihaul.directories.request import ConfirmDeletion, ConfirmReplacement, Request
from ocihaul.directories.results import (
    DELETED,
    DOWNLOADED,
    NOT_DELETED,
    SKIPPED,
    UPLOADED,
    Results,
)
from ocihaul.directories.results import (
    FAILED as FILE_FAILED,
)
from ocihaul.directories.run import DirectoryResult, Hooks
from ocihaul.errors import TransferCancelled
from ocihaul.events import audience, ignore
from ocihaul.printing import say, write_answer


@dataclass(frozen=True, slots=True)
class SummaryKey:
    """One key of the JSON; with `values` it is an object, without a list of names.

    `row` is what a row of the table says beside the name.
    """

    key: str
    kind: str
    row: Mapping[str, str]
    values: bool = False


Layout = tuple[SummaryKey, ...]

UPLOAD: Layout = (
    SummaryKey("uploaded-objects", UPLOADED, {"action": "Uploaded", "type": "file"}, values=True),
    SummaryKey("upload-failures", FILE_FAILED, {"action": "Failed", "type": "file"}, values=True),
    SummaryKey("skipped-objects", SKIPPED, {"action": "Skipped", "type": "file"}),
)
DOWNLOAD: Layout = (
    SummaryKey("downloaded-objects", DOWNLOADED, {"action": "Downloaded", "type": "object"}),
    SummaryKey(
        "download-failures", FILE_FAILED, {"action": "Failed", "type": "object"}, values=True
    ),
    SummaryKey("skipped-objects", SKIPPED, {"action": "Skipped", "type": "object"}),
)
DELETE: Layout = (
    SummaryKey("delete-failures", NOT_DELETED, {"action": "Failed"}, values=True),
    SummaryKey("deleted-objects", DELETED, {"action": "Deleted", "type": "object"}),
)
DELETE_FILES: Layout = (
    SummaryKey("deleted-files", DELETED, {"action": "Deleted", "type": "file"}),
)


def print_summary(results: Results, layout: Layout, view: View, stream: TextIO) -> bool:
    """Print it; False when a query left nothing to print."""
    if view.output == "json" and view.query is None:
        write_answer(stream, json_pieces(results, layout))
    else:
        whole = rows(results, layout) if view.output == "table" else document(results, layout)
        text = view.render(whole, columns=columns_of(stream))
        if text is None:
            return False
        print_view(stream, view, text)
    return True


def json_pieces(results: Results, layout: Layout) -> Iterator[str]:
    """The JSON as `json.dumps(document, indent=2, sort_keys=True)` has it, piece by piece."""
    before = "{\n"
    for section in sorted(layout, key=lambda each: each.key):
        yield f"{before}  {_text(section.key)}: "
        opening, closing = "{}" if section.values else "[]"
        empty = True
        for name, value in _items(results, section):
            item = _text(name)
            if section.values:
                item += ": " + _text(value).replace("\n", "\n    ")
            yield f"{opening if empty else ','}\n    {item}"
            empty = False
        yield f"{opening}{closing}" if empty else f"\n  {closing}"
        before = ",\n"
    yield "\n}\n"


def _items(results: Results, section: SummaryKey) -> Iterator[tuple[str, Any]]:
    """Names and values of a section; reasons are in the command line's words."""
    for name, value in results.items(section.kind):
        yield name, in_flags(value) if isinstance(value, str) else value


def document(results: Results, layout: Layout) -> dict[str, Any]:
    """All of it, for a query."""
    return {
        section.key: dict(_items(results, section))
        if section.values
        else [name for name, _ in results.items(section.kind)]
        for section in layout
    }


def rows(results: Results, layout: Layout) -> list[dict[str, Any]]:
    """All of it, for a table."""
    found = []
    for section in layout:
        for name, value in _items(results, section):
            row: dict[str, Any] = {**section.row, "name": name}
            if section.kind == NOT_DELETED:
                row = {**section.row, "object": name}
            if isinstance(value, dict):
                row |= value
            elif value is not None and section.values:
                row["error-message"] = value
            found.append(row)
    return found


def _text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


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
