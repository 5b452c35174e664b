"""Lists page by page: each page names the next one, and none may come twice."""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

from ocihaul.errors import ServiceError
from ocihaul.storage.listing import PAGE

T = TypeVar("T")
P = TypeVar("P", bound=Sized)

#: Pages without an entry, one after the other, after which no end is expected any more.
MOST_EMPTY = 1000


def pages(
    ask: Callable[[str | None], tuple[P, str | None]], operation: str, *, first: str | None = None
) -> Iterator[P]:
    """Every page of a list, each asked for when the one before it has been used.

    `ask` gets a page's name (`first` to begin with) and returns the page with the name of the
    next one. Raises ServiceError when a name comes again, or page after page has nothing in it:
    the list would never end.
    """
    seen = set() if first is None else {first}
    name = first
    empty = 0
    while True:
        page, following = ask(name)
        yield page
        if not following:
            return
        empty = 0 if len(page) else empty + 1
        if following in seen or empty > MOST_EMPTY:
            raise endless(operation)
        seen.add(following)
        name = following


def endless(operation: str) -> ServiceError:
    """The error to raise for a list whose pages make no progress."""
    return ServiceError(
        status=200,
        code=None,
        message="the list repeats a page, or makes no progress, so it would never end",
        operation=operation,
    )


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a list: from which page on, at most how many items, how many at a time.

    `single`: one page, of the service's own size where no `page_size` is given.
    """

    page: str | None = None
    limit: int | None = None
    page_size: int | None = PAGE
    single: bool = False

    def size_after(self, count: int) -> int | None:
        """How many items to ask for when `count` are there."""
        if self.limit is None:
            return self.page_size
        return min(self.limit - count, self.page_size or PAGE)


ALL = Extent()


class Listing(Generic[T]):
    """The items of a list, asked for page by page while one iterates.

    `following` is the name of the page that was not asked for any more, if there is one.
    """

    def __init__(
        self,
        ask: Callable[[str | None, int | None], tuple[Sequence[T], str | None]],
        operation: str,
        extent: Extent,
    ) -> None:
        self._ask = ask
        self._operation = operation
        self._extent = extent
        self.following: str | None = None

    def __iter__(self) -> Iterator[T]:
        count = 0

        def ask(name: str | None) -> tuple[Sequence[T], str | None]:
            items, self.following = self._ask(name, self._extent.size_after(count))
            return items, self.following

        for items in pages(ask, self._operation, first=self._extent.page):
            count += len(items)
            yield from items
            enough = self._extent.limit is not None and count >= self._extent.limit
            if enough or self._extent.single:
                return
