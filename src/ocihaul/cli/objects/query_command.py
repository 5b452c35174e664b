"""Commands that are one question to the service: from a function that answers it to a command.

@question("os", "object", "head", required=("bucket_name", "name"))
@bucket_options
@click.option("--name", help="The name of the object. [required]")
def head(invocation, storage, namespace):
    "What the command's help says."
    return ...  # what is printed; None: nothing
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.exit_codes import FAILED
from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import (
    Invocation,
    from_json_option,
    is_terminal,
    run_query,
    settle,
)

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

Work = Callable[[Invocation, "StorageClient", str], object]
force_option = click.option("--force", is_flag=True, help="Do not ask.")


def question(
    *path: str,
    required: Sequence[str] = (),
    confirm: Callable[[Invocation], str | None] | None = None,
    needs_namespace: bool = True,
) -> Callable[[Work], click.Command]:
    """Make a command of a function; it gets the options that are decorated onto the function.

    `confirm` words the question that has to be answered with yes unless `--force` is given; None:
    there is nothing to ask.
    """

    def decorate(work: Work) -> click.Command:
        def run(invocation: Invocation) -> int:
            text = None if confirm is None else confirm(invocation)
            if text is not None and not agreed(invocation, text):
                return FAILED
            return run_query(
                invocation,
                lambda storage, namespace: work(invocation, storage, namespace),
                needs_namespace=needs_namespace,
            )

        return command(*path, required=required, like=work)(run)

    return decorate


def command(
    *path: str, required: Sequence[str] = (), like: Callable[..., object]
) -> Callable[[Callable[[Invocation], int]], click.Command]:
    """Make a command of a function that returns the exit status; options and help are `like`'s."""

    def decorate(run: Callable[[Invocation], int]) -> click.Command:
        @click.pass_context
        def callback(context: click.Context, /, **options: Any) -> None:
            from ocihaul.cli.option_values import check_required

            invocation = settle(context, options, command=path)
            check_required(invocation.options, *required)
            raise click.exceptions.Exit(run(invocation))

        wrapped = from_json_option(global_options(hidden=True)(callback))
        made = click.command(path[-1], help=like.__doc__)(wrapped)
        # Options that are decorated onto a function wait for its command on the function.
        own: list[click.Parameter] = getattr(like, "__click_params__", [])
        made.params = [*reversed(own), *made.params]
        return made

    return decorate


def agreed(invocation: Invocation, text: str) -> bool:
    """Whether the person said yes; with `--force` nobody is asked.

    What is piped in is an answer. Raises OcihaulError where there is neither that nor a terminal.
    """
    from ocihaul.cli.prompts import yes_or_no
    from ocihaul.errors import OcihaulError

    if invocation.options.get("force"):
        return True
    answer = None
    if invocation.may_ask():
        answer = yes_or_no(invocation.stdin, invocation.stderr, text)
    if answer is None and not is_terminal(invocation.stdin):
        raise OcihaulError(
            "nothing was done: it needs a yes, and there is no terminal to ask on",
            hint="Use --force to do it without a question.",
        )
    if not answer:
        invocation.tell("Aborted!")
    return bool(answer)
