"""How every operation of Object Storage is called: endpoint, checks, pages, actions.

Lists come page by page: each page names the next one, and none may come twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ocihaul.documents import DocumentError, read_json, whole_object
from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.events import Listener, Notice, ignore
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.storage.names import (
    Document,
    bucket_path,
    check_headers,
    check_object_name,
    check_text,
    entries,
    is_etag,
)
from ocihaul.storage.values import PAGE
from ocihaul.transport.message import Answer

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


#: The largest page of a list, bytes: 1,000 names of 1,024 bytes, each written as \uXXXX, and what
#: is told of them, stay below.
PAGE_LIMIT = 16 * 2**20

Headers = Mapping[str, str]

#: Where the names of objects stand in the documents of actions.
_OBJECT_NAMES = frozenset({"objectName", "sourceName", "newName", "destinationObjectName"})


@dataclass(frozen=True, slots=True)
class Described:
    """A resource as the service tells it, and the headers of the answer."""

    document: Document
    headers: Headers


class Caller:
    """Carries out calls to the Object Storage of one region. Thread-safe.

    `endpoint` gives the base URL for a namespace, or for none (GetNamespace): realm-specific
    endpoints carry the namespace in their host name. `unsigned` carries what goes to the URLs of
    pre-authenticated requests. `listener` hears of the entries of lists that cannot be read.
    """

    def __init__(
        self,
        client: HttpClient,
        endpoint: Callable[[str | None], str],
        *,
        unsigned: HttpClient | None = None,
        listener: Listener = ignore,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._unsigned = unsigned
        self._listener = listener

    def base_url(self, namespace: str | None) -> str:
        """Where requests for this namespace go."""
        return self._endpoint(namespace)

    def _call(self, namespace: str | None, call: ServiceCall) -> Answer:
        return self._client.call(self._checked(namespace, call), call)

    def _checked(self, namespace: str | None, call: ServiceCall) -> Origin:
        """Where a call goes, whose headers and query can be sent. Raises UsageError."""
        check_headers(call.headers)
        for name, value in call.query.items():
            check_text(value, name)
        return Origin.parse(self._endpoint(namespace))

    def _told(self, namespace: str | None, call: ServiceCall, reader: Callable[[Any], T]) -> T:
        """What `reader` makes of the answer's JSON."""
        return read(self._call(namespace, call), reader, call.operation)

    def _listing(
        self,
        namespace: str | None,
        call: ServiceCall,
        reader: Callable[[Any], T],
        extent: Extent,
    ) -> Listing[T]:
        """The items of a list whose pages are named by opc-next-page."""

        def ask(page: str | None, size: int | None) -> tuple[list[T], str | None]:
            more = {"limit": None if size is None else str(size), "page": page}
            query = {**call.query, **{name: text for name, text in more.items() if text}}
            answer = self._call(namespace, replace(call, query=query, answer_limit=PAGE_LIMIT))
            items = read(answer, lambda listed: self._sound(listed, reader, call), call.operation)
            return items, answer.headers.get("opc-next-page") or None

        return Listing(ask, call.operation, extent)

    def _collection(self, namespace: str, call: ServiceCall, extent: Extent) -> Listing[Document]:
        """The same for a list that stands in the `items` of a document and knows no limit."""

        def ask(page: str | None, _size: int | None) -> tuple[list[Document], str | None]:
            query = dict(call.query) if page is None else {**call.query, "page": page}
            answer = self._call(namespace, replace(call, query=query, answer_limit=PAGE_LIMIT))
            items = read(answer, lambda given: self._items(given, call), call.operation)
            return items, answer.headers.get("opc-next-page") or None

        return Listing(ask, call.operation, extent)

    def _items(self, given: object, call: ServiceCall) -> list[Document]:
        document = whole_object(given)
        return self._sound(document.get("items") or [], whole_object, call)

    def _sound(self, listed: object, reader: Callable[[Any], T], call: ServiceCall) -> list[T]:
        """What `reader` makes of the entries of a list; the listener hears of the odd ones."""
        sound, odd = entries(listed, reader)
        for reason in odd:
            text = f"{call.operation}: an entry of the list is left out: {reason}."
            self._listener(Notice(text))
        return sound

    def _act(
        self,
        namespace: str,
        bucket: str,
        action: str,
        document: Mapping[str, object],
        headers: Headers | None = None,
    ) -> Answer:
        """One of the bucket's actions; operations are called like them."""
        for key, value in document.items():
            if isinstance(value, str):
                check = check_object_name if key in _OBJECT_NAMES else check_text
                check(value, key)
        path = f"{bucket_path(namespace, bucket)}/actions/{action}"
        operation = action[0].upper() + action[1:]
        call = ServiceCall(
            operation,
            "POST",
            path,
            headers=headers or {},
            document=document,
            answer_limit=PAGE_LIMIT,  # what became of each of 1,000 names
        )
        return self._call(namespace, call)


def read(answer: Answer, reader: Callable[[Any], T], operation: str) -> T:
    """What `reader` makes of the answer's JSON; ServiceError when it is none, or of another shape.

    A proxy or a captive portal may answer 200, too.
    """
    try:
        return reader(read_json(answer.body))
    except DocumentError as error:
        raise odd_answer(
            answer, f"the answer is not the JSON that was expected: {error}", operation
        ) from None


def odd_answer(answer: Answer, message: str, operation: str) -> ServiceError:
    """The error for a success that cannot be used."""
    return ServiceError(
        status=answer.status,
        code=None,
        message=message,
        operation=operation,
        headers=answer.headers,
    )


def check_etag(answer: Answer, operation: str, *, needed: bool = True) -> None:
    """Raise ServiceError for an etag that cannot be sent back, or for none where one is `needed`.

    Everything that follows relies on it: the commit of parts, preconditions, receipts.
    """
    etag = answer.headers.get("etag")
    if etag is None and needed:
        raise odd_answer(answer, "the answer has no etag", operation)
    if etag is not None and not is_etag(etag):
        reason = "the etag in the answer is not one that a header can carry"
        raise odd_answer(answer, reason, operation)


def stored(answer: Answer, operation: str) -> Answer:
    """The answer to what has made an object or a part: it has an etag. Raises ServiceError."""
    check_etag(answer, operation)
    return answer


_CONTAINERS = frozenset({"BucketNotFound", "NamespaceNotFound"})


def already_gone(error: ServiceError) -> bool:
    """Whether a deletion found nothing, after an attempt of it whose reply was lost."""
    return error.status == 404 and error.after_retry and error.code not in _CONTAINERS


def is_unknown_upload(error: ServiceError) -> bool:
    """Whether the service does not know the multipart upload (any more).

    Its code is UploadNotFound (recorded from the service). A bucket that is not found, or that the
    credential may not see, tells nothing of the upload.
    """
    hidden = _CONTAINERS | {"NotAuthorizedOrNotFound"}
    return error.status == 404 and error.code not in hidden


def without_none(given: Mapping[str, object]) -> dict[str, object]:
    """What is given, as a document."""
    return {name: value for name, value in given.items() if value is not None}
