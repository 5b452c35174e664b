"""How far a transfer is: the events of the engine, summed up for whoever listens."""

import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul import Client
from ocihaul.errors import OcihaulError, TransferCancelled
from ocihaul.events import (
    AnyEvent,
    BytesFound,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    PartFinished,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.transfer.monitor import INTERVAL, TransferMeter
from tests.world import MIB, World
from tests.world import world as make_world


class Metered:
    """A meter with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0
        self.told: list[TransferProgress] = []
        self.meter = TransferMeter(self._hear, monotonic=lambda: self.at)

    def _hear(self, event: AnyEvent) -> None:
        assert isinstance(event, TransferProgress)
        self.told.append(event)

    def add(self, event: AnyEvent, at: float) -> None:
        self.at = at
        self.meter(event)

    @property
    def last(self) -> TransferProgress:
        return self.told[-1]


def planned(parts: int = 4, part: int = 10 * MIB) -> Metered:
    metered = Metered()
    metered.add(UploadPlanned("x", parts * part, part, parts, 2, multipart=True), 0.0)
    return metered


def test_done_total_fraction_rate_and_time_left_are_in_the_event() -> None:
    metered = planned()
    for second in range(1, 11):
        metered.add(BytesSent(1, MIB), float(second))
    metered.add(PartFinished(1, 10 * MIB), 11.0)
    assert metered.last == TransferProgress(
        10 * MIB, 40 * MIB, 0.25, 10 * MIB / 11, 33.0, parts_done=1, part_count=4
    )


def test_of_a_thousand_blocks_in_a_second_there_are_four_events() -> None:
    metered = planned(parts=1000, part=MIB)
    for number in range(1000):
        metered.add(BytesSent(number + 1, 1000), number / 1000)
    assert len(metered.told) == round(1 / INTERVAL)


def test_bytes_of_a_discarded_attempt_are_taken_back() -> None:
    metered = planned()
    metered.add(BytesSent(1, 7 * MIB), 1.0)
    metered.add(BytesSent(1, -7 * MIB), 2.0)
    assert (metered.last.done, metered.last.rate) == (0, 0.0)


def test_what_an_earlier_run_has_brought_is_done_but_no_speed() -> None:
    metered = planned()
    metered.add(PartFinished(1, 10 * MIB), 0.0)
    metered.add(PartFinished(2, 10 * MIB), 0.0)
    metered.add(BytesSent(3, MIB), 1.0)
    assert metered.last.done == 21 * MIB
    assert metered.last.rate == MIB
    assert metered.last.seconds_left == 19.0


def test_a_range_of_an_earlier_run_that_is_fetched_again_counts_once() -> None:
    metered = Metered()
    metered.add(DownloadPlanned("x", 20 * MIB, 10 * MIB, 2, 2), 0.0)
    metered.add(BytesFound(1, 10 * MIB), 0.0)
    metered.add(BytesFound(2, 4 * MIB), 0.0)
    metered.add(BytesReceived(2, 6 * MIB), 1.0)
    assert (metered.last.done, metered.last.rate) == (20 * MIB, 6 * MIB)
    metered.add(BytesReceived(1, 10 * MIB), 2.0)  # it was damaged
    metered.add(PartFinished(1, 10 * MIB), 3.0)
    assert metered.last.done == 20 * MIB


def test_the_rate_is_that_of_the_last_minute() -> None:
    metered = planned(parts=1000)
    for second in range(1, 121):
        metered.add(BytesSent(1, MIB if second <= 60 else 3 * MIB), float(second))
    assert metered.last.rate is not None
    assert 2.9 * MIB < metered.last.rate < 3.1 * MIB


def test_a_stream_of_unknown_length_has_no_fraction_before_its_end() -> None:
    metered = Metered()
    metered.add(UploadPlanned("x", None, 16 * MIB, None, 10, multipart=True), 0.0)
    metered.add(BytesSent(1, 3 * MIB), 1.0)
    assert (metered.last.total, metered.last.fraction, metered.last.seconds_left) == (
        None,
        None,
        None,
    )
    assert (metered.last.done, metered.last.rate) == (3 * MIB, 3 * MIB)
    metered.add(UploadFinished("x", 3 * MIB, 1.0), 1.0)
    assert (metered.last.total, metered.last.fraction) == (3 * MIB, 1.0)


def test_an_empty_file_is_done_at_once() -> None:
    metered = planned(parts=1, part=0)
    metered.add(PartFinished(1, 0), 0.1)
    metered.add(UploadFinished("x", 0, 0.1), 0.1)
    assert [each.fraction for each in metered.told] == [1.0]


def test_the_last_one_says_that_all_is_done() -> None:
    metered = Metered()
    metered.add(DownloadPlanned("x", 2 * MIB, MIB, 2, 2), 0.0)
    metered.add(BytesReceived(1, MIB), 0.1)
    metered.add(BytesReceived(2, MIB), 0.1)  # too soon after the other, but it is the last
    metered.add(DownloadFinished("x", 2 * MIB, 0.1, None), 0.1)
    assert [each.fraction for each in metered.told] == [0.5, 1.0]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-20 * MIB, 20 * MIB))))
def test_done_is_never_below_nothing_or_above_everything(steps: list[tuple[int, int]]) -> None:
    metered = planned()
    for at, (part, count) in enumerate(steps):
        metered.add(BytesSent(part, count), float(at))
    for told in metered.told:
        assert 0 <= told.done <= 40 * MIB
        assert told.fraction is not None
        assert 0 <= told.fraction <= 1


# With the client


def progress_of(w: World, *, before: int = 0) -> list[TransferProgress]:
    return w.heard.of(TransferProgress)[before:]


def test_an_upload_and_a_download_of_the_library_tell_it(tmp_path: Path) -> None:
    size = 12 * MIB
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        source = w.file(size)
        client.upload(source, "backups", listener=w.heard, part_size=5 * MIB)
        told = progress_of(w)
        assert (told[-1].done, told[-1].total, told[-1].fraction) == (size, size, 1.0)
        assert told[-1].part_count == 3
        assert [each.done for each in told] == sorted(each.done for each in told)
        last = [
            type(each)
            for each in w.heard.events
            if isinstance(each, UploadFinished | type(told[0]))
        ]
        assert last[-1] is UploadFinished  # all was told before the end
        blocks = len(w.heard.of(BytesSent))
        assert len(told) < blocks

        client.download(
            "backups", source.name, w.home / "back", listener=w.heard, part_size=5 * MIB
        )
        back = progress_of(w, before=len(told))
        assert (back[-1].done, back[-1].total, back[-1].fraction) == (size, size, 1.0)


def test_a_stream_of_the_library_has_no_fraction_until_it_ends(tmp_path: Path) -> None:
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        stream = io.BytesIO(os.urandom(12 * MIB))
        client.upload(stream, "backups", "s", listener=w.heard, part_size=5 * MIB)
        told = progress_of(w)
        assert told[0].fraction is None
        assert told[0].total is None
        assert (told[-1].fraction, told[-1].total) == (1.0, 12 * MIB)


class StopAfter:
    """Cancels a transfer once so many parts are done."""

    def __init__(self, parts: int) -> None:
        self.cancel = threading.Event()
        self._left = parts

    def __call__(self, event: AnyEvent) -> None:
        if isinstance(event, PartFinished):
            self._left -= 1
            if self._left == 0:
                self.cancel.set()


def test_a_resumed_upload_begins_with_what_was_there(tmp_path: Path) -> None:
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        source, stop = w.file(8 * MIB), StopAfter(3)
        how: dict[str, int] = {"part_size": MIB, "parallel": 1}
        try:
            client.upload(source, "backups", listener=stop, cancel=stop.cancel, **how)  # type: ignore[arg-type]
        except OcihaulError:  # it was stopped
            assert stop.cancel.is_set()
        client.upload(source, "backups", listener=w.heard, **how)  # type: ignore[arg-type]
        first, *_, last = progress_of(w)
        assert first.done >= 3 * MIB
        assert last.done == 8 * MIB
        assert sum(each.count for each in w.heard.of(BytesSent)) <= 5 * MIB


def test_a_resumed_download_begins_with_what_was_there(tmp_path: Path) -> None:
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        source, stop, target = w.file(8 * MIB), StopAfter(3), w.home / "back"
        client.upload(source, "backups")
        how: dict[str, int] = {"part_size": MIB, "threshold": MIB, "parallel": 1}
        with pytest.raises(TransferCancelled):
            client.download(
                "backups",
                source.name,
                target,
                listener=stop,
                cancel=stop.cancel,
                **how,  # type: ignore[arg-type]
            )
        client.download("backups", source.name, target, listener=w.heard, **how)  # type: ignore[arg-type]
        first, *_, last = progress_of(w)
        assert first.done >= 3 * MIB
        assert last.done == 8 * MIB
        assert target.read_bytes() == source.read_bytes()
