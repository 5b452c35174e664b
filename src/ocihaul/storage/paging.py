"""Lists page by page: each page names the next one, and none may come twice."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from ocihaul.errors import ServiceError

T = TypeVar("T")


def pages(
    ask: Callable[[str | None], tuple[T, str | None]], operation: str, *, first: str | None = None
) -> Iterator[T]:
    """Every page of a list, each asked for when the one before it has been used.

    `ask` gets a page's name (`first` to begin with) and returns the page with the name of the
    next one. Raises ServiceError when a name comes again: the list would never end.
    """
    seen = set() if first is None else {first}
    name = first
    while True:
        page, following = ask(name)
        yield page
        if not following:
            return
        if following in seen:
            raise ServiceError(
                status=200,
                code=None,
                message="the list repeats a page, so it would never end",
                operation=operation,
            )
        seen.add(following)
        name = following
