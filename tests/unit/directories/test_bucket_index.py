"""Look-ups with as few pages as possible."""

from typing import Any, cast

import pytest

from ocihaul.directories.bucket_index import BucketIndex
from ocihaul.directories.shards import Shard
from ocihaul.errors import ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ListedObject, ObjectPage, Selection


class Lists:
    """A service that has names, and counts the pages."""

    def __init__(self, names: list[str]) -> None:
        self.names = sorted(names)
        self.pages: list[tuple[str, int]] = []

    def list_objects(self, _ns: str, _bucket: str, selection: Selection, *, page_size: int) -> Any:
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
