"""How far a directory is: files, bytes, rate and failures in one event."""

import threading
from pathlib import Path

from ocihaul import Client
from ocihaul.directories.progress import DirectoryMeter, counting
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.events import (
    AnyEvent,
    BytesSent,
    DirectoryProgress,
    FileFailed,
    FileFinished,
    PartFinished,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.transfer.upload.request import UploadRequest
from tests.world import MIB, World
from tests.world import world as make_world


class Metered:
    """A meter with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0
        self.told: list[DirectoryProgress] = []
        self.meter = DirectoryMeter(self._hear, monotonic=lambda: self.at)

    def _hear(self, event: AnyEvent) -> None:
        assert isinstance(event, DirectoryProgress)
        self.told.append(event)

    def add(self, event: AnyEvent, at: float) -> None:
        self.at = at
        self.meter(event)

    @property
    def last(self) -> DirectoryProgress:
        self.meter.finish()
        return self.told[-1]


def test_small_files_count_when_they_are_done_and_large_ones_on_their_way() -> None:
    metered = Metered()
    metered.meter.found(100)
    metered.meter.found(8 * MIB)
    metered.add(FileFinished("small", 100), 1.0)
    metered.add(UploadPlanned("large", 8 * MIB, 4 * MIB, 2, 2, multipart=True), 1.0)
    metered.add(BytesSent(1, 4 * MIB, "large"), 2.0)
    assert (metered.last.done, metered.last.files_done) == (100 + 4 * MIB, 1)
    metered.add(BytesSent(2, 4 * MIB, "large"), 4.0)
    metered.add(UploadFinished("large", 8 * MIB, 2.0), 4.0)
    metered.add(FileFinished("large", 8 * MIB), 4.0)
    assert (metered.last.done, metered.last.files_done) == (100 + 8 * MIB, 2)
    assert metered.last.rate == (100 + 8 * MIB) / 4


def test_two_large_files_do_not_mix_up_their_parts() -> None:
    metered = Metered()
    for name in ("a", "b"):
        metered.add(UploadPlanned(name, 2 * MIB, MIB, 2, 2, multipart=True), 0.0)
        metered.add(BytesSent(1, MIB, name), 1.0)
        metered.add(PartFinished(1, MIB, name), 1.0)
    assert metered.last.done == 2 * MIB


def test_what_a_file_had_sent_when_it_failed_is_not_done() -> None:
    metered = Metered()
    name = "odd\udcff"
    metered.add(UploadPlanned(name, 2 * MIB, MIB, 2, 2, multipart=True), 0.0)
    metered.add(BytesSent(1, MIB, name), 1.0)
    metered.add(FileFailed("odd\\udcff", "gone"), 2.0)
    assert (metered.last.done, metered.last.files_failed) == (0, 1)


def test_before_all_is_found_there_is_no_fraction_unless_a_count_says_it() -> None:
    metered = Metered()
    metered.meter.found(MIB, files=1)
    metered.add(FileFinished("a", MIB), 1.0)
    told = metered.last
    assert (told.fraction, told.seconds_left, told.complete) == (None, None, False)
    metered.meter.counted(4, 4 * MIB)
    told = metered.last
    assert (told.fraction, told.seconds_left, told.files_total) == (0.25, 3.0, 4)
    metered.meter.found(0, files=6)  # and three have come since
    metered.meter.all_found()
    assert (metered.last.files_total, metered.last.complete) == (7, True)


def test_what_is_unchanged_leaves_the_total_and_what_an_earlier_run_sent_the_rate() -> None:
    metered = Metered()
    metered.meter.found(30, files=3)
    metered.meter.unchanged(10)
    metered.add(FileFinished("before", 10, moved=0), 1.0)
    metered.meter.all_found()
    told = metered.last
    assert (told.done, told.total, told.files_unchanged, told.rate) == (10, 20, 1, 0.0)


def test_of_a_thousand_files_in_a_second_there_are_four_events() -> None:
    metered = Metered()
    for number in range(1000):
        metered.add(FileFinished(str(number), 1), number / 1000)
    assert len(metered.told) == 4


def test_a_deletion_is_measured_by_its_objects() -> None:
    metered = Metered()
    metered.meter.found(files=4)
    metered.meter.all_found()
    metered.add(FileFinished("a", 0), 1.0)
    assert metered.last.fraction == 0.25


# With the client


def tree(w: World, sizes: tuple[int, ...]) -> Path:
    root = w.home / "tree"
    root.mkdir()
    for number, size in enumerate(sizes):
        w.file(size, f"f{number}").rename(root / f"f{number}")
    return root


def test_a_directory_tells_it_on_both_ways(tmp_path: Path) -> None:
    sizes = (0, 5000, 3 * MIB, 12 * MIB)
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        root = tree(w, sizes)
        client.upload_directory(root, "backups", listener=w.heard, part_size=5 * MIB)
        up = w.heard.of(DirectoryProgress)
        client.download_directory("backups", w.home / "back", listener=w.heard)
        down = w.heard.of(DirectoryProgress)[len(up) :]
        for told in (up[-1], down[-1]):
            assert (told.done, told.total, told.fraction) == (sum(sizes), sum(sizes), 1.0)
            assert (told.files_done, told.files_total, told.complete) == (4, 4, True)
        assert not w.heard.of(TransferProgress)  # of one file among many

        again = len(w.heard.of(DirectoryProgress))
        client.upload_directory(root, "backups", listener=w.heard)
        told = w.heard.of(DirectoryProgress)[again:][-1]
        assert (told.files_unchanged, told.files_done, told.total) == (4, 0, 0)


def test_the_count_beside_the_work_agrees_on_both_ways(tmp_path: Path) -> None:
    sizes = (10, 200, 3 * MIB)
    with make_world(tmp_path) as w, Client(w.settings()) as client:
        root = tree(w, sizes)
        (root / "sub").mkdir()
        client.upload_directory(root, "backups", prefix="p/")
        each = UploadRequest(source=root, namespace=client.namespace, bucket="backups", name="-")
        up = DirectoryUpload(root=str(root), each=each)
        down = DirectoryDownload(
            root=str(w.home / "d"), namespace=client.namespace, bucket="backups", prefix="p/f"
        )
        for request in (up, down):
            meter, counted = DirectoryMeter(), threading.Event()

            def note(files: int, size: int, counted: threading.Event = counted) -> None:
                assert (files, size) == (3, sum(sizes))
                counted.set()

            meter.counted = note  # type: ignore[method-assign]
            with counting(request, client.storage, meter, delay=0.0):
                assert counted.wait(30)


def test_deletions_are_counted_among_what_is_done_and_by_themselves() -> None:
    metered = Metered()
    metered.meter.found(20, files=3)
    metered.add(FileFinished("sent", 20), 1.0)
    for name in ("gone", "gone too"):
        metered.add(FileFinished(name, 0, deleted=True), 2.0)
    assert (metered.last.files_done, metered.last.files_deleted, metered.last.done) == (3, 2, 20)
