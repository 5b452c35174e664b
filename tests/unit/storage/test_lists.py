"""Lists page by page, also from services that never come to an end."""

import json

import pytest

from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.http.client import ServiceCall
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import epoch
from ocihaul.storage.values import Selection
from ocihaul.transport.message import Answer


class Pages:
    """A client that hands out one part a page, and the names of the next pages by script."""

    def __init__(self, *next_pages: str | None) -> None:
        self.script = list(next_pages)
        self.asked: list[str | None] = []

    def call(self, _origin: Origin, call: ServiceCall) -> Answer:
        self.asked.append(call.query.get("page"))
        number = len(self.asked)
        page = self.script.pop(0)
        body = json.dumps([{"partNumber": number, "etag": "e", "size": 1}]).encode()
        return Answer(200, {} if page is None else {"opc-next-page": page}, body, 0)


def numbers(pages: Pages) -> list[int]:
    storage = StorageClient(pages, lambda _: "http://service.test")  # type: ignore[arg-type]  # a double
    return [
        part.number for part in storage.list_multipart_upload_parts("n", "b", "o", upload_id="u")
    ]


def test_every_page_is_asked_for_once() -> None:
    pages = Pages("a", "b", None)
    assert numbers(pages) == [1, 2, 3]
    assert pages.asked == [None, "a", "b"]


@pytest.mark.parametrize("script", [("a", "a", "a"), ("a", "b", "a")])
def test_a_list_that_goes_in_circles_is_an_error(script: tuple[str, ...]) -> None:
    pages = Pages(*script, None)
    with pytest.raises(ServiceError, match="repeats a page"):
        numbers(pages)
    assert len(pages.asked) == len(set(script)) + 1


class Listing:
    """A client that answers ListObjects from a script of documents."""

    def __init__(self, *documents: object, headers: dict[str, str] | None = None) -> None:
        self.script = list(documents)
        self.headers = headers or {}
        self.queries: list[dict[str, str]] = []

    def call(self, _origin: Origin, call: ServiceCall) -> Answer:
        self.queries.append(dict(call.query))
        return Answer(200, self.headers, json.dumps(self.script.pop(0)).encode(), 0)

    @property
    def storage(self) -> StorageClient:
        return StorageClient(self, lambda _: "http://service.test")  # type: ignore[arg-type]  # a double


def page(*names: str, following: str | None = None, prefixes: tuple[str, ...] = ()) -> object:
    document = {"objects": [{"name": name} for name in names], "prefixes": list(prefixes)}
    return document if following is None else {**document, "nextStartWith": following}


def test_objects_are_listed_from_where_the_page_before_ended() -> None:
    listing = Listing(page("a", following="b"), page(following="c"), page("c"))
    selection = Selection(prefix="", start="a", end="z", start_after="0", fields="name,size")
    pages = list(listing.storage.list_objects("n", "b", selection, page_size=7))
    assert [each.name for page in pages for each in page.objects] == ["a", "c"]
    assert [query["start"] for query in listing.queries] == ["a", "b", "c"]
    assert all(query["limit"] == "7" and query["end"] == "z" for query in listing.queries)
    assert listing.queries[0]["startAfter"] == "0"


def test_a_page_is_asked_for_only_when_the_one_before_was_used() -> None:
    listing = Listing(page("a", following="b"), page("b"))
    assert next(listing.storage.list_objects("n", "b")).objects[0].name == "a"
    assert len(listing.queries) == 1


@pytest.mark.parametrize("following", [("b", "c", "b"), ("b", "b"), ("a",)])
def test_a_list_of_objects_that_goes_in_circles_is_an_error(following: tuple[str, ...]) -> None:
    listing = Listing(*(page("x", following=each) for each in following))
    with pytest.raises(ServiceError, match=r"ListObjects.*repeats a page"):
        list(listing.storage.list_objects("n", "b", Selection(start="a")))


def test_a_prefix_that_two_pages_tell_is_told_once() -> None:
    listing = Listing(
        page(prefixes=("a/", "b/"), following="b/9"), page(prefixes=("b/", "c/")), page()
    )
    pages = listing.storage.list_objects("n", "b", Selection(delimiter="/"))
    assert [prefix for page in pages for prefix in page.prefixes] == ["a/", "b/", "c/"]


@pytest.mark.parametrize("document", [[], {}, {"objects": None}, {"objects": {}}, "text", None])
def test_a_page_of_another_shape_is_an_error_of_the_service(document: object) -> None:
    with pytest.raises(ServiceError, match="not the JSON that was expected"):
        list(Listing(document).storage.list_objects("n", "b"))


def test_times_are_read_to_the_fraction() -> None:
    assert epoch("1970-01-01T00:00:01.500Z") == 1.5
    assert epoch("1970-01-01T01:00:00+01:00") == 0.0
