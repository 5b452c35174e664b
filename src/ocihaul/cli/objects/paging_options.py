"""`--all`, `--limit`, `--page` and `--page-size`: how much of a list is wanted."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.invocation import Invocation
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from ocihaul.storage.paging import Extent, Listing

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
    from ocihaul.storage.listing import PAGE
    from ocihaul.storage.paging import Extent

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
    """The list in the stock CLI's JSON; says on stderr when there is more."""
    from ocihaul.cli.objects.stock_json import listing

    data: Iterable[dict[str, Any]] = [shape(each) for each in items]
    if items.following is not None:
        invocation.tell(MORE)
    return listing(data, items.following)
