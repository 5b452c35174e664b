"""Lists page by page, also from services that never come to an end."""

import json

import pytest

from ocihaul.errors import ServiceError
from ocihaul.http.client import Call
from ocihaul.storage.client import StorageClient
from ocihaul.wire.message import Answer
from ocihaul.wire.origin import Origin


class Pages:
    """A client that hands out one part a page, and the names of the next pages by script."""

    def __init__(self, *next_pages: str | None) -> None:
        self.script = list(next_pages)
        self.asked: list[str | None] = []

    def call(self, _origin: Origin, call: Call) -> Answer:
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
