"""Look-ups with as few pages as possible."""

import threading
from typing import Any, cast

import pytest

from ocihaul.directories.listing import BucketIndex
from ocihaul.directories.shards import Shard
from ocihaul.errors import ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PAGE, ListedObject, ObjectPage, Selection


class Lists:
    """A service that has names, and counts the pages."""

    def __init__(self, names: list[str]) -> None:
        self.names = sorted(names)
        self.pages: list[tuple[str, int]] = []

    def list_objects(
        self, _ns: str, _bucket: str, selection: Selection, *, page_size: int = PAGE
    ) -> Any:
        start = selection.start or ""
        self.pages.append((start, page_size))
        names = [name for name in self.names if name >= start]
        objects = tuple(ListedObject(name=name, etag=name) for name in names[:page_size])
        yield ObjectPage(objects, (), names[page_size] if len(names) > page_size else None)


def found(service: Lists, names: list[str]) -> list[bool]:
    finder = BucketIndex(cast("StorageClient", service), "ns", "b").finder()
    return [finder.find(name) is not None for name in names]


def test_a_tree_that_is_there_takes_its_pages() -> None:
    names = [f"{number:05}" for number in range(2500)]
    service = Lists(names)
    assert all(found(service, names))
    assert len(service.pages) == 3


def test_a_small_tree_in_a_large_bucket_takes_a_page_a_file_at_most() -> None:
    service = Lists([f"{number:06}" for number in range(50_000)])
    wanted = ["000500", "000500x", "030000", "049999", "06"]
    assert found(service, wanted) == [True, False, True, True, False]
    assert len(service.pages) <= 4
    assert [size for _, size in service.pages] == [1000, 250, 62][: len(service.pages)]


def test_a_shard_that_uses_an_eighth_of_each_page_asks_for_whole_pages() -> None:
    names = [f"{number:05}" for number in range(4000)]
    service = Lists(names)
    finder = BucketIndex(cast("StorageClient", service), "ns", "b").finder(Shard(3, 8))
    assert all(finder.find(name) is not None for name in names[::8])
    assert [size for _, size in service.pages] == [1000] * 4


def test_a_gap_between_pages_needs_no_page() -> None:
    service = Lists([f"a{number:04}" for number in range(1000)] + ["z"])
    assert found(service, ["a0000", "b", "c", "y", "z"]) == [True, False, False, False, True]
    assert len(service.pages) == 2


def test_an_empty_bucket_takes_one_page() -> None:
    service = Lists([])
    assert found(service, ["a", "b", "c"]) == [False, False, False]
    assert len(service.pages) == 1


def test_a_list_that_goes_in_circles_ends() -> None:
    class Circle(Lists):
        def list_objects(self, *_: Any, **__: Any) -> Any:
            yield ObjectPage((), (), "a")

    with pytest.raises(ServiceError, match="never end"):
        found(Circle([]), ["b"])


def test_the_page_after_one_that_is_of_use_is_asked_for_before_it_is_needed() -> None:
    service = Lists([f"{number:05}" for number in range(2000)])
    asked = threading.Event()

    class Watched(BucketIndex):
        def page_from(self, name: str, size: int) -> ObjectPage:
            page = super().page_from(name, size)
            if name == "01000":
                asked.set()
            return page

    finder = Watched(cast("StorageClient", service), "ns", "b").finder()
    for name in service.names[:501]:
        assert finder.find(name) is not None
    assert asked.wait(30)
    assert [start for start, _ in service.pages] == ["00000", "01000"]
    assert finder.find("01999") is not None
    assert len(service.pages) == 2


def test_no_page_is_asked_for_ahead_of_one_that_is_hardly_used() -> None:
    service = Lists([f"{number:05}" for number in range(2000)])
    finder = BucketIndex(cast("StorageClient", service), "ns", "b").finder()
    assert all(finder.find(name) is not None for name in service.names[:900:9])
    assert [start for start, _ in service.pages] == ["00000"]


def test_a_page_that_was_asked_for_ahead_may_end_before_the_next_name() -> None:
    service = Lists([f"{number:05}" for number in range(3500)])
    finder = BucketIndex(cast("StorageClient", service), "ns", "b").finder()
    assert all(finder.find(name) is not None for name in service.names[:600])
    assert finder.find("03200") is not None
    assert [start for start, _ in service.pages] == ["00000", "01000", "02000", "03200"]


def test_what_is_wrong_with_a_page_asked_for_ahead_is_raised_where_it_is_needed() -> None:
    class Broken(Lists):
        def list_objects(self, *where: Any, **size: Any) -> Any:
            if len(self.pages) == 1:
                self.pages.append(("broken", 0))
                raise ServiceError(status=500, code=None, message="broken", operation="ListObjects")
            yield from super().list_objects(*where, **size)

    service = Broken([f"{number:05}" for number in range(2000)])
    finder = BucketIndex(cast("StorageClient", service), "ns", "b").finder()
    assert all(finder.find(name) is not None for name in service.names[:1000])
    assert service.pages[1:] == [("broken", 0)]
    with pytest.raises(ServiceError, match="broken"):
        finder.find("01000")
