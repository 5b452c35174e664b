"""Memory for the bytes on their way: nobody's bytes end up in another's."""

import mmap
import threading
import weakref
from typing import Any

import pytest

from ocihaul.transfer import source
from ocihaul.transfer.source import BLOCK, buffer_for


@pytest.fixture(params=["huge pages", "no advice", "no mapping", "another system"])
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> mmap.mmap:
        raise OSError(12, "Cannot allocate memory")

    class Unadvised(mmap.mmap):
        def madvise(self, *_: Any) -> None:
            raise OSError(22, "Invalid argument")

    source._halves.clear()
    if request.param == "no advice":
        monkeypatch.setattr(mmap, "mmap", Unadvised)
    elif request.param == "no mapping":
        monkeypatch.setattr(mmap, "mmap", refused)
    elif request.param == "another system":
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)


@pytest.mark.usefixtures("_system")
def test_each_has_bytes_of_its_own_whatever_the_system_knows() -> None:
    buffers = [buffer_for(BLOCK) for _ in range(5)]
    for number, each in enumerate(buffers, 1):
        each[:] = bytes([number]) * BLOCK
    for number, each in enumerate(buffers, 1):
        assert (each[0], each[-1], each.nbytes) == (number, number, BLOCK)


@pytest.mark.parametrize(
    ("length", "size"), [(0, 1), (1, 1), (1000, 1000), (BLOCK, BLOCK), (10 * BLOCK, BLOCK)]
)
def test_it_is_as_long_as_what_is_to_be_moved_at_most_a_block(length: int, size: int) -> None:
    assert buffer_for(length).nbytes == size


def test_threads_that_ask_at_once_get_none_that_another_has() -> None:
    taken: list[memoryview] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        for _ in range(20):
            buffer = buffer_for(8)
            buffer[:] = threading.get_ident().to_bytes(8)
            taken.append(buffer)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 160
    owners = [bytes(each) for each in taken]
    for thread in threads:
        assert thread.ident is not None
        assert owners.count(thread.ident.to_bytes(8)) == 20


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="bytearrays are freed as ever")
def test_what_nobody_holds_any_more_is_freed() -> None:
    source._halves.clear()
    one, other, third = (buffer_for(BLOCK) for _ in range(3))
    page = weakref.ref(one.obj)
    assert one.obj is other.obj
    assert third.obj is not one.obj
    del one
    assert page() is not None, "the other half is in use"
    del other
    assert page() is None
