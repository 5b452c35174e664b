"""The bucket's objects beside a walk: found by name with as few pages of the list as possible."""

from collections.abc import Callable, Iterator

from ocihaul.directories.compare import in_order
from ocihaul.directories.names import sort_key
from ocihaul.directories.shards import WHOLE, Shard
from ocihaul.errors import ServiceError
from ocihaul.storage.calls import endless
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PAGE, ListedObject, ObjectPage, Selection
from ocihaul.threads import Later, ahead

#: What the comparison of directories needs to know of an object.
FIELDS = "name,size,etag,md5,timeModified,archivalState"

_SMALLEST_PAGE = 10


class BucketIndex:
    """One bucket, or what is under one prefix in it.

    `on_odd` is called with what is wrong with each entry of a list that has no usable name.
    """

    def __init__(
        self,
        storage: StorageClient,
        namespace: str,
        bucket: str,
        prefix: str = "",
        *,
        on_odd: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._storage = storage
        self._on_odd = on_odd
        self._where = (namespace, bucket)
        self._prefix = prefix

    def check(self) -> None:
        """Raise ServiceError when there is no such bucket."""
        self._storage.get_bucket(*self._where)

    def objects(self, *, delimiter: str | None = None) -> Iterator[ListedObject]:
        """All objects in the order of their names; raises ServiceError when they are not."""
        selection = Selection(prefix=self._prefix or None, fields=FIELDS, delimiter=delimiter)
        pages = self._storage.list_objects(*self._where, selection)
        return in_order(each for page in ahead(pages) for each in self.sound(page))

    def of_shard(self, shard: Shard, *, delimiter: str | None = None) -> Iterator[ListedObject]:
        """Those of the objects that are the shard's, in the order of their names."""
        objects = self.objects(delimiter=delimiter)
        return (each for each in objects if shard.holds(sort_key(each.name)))

    def size(self, shard: Shard = WHOLE, *, delimiter: str | None = None) -> int:
        """The bytes of the shard's objects, by a list of its own."""
        return sum(each.size or 0 for each in self.of_shard(shard, delimiter=delimiter))

    def finder(self, shard: Shard = WHOLE) -> "Finder":
        """Look-ups by name, in ascending order; only the shard's names are looked up."""
        return Finder(self, shard.count)

    def page_from(self, name: str, size: int) -> ObjectPage:
        """One page that begins at `name`; its odd entries are not told yet."""
        selection = Selection(prefix=self._prefix or None, start=name, fields=FIELDS)
        return next(self._storage.list_objects(*self._where, selection, page_size=size))

    def sound(self, page: ObjectPage) -> tuple[ListedObject, ...]:
        """The entries that have a name; the others are told."""
        for reason in page.odd:
            self._on_odd(reason)
        return page.objects


def odd_entry(reason: str) -> ServiceError:
    """The error for an entry of a list that cannot be used; `reason` says what is wrong with it."""
    return ServiceError(
        status=200,
        code=None,
        message=f"its entry in the list cannot be used: {reason}",
        operation="ListObjects",
    )


class Finder:
    """Looks names up, in ascending order only.

    Skips what lies between two names: a small directory in a large bucket costs no more pages
    than it has files. A page that was hardly used makes the next one smaller. Of a page that is of
    use to all `shards`, each uses its share: that is no reason to ask for less. The page after one
    that is of use is asked for while that one is looked through.
    """

    def __init__(self, bucket: BucketIndex, shards: int = 1) -> None:
        self._bucket = bucket
        self._shards = shards
        self._page: list[ListedObject] = []
        self._at = 0
        self._hits = 0
        self._following: str | None = ""
        self._size = PAGE
        self._next: tuple[str, Later[ObjectPage]] | None = None

    def find(self, name: str) -> ListedObject | None:
        """The object that has this name, or None."""
        key = sort_key(name)
        while True:
            while self._at < len(self._page):
                each = self._page[self._at]
                order = sort_key(each.name)
                if order == key:
                    self._hits += 1
                    return each
                if order > key:
                    return None
                self._at += 1
                self._look_ahead()
            if self._following is None or sort_key(self._following) > key:
                return None
            self._turn(max(self._following, name, key=sort_key))

    def _look_ahead(self) -> None:
        """In the middle of a page that is of use, ask for the page after it."""
        if self._next is None and self._at == len(self._page) // 2 and self._is_used(self._at):
            self._ask_ahead()

    def _ask_ahead(self) -> None:
        start = self._following
        if start is not None:
            self._next = start, Later(lambda: self._bucket.page_from(start, PAGE))

    def _is_used(self, entries: int) -> bool:
        return self._hits * self._shards * 4 >= entries

    def _turn(self, name: str) -> None:
        used = bool(self._page) and self._is_used(len(self._page))
        if self._page:
            self._size = PAGE if used else max(self._size // 4, _SMALLEST_PAGE)
        if self._next is None:
            start, page = name, self._bucket.page_from(name, self._size)
        else:
            start, later = self._next
            self._next = None
            page = later.result()
        if page.following is not None and page.following <= start:
            raise endless("ListObjects")
        self._following = page.following
        if used:  # the next one probably is, too
            self._ask_ahead()
        self._page = list(in_order(iter(self._bucket.sound(page))))
        self._at = self._hits = 0
