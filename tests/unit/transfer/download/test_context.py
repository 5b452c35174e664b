"""A range on its way: what it asks for, what it takes, what it refuses."""

import threading

import crc32c
import pytest

from ocihaul.errors import NetworkError, ObjectChangedError
from ocihaul.events import BytesReceived
from ocihaul.storage.object_operations import ObjectRange, PinnedObject
from ocihaul.threads import AbandonedError
from ocihaul.transfer.download.context import Digests, RangeSink
from ocihaul.transport.message import WireError
from tests.support import Recorder

OBJECT = PinnedObject("x", "e1", 100)


class Taken:
    """Where the sink puts its bytes."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []

    def __call__(self, data: memoryview, offset: int) -> None:
        self.pieces.append((offset, bytes(data)))


def sink(
    first: int = 10, length: int = 20, *, put: Taken | None = None, **given: object
) -> RangeSink:
    wanted: dict[str, object] = {
        "number": 1,
        "offset": 0,
        "buffer": memoryview(bytearray(8)),
        "digests": Digests(None),
        "put": put or Taken(),
        "listener": Recorder(),
        "abandoned": threading.Event(),
    }
    return RangeSink(ObjectRange(OBJECT, first, first + length), **(wanted | given))  # type: ignore[arg-type]  # by name


def feed(into: RangeSink, data: bytes) -> None:
    while data and (space := into.space()):
        count = min(len(space), len(data))
        space[:count] = data[:count]
        into.filled(count)
        data = data[count:]


def test_full_buffers_are_put_away_and_the_rest_at_the_end() -> None:
    put, heard, digests = Taken(), Recorder(), Digests(None)
    one = sink(put=put, listener=heard, digests=digests, offset=1000)
    feed(one, bytes(range(20)))
    one.end()
    assert put.pieces == [
        (1000, bytes(range(8))),
        (1008, bytes(range(8, 16))),
        (1016, bytes(range(16, 20))),
    ]
    assert [event.count for event in heard.events if isinstance(event, BytesReceived)] == [8, 8, 4]
    assert digests.crc32c == crc32c.crc32c(bytes(range(20))).to_bytes(4)
    assert len(one.space()) == 0


def test_after_a_break_it_asks_for_what_is_missing() -> None:
    put = Taken()
    one = sink(put=put)
    wanted = {"range": "bytes=10-29", "if-match": "e1", "accept-encoding": "identity"}
    assert one.wanted() == wanted
    feed(one, bytes(11))
    with pytest.raises(WireError, match="9 bytes too early"):
        one.end()
    assert one.wanted()["range"] == "bytes=21-29"
    one.begin(206, {"etag": "e1", "content-range": "bytes 21-29/100"})
    feed(one, bytes(9))
    one.end()
    assert sum(len(data) for _, data in put.pieces) == 20


@pytest.mark.parametrize("length", [3, 8, 20])
def test_an_answer_that_breaks_behind_its_last_byte_costs_a_block(length: int) -> None:
    """A proxy in between may lose the end of a chunked answer, or go on where it should end."""
    put, digests = Taken(), Digests(None)
    one = sink(length=length, put=put, digests=digests)
    one.wanted()
    feed(one, bytes(range(length)))
    block = (length - 1) // 8 * 8
    assert one.wanted()["range"] == f"bytes={10 + block}-{9 + length}"
    feed(one, bytes(range(block, length)))
    one.end()
    assert b"".join(data for _, data in put.pieces) == bytes(range(length))
    assert digests.crc32c == crc32c.crc32c(bytes(range(length))).to_bytes(4)


def test_answers_that_never_end_are_given_up() -> None:
    one = sink(length=3)
    feed(one, bytes(3))
    for _ in range(5):
        one.wanted()
        feed(one, bytes(3))
    with pytest.raises(NetworkError, match="do not end"):
        one.wanted()


def test_a_length_other_than_that_of_the_range_is_refused() -> None:
    told = {"etag": "e1", "content-range": "bytes 10-29/100"}
    sink().begin(206, told | {"content-length": "20"})
    for length in ("21", "19", "x"):
        with pytest.raises(WireError, match="asked for 20 bytes"):
            sink().begin(206, told | {"content-length": length})


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (206, "bytes 10-28/100"),
        (206, "bytes 11-29/100"),
        (206, "bytes 10-29/101"),
        (206, ""),
        (200, "bytes 10-29/100"),
        (204, ""),
    ],
)
def test_other_bytes_than_asked_for_are_refused(status: int, told: str) -> None:
    with pytest.raises(WireError, match="asked for bytes 10-29/100"):
        sink().begin(status, {"etag": "e1", "content-range": told})


def test_an_object_in_one_piece_may_come_without_a_range() -> None:
    whole = sink(0, 100)
    whole.begin(200, {"etag": "e1", "content-length": "100"})
    with pytest.raises(WireError):
        whole.begin(200, {"etag": "e1", "content-length": "99"})


def test_another_etag_is_another_object() -> None:
    with pytest.raises(ObjectChangedError):
        sink().begin(206, {"etag": "e2", "content-range": "bytes 10-29/100"})


def test_a_range_that_nobody_wants_any_more_is_given_up() -> None:
    abandoned = threading.Event()
    one = sink(abandoned=abandoned)
    feed(one, b"abc")
    abandoned.set()
    with pytest.raises(AbandonedError):
        feed(one, b"def")


@pytest.mark.parametrize("block", [1, 3, 7, 100])
@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_md5_of_blocks_does_not_depend_on_how_the_bytes_come(block: int, step: int) -> None:
    data, digests, whole = bytes(range(50)), Digests(block), Digests(block)
    whole.update(memoryview(data))
    for at in range(0, len(data), step):
        digests.update(memoryview(data)[at : at + step])
    assert digests.blocks() == whole.blocks()
    assert len(whole.blocks()) == -(-50 // block)


def whole(data: bytearray, *, etag: str | None = "e") -> RangeSink:
    """A sink for all bytes of an object, which asks for no range at first."""
    pinned = PinnedObject("x", etag, len(data))
    return RangeSink(ObjectRange(pinned, 0, len(data), explicit=False), buffer=memoryview(data))


def fill(into: RangeSink, data: bytes) -> None:
    into.space()[: len(data)] = data
    into.filled(len(data))


def test_of_a_whole_object_what_has_come_stays_and_the_rest_is_asked_for() -> None:
    data = bytearray(6)
    one = whole(data)
    wanted = {"accept-encoding": "identity", "if-match": "e"}
    assert one.wanted() == wanted
    one.begin(200, {"content-length": "6"})
    fill(one, b"abcd")
    with pytest.raises(WireError, match="2 bytes too early"):
        one.end()
    assert one.wanted() == wanted | {"range": "bytes=4-5"}
    one.begin(206, {"content-length": "2", "content-range": "bytes 4-5/6"})
    fill(one, b"ef")
    one.end()
    assert data == b"abcdef"


def test_a_whole_object_whose_answer_breaks_behind_its_last_byte_is_asked_for_again() -> None:
    one = whole(bytearray(6))
    for _ in range(5):
        fill(one, b"abcdef")
        assert "range" not in one.wanted()
    fill(one, b"abcdef")
    with pytest.raises(NetworkError, match="do not end"):
        one.wanted()


def test_a_whole_object_with_another_etag_is_another_object() -> None:
    with pytest.raises(ObjectChangedError):
        whole(bytearray(6)).begin(200, {"content-length": "6", "etag": "f"})


def test_of_a_whole_object_other_bytes_than_asked_for_are_refused() -> None:
    one = whole(bytearray(6), etag=None)
    with pytest.raises(WireError):
        one.begin(200, {"content-length": "7"})
    one.begin(200, {"content-length": "6"})
    fill(one, b"abcd")
    for status, headers in (
        (200, {"content-length": "6"}),
        (206, {"content-range": "bytes 0-1/6"}),
    ):
        with pytest.raises(WireError):
            one.begin(status, headers)
