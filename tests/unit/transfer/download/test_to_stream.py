"""A download to a stream whose other end is slow, or gone."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from ocihaul.errors import LocalFileError
from ocihaul.events import ignore
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.download.context import DownloadContext
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.download.to_stream import StreamDownload

DATA = os.urandom(300_000)


class Service:
    """Answers every range of DATA."""

    def get_object(self, *args: Any, **_: object) -> None:
        sink = args[3]
        first, last = (int(each) for each in sink.wanted()["range"][6:].split("-"))
        headers = {"etag": "e", "content-range": f"bytes {first}-{last}/{len(DATA)}"}
        sink.begin(206, headers)
        left = memoryview(DATA)[first : last + 1]
        while left:
            space = sink.space()
            space[: len(left)] = left[: len(space)]
            count = min(len(space), len(left))
            sink.filled(count)
            left = left[count:]
        sink.end()


def download(out: BinaryIO) -> None:
    request = DownloadRequest(
        namespace="n", bucket="b", name="o", target=out, byte_range="bytes=0-"
    )
    summary = ObjectSummary(len(DATA), "e", {})
    service = cast("StorageClient", Service())
    StreamDownload(DownloadContext(service, request, summary, ignore, threading.Event()), out).run()


@pytest.mark.parametrize(
    "opened",
    [
        lambda end: io.FileIO(end, "w"),
        lambda end: io.BufferedWriter(io.FileIO(end, "w"), 1000),
    ],
)
def test_a_pipe_that_is_full_is_waited_for(opened: Callable[[int], BinaryIO]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    taken: list[bytes] = []

    def take() -> None:
        with os.fdopen(reading, "rb") as end:
            taken.append(end.read())

    out, reader = opened(writing), threading.Thread(target=take)
    threading.Timer(0.2, reader.start).start()
    download(out)
    os.set_blocking(writing, True)
    out.close()
    reader.join(30)
    assert taken == [DATA]


def test_what_the_system_says_comes_with_a_hint() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as out,
        pytest.raises(LocalFileError, match="No space left") as caught,
    ):
        download(out)
    assert "not the whole object" in str(caught.value.hint)
