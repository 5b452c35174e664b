"""Commands that are one question to the service: from a function that answers it to a command.

@question("os", "object", "head", required=("bucket_name", "name"))
@bucket_options
@click.option("--name", help="The name of the object. [required]")
def head(invocation, storage, namespace):
    "What the command's help says."
    return ...  # what is printed; None: nothing
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import (
    Invocation,
    at_work,
    bucket_options,
    from_json_option,
    is_terminal,
    run_query,
    settle,
)
from ocihaul.cli.process import FAILED
from ocihaul.errors import OcihaulError, UsageError

if TYPE_CHECKING:
    from ocihaul.storage.calls import Extent, Listing
    from ocihaul.storage.client import StorageClient
    from ocihaul.storage.values import ObjectPage


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
            from ocihaul.cli.options import check_required

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
    """Whether the person said yes; with `--force` there is no question.

    What is piped in is an answer. Raises OcihaulError where there is neither that nor a terminal.
    """
    from ocihaul.cli.signals import yes_or_no

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


Decorated = TypeVar("Decorated", bound=Callable[..., Any])
T = TypeVar("T")

MORE = (
    "WARNING: This operation supports pagination and not all resources were returned.  Re-run "
    "using the --all option to auto paginate and list all resources."
)


def all_option(command: Decorated) -> Decorated:
    """How many, in all and at a time."""
    for add in (
        click.option("--page-size", type=click.IntRange(1), help="How many to ask for at a time."),
        click.option("--limit", type=click.IntRange(1), help="How many at most."),
        click.option("--all", "all_pages", is_flag=True, help="All there are."),
    ):
        command = add(command)
    return command


def paging_options(command: Decorated) -> Decorated:
    """How many, and from which page on."""
    return click.option("--page", help="Where to go on: opc-next-page of an earlier answer.")(
        all_option(command)
    )


def extent(invocation: Invocation) -> "Extent":
    """What the options say; raises UsageError where they contradict each other."""
    from ocihaul.storage.calls import Extent
    from ocihaul.storage.values import PAGE

    options = invocation.options
    check_all(invocation)
    size = options["page_size"]
    if options["all_pages"]:
        return Extent(page=options["page"], page_size=size or PAGE)
    if options["limit"] is not None:
        return Extent(page=options["page"], limit=options["limit"], page_size=size)
    return Extent(page=options["page"], page_size=None, single=True)


def check_all(invocation: Invocation) -> None:
    """Raise UsageError for `--all` with `--limit`."""
    if invocation.options["all_pages"] and invocation.options["limit"] is not None:
        raise UsageError("--all and --limit exclude each other", hint="Leave one of them out.")


def shown(
    invocation: Invocation, items: "Listing[T]", shape: Callable[[T], dict[str, Any]]
) -> dict[str, Any] | None:
    """The list in the official CLI's JSON; says on stderr when there is more."""
    from ocihaul.cli.objects.official_json import listing

    data: Iterable[dict[str, Any]] = [shape(each) for each in items]
    if items.following is not None:
        invocation.tell(MORE)
    return listing(data, items.following)


#: The official CLI's default for `--limit`, and the page it asks for.
OFFICIAL_PAGE = 100


@bucket_options
@click.option("--prefix", help="Only names that begin with this.")
@click.option("--start", help="Only names from this one on.")
@click.option("--end", help="Only names before this one.")
@click.option("--start-after", help="Only names after this one.")
@all_option
@click.option("--delimiter", help="Tell names up to this character, once. It can only be /.")
@click.option(
    "--fields",
    help="What to tell of each object, separated by commas; empty: names only. [everything]",
)
@click.option("--stream-output", is_flag=True, help="With --all: print while the list comes in.")
def _list() -> None:
    """List the objects in a bucket: 100, unless --limit or --all says otherwise."""


def run(invocation: Invocation) -> int:
    """Print the list; returns the exit status."""
    from ocihaul.printing import write_answer

    options = invocation.options
    check_all(invocation)
    if options["stream_output"] and not options["all_pages"]:
        raise UsageError("--stream-output goes with --all only", hint="Add --all.")
    streams = options["stream_output"] and invocation.view.is_plain_json
    document: dict[str, Any] | None = None
    with at_work(invocation) as (storage, _):
        pages = told(_pages(invocation, storage), invocation)
        if streams:
            write_answer(invocation.stdout, streamed(pages))
        else:
            document = gathered(pages)
    if document is not None:
        invocation.answer(document)
    return 0


def _pages(invocation: Invocation, storage: "StorageClient") -> Iterator["ObjectPage"]:
    from ocihaul.cli.options import namespace_or_none
    from ocihaul.storage.values import ALL_FIELDS, PAGE, Selection

    options = invocation.options
    namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
    selection = Selection(
        prefix=options["prefix"],
        start=options["start"] or None,
        end=options["end"],
        start_after=options["start_after"],
        delimiter=options["delimiter"],
        fields=ALL_FIELDS if options["fields"] is None else options["fields"],
    )
    everything = options["all_pages"]
    return storage.list_objects(
        namespace,
        options["bucket_name"],
        selection,
        limit=None if everything else options["limit"] or OFFICIAL_PAGE,
        page_size=min(options["page_size"] or (PAGE if everything else OFFICIAL_PAGE), PAGE),
    )


def told(pages: Iterator["ObjectPage"], invocation: Invocation) -> Iterator["ObjectPage"]:
    """The same; entries that cannot be used, or not as a whole, are told on stderr."""
    from ocihaul.printable import one_line

    for page in pages:
        texts = [f"an entry of the list is left out: {reason}" for reason in page.odd]
        texts += [
            f"{one_line(each.name)} is listed by its name only: {each.fault}"
            for each in page.objects
            if each.fault is not None
        ]
        invocation.tell(*(f"Notice: {text}" for text in texts))
        yield page


def gathered(pages: Iterator["ObjectPage"]) -> dict[str, Any]:
    """The whole list as one document."""
    from ocihaul.cli.objects.official_json import listed_object

    objects: list[Mapping[str, Any]] = []
    prefixes: list[str] = []
    following = None
    for page in pages:
        objects += map(listed_object, page.objects)
        prefixes += page.prefixes
        following = page.following
    document: dict[str, Any] = {"prefixes": prefixes}
    if objects:
        document["data"] = objects
    if following is not None:
        document["next-start-with"] = following
    return document


def streamed(pages: Iterator["ObjectPage"]) -> Iterator[str]:
    """The same text as for the document of `gathered`; in memory are one page and the prefixes."""
    from ocihaul.cli.objects.official_json import listed_object

    prefixes: list[str] = []
    before = '{\n  "data": [\n'
    for page in pages:
        for each in page.objects:
            shown = json.dumps(listed_object(each), indent=2, sort_keys=True, ensure_ascii=False)
            yield before + "    " + shown.replace("\n", "\n    ")
            before = ",\n"
        prefixes += page.prefixes
    tail = json.dumps({"prefixes": prefixes}, indent=2, ensure_ascii=False)
    yield tail + "\n" if before.startswith("{") else "\n  ],\n" + tail.removeprefix("{\n") + "\n"


object_list = command("os", "object", "list", required=("bucket_name",), like=_list)(run)
