"""One command line, settled: options with their defaults, how to print, and where to work.

What belongs here: what every command on Object Storage does before its own work begins, and the
run of those that are one question to the service and one printed answer.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given
from ocihaul.cli.process import DONE, environment_and_home
from ocihaul.events import AnyEvent, TokenChanged

if TYPE_CHECKING:
    # They cost time at start-up, which `--help` and other commands need not spend.
    from ocihaul.cli.output import View
    from ocihaul.cli.transfer_run import TransferRun
    from ocihaul.client import Client
    from ocihaul.config import Settings
    from ocihaul.storage.client import StorageClient

#: How long a person at a terminal waits for a service that no connection can be made to, seconds.
_PATIENCE = 5.0

Command = TypeVar("Command", bound=Callable[..., Any])


def bucket_options(command: Command) -> Command:
    """The options that name a bucket."""
    for add in (
        click.option("-bn", "--bucket-name", help="The bucket. [required]"),
        namespace_option,
    ):
        command = add(command)
    return command


def namespace_option(command: Command) -> Command:
    """The option that names a namespace; without it the service is asked."""
    names = ("-ns", "--namespace", "--namespace-name")
    return click.option(*names, help="The namespace. [the tenancy's own]")(command)


def from_json_option(command: Command) -> Command:
    """The option whose document holds other options."""
    return click.option("--from-json", help="Options as a JSON document, or file://path.")(command)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was asked for. `options` go by parameter names: command line, document, rc file.

    `settings` finds profile, endpoint and the rest; it raises ConfigError and UsageError.
    `whole` is the run of the command where this is one of several transfers of it. `reword` puts
    the hints of an error into the command's own words, where it has others than flags.
    """

    options: Mapping[str, Any] = field(repr=False)
    settings: Callable[[], "Settings"]
    view: "View"
    home: Path
    given: Given = field(repr=False)
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    whole: "TransferRun | None" = field(default=None, repr=False)
    reword: Callable[[BaseException], None] = field(default=lambda _: None, repr=False)

    def notices(self, settings: "Settings") -> list[str]:
        """What has to be said before the work begins."""
        return [*map(in_flags, settings.notices), *self.given.notices()]

    def may_ask(self) -> bool:
        """There is a person at a terminal, or what is piped in may be the answer."""
        if is_terminal(self.stdin):
            return is_terminal(self.stderr)
        return is_readable(self.stdin)

    def answer(self, data: object) -> None:
        """Print the answer on stdout as the person wants to see it."""
        from ocihaul.cli.output import EMPTY_RESULT, columns_of, print_view

        text = self.view.render(data, columns=columns_of(self.stdout))
        if text is None:
            self.tell(EMPTY_RESULT)
        else:
            print_view(self.stdout, self.view, text)
            self.tell(*self.view.beside(data))

    def tell(self, *lines: str) -> None:
        """Say something on stderr."""
        from ocihaul.printing import say

        if lines:
            say(self.stderr, *lines)


def settle(
    context: click.Context, options: Mapping[str, Any], *, command: Sequence[str]
) -> Invocation:
    """Fill in what was not given, from `--from-json` and the rc file; raises UsageError.

    `command` is its path in the tree, such as `("os", "object", "put")`: the rc file's sections
    go by it.
    """
    from ocihaul.cli.options import Defaults, Document, OptionOrigin, drop_outvoted
    from ocihaul.cli.output import make_view
    from ocihaul.config import load_rc, profile_name, resolve

    given = context.ensure_object(Given)
    environ, home = environment_and_home()
    parameters = [each for each in context.command.params if isinstance(each, click.Option)]
    document = Document()
    if options.get("from_json"):
        document = Document.read(options["from_json"], parameters, home)
        given.with_document(document, parameters)
    flags = given.flags()
    rc = load_rc(flags, environ, home)
    defaults = Defaults(rc, profile_name(flags, environ, rc), command, document)
    given.with_defaults(defaults)
    settled, origins = dict(options), dict.fromkeys(options, OptionOrigin.COMMAND_LINE)
    for option in parameters:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name in settled and source is not click.core.ParameterSource.COMMANDLINE:
            settled[name], origins[name] = defaults.value(option)
    drop_outvoted(settled, origins)
    view = make_view(
        output=given.values.get("output"),
        query=given.values.get("query"),
        raw=bool(given.values.get("raw_output")),
        queries=rc.queries,
    )
    return Invocation(
        options=settled,
        settings=lambda: resolve(flags, environ, home, command=tuple(command)),
        view=view,
        home=home,
        given=given,
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
    )


@contextmanager
def client_at_work(invocation: Invocation) -> Iterator[tuple["Client", threading.Event]]:
    """A client, and what a signal sets, for a command without progress.

    Raises TransferCancelled when a signal has stopped what was asked.
    """
    from ocihaul.cli.client import client_for, reporting_on
    from ocihaul.cli.signals import stopping

    settings = invocation.settings()
    if is_terminal(invocation.stderr):
        settings = replace(settings, unreachable=_PATIENCE)
    with stopping() as stopper, reporting_on(invocation, settings) as (listener, _):

        def tell(event: AnyEvent) -> None:
            # Who asks a short question need not hear how long the session would last.
            first = isinstance(event, TokenChanged) and event.source == "start"
            if invocation.given.debug or not first:
                listener(event)

        with client_for(settings, listener=tell, stop=stopper.stop) as client:
            yield client, stopper.stop


@contextmanager
def at_work(invocation: Invocation) -> Iterator[tuple["StorageClient", threading.Event]]:
    """The storage client of `client_at_work`."""
    with client_at_work(invocation) as (client, stop):
        yield client.storage, stop


def run_query(
    invocation: Invocation,
    work: Callable[["StorageClient", str], object],
    *,
    needs_namespace: bool = True,
) -> int:
    """Run `work(storage, namespace)` and print what it returns, unless that is None.

    For commands of one or a few requests. Without `needs_namespace` none is asked for, and an
    empty one is handed on. Raises what `work` raises, and TransferCancelled.
    """
    from ocihaul.cli.options import namespace_or_none

    namespace = namespace_or_none(invocation.options.get("namespace"))
    with at_work(invocation) as (storage, _):
        if needs_namespace and not namespace:
            namespace = storage.get_namespace()
        data = work(storage, namespace or "")
    if data is not None:
        invocation.answer(data)
    return DONE


def is_readable(stream: TextIO | None) -> bool:
    """Whether something may be read from it."""
    return stream is not None and not stream.closed


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
