"""Threads that take from one supply, and what ends them."""

import itertools
import threading
from io import BytesIO
from typing import Any, cast

import pytest

from ocihaul import threads
from ocihaul.errors import NetworkError, ObjectChangedError
from ocihaul.events import ignore
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.threads import WorkerPool
from ocihaul.transfer.download.context import DownloadContext
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.download.to_stream import StreamDownload
from ocihaul.transfer.plan import MIB


def test_whoever_is_interrupted_leaves_no_thread_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that has no handler of signals, or a person at Python's prompt."""
    stop, abandoned, begun = threading.Event(), threading.Event(), threading.Barrier(5)

    def worker() -> Any:
        begun.wait(10)
        return lambda _: None

    def interrupted(*_: object) -> bool:
        begun.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "all_ended", interrupted)
    numbers = itertools.count()

    def supply() -> int:
        stop.wait(0.001)
        return next(numbers)

    crew = WorkerPool(supply, worker, parallel=4, stop=stop, abandoned=abandoned)
    try:
        with pytest.raises(KeyboardInterrupt):
            crew.run()
        assert abandoned.is_set(), "what is in hand is given up"
        for thread in crew._threads:
            thread.join(10)
        assert crew.done, "and nothing new is begun"
    finally:
        stop.set()


class _Slow(threading.Event):
    """Between the moment when it is set and the return of `set`, others come to their end."""

    def __init__(self, others: list[threading.Thread]) -> None:
        super().__init__()
        self._others = others

    def set(self) -> None:
        super().set()
        for thread in self._others:
            if thread is not threading.current_thread():
                thread.join(5)


def test_the_error_that_ends_a_stream_is_the_one_that_is_raised() -> None:
    """The others are given up then, and say what had kept them; that is not the reason."""
    others: list[threading.Thread] = []
    abandoned, in_trouble = _Slow(others), threading.Event()

    class Service:
        def get_object(self, *_: object, **__: object) -> None:
            if not others:
                others.append(threading.current_thread())
                in_trouble.set()
                abandoned.wait(10)
                raise NetworkError("the network was away for a moment")
            in_trouble.wait(10)
            raise ObjectChangedError("it has changed")

    request = DownloadRequest(
        namespace="n", bucket="b", name="o", target=BytesIO(), part_size=MIB, threshold=MIB
    )
    job = DownloadContext(
        cast("StorageClient", Service()),
        request,
        ObjectSummary(2 * MIB, "e", {}),
        ignore,
        threading.Event(),
        abandoned=abandoned,
    )
    with pytest.raises(ObjectChangedError):
        StreamDownload(job, BytesIO()).run()
