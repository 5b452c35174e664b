"""10 TiB in 10,000 parts: what a part costs does not grow, neither memory nor the journal's time.

The source is sparse. All 10,000 parts go to a service that answers at once and takes no byte; the
first and the last few go over a socket, read and hashed, to an emulator that keeps none.
"""

import dataclasses
import json
import os
import statistics
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from ocihaul.errors import ServiceError, TransferCancelled
from ocihaul.events import Event, Notice, PartFinished
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PartSummary, UploadSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, SentPart
from ocihaul.transfer.journal.journal import Entry, Journal
from ocihaul.transfer.upload.part_uploader import RangeBody
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult
from ocihaul.transfer.upload.upload import upload
from ocihaul.transport.message import Answer
from tests.functional.measured_upload import Timed
from tests.functional.test_memory import _MEASURED
from tests.world import MIB, World, world

TIB = 2**40
PARTS = 10_000
#: Parts that are really gone through at the start and at the end.
SOME = 200
#: The same where each of them is a gibibyte that is really read, hashed and sent.
FEW = 3


class Service:
    """Answers as Object Storage does, without taking a byte."""

    def __init__(self) -> None:
        self.parts: dict[int, PartSummary] = {}
        self.committed: list[str] = []

    def base_url(self, _: str) -> str:
        return "http://service"

    def open_ahead(self, *_: object) -> None:
        pass

    def list_multipart_uploads(self, *_: object) -> Iterator[UploadSummary]:
        return iter(())

    def create_multipart_upload(self, *_: object, **__: object) -> str:
        return "upload"

    def upload_part(self, *_: object, number: int, body: RangeBody, **__: object) -> Answer:
        body.digests = {CRC32C: number.to_bytes(4)}
        self.take(number, body.length)
        value = checksum.encoded(number.to_bytes(4))
        headers = {"etag": str(number), checksum.content_header(CRC32C): value}
        return Answer(200, headers, b"", body.length)

    def take(self, number: int, size: int) -> None:
        self.parts[number] = PartSummary(number, str(number), None, size)

    def list_multipart_upload_parts(self, *_: object, **__: object) -> Iterator[PartSummary]:
        return iter(self.parts.values())

    def commit_multipart_upload(
        self, *_: object, etags: list[str], headers: Mapping[str, str], **__: object
    ) -> Answer:
        self.committed = etags
        return Answer(200, {"etag": "object", **headers}, b"", 0)

    def head_object(self, *_: object, **__: object) -> Any:
        raise ServiceError(status=404, code=None, message="", operation="HeadObject")


def largest_sparse(path: Path) -> int:
    """A file of 10 TiB without blocks, or the largest that this file system knows."""
    size = 10 * TIB
    with path.open("wb") as file:
        while True:
            try:
                file.truncate(size)
            except OSError:
                size //= 2
            else:
                return size


class Run:
    """One run of the upload, and what memory it holds as parts are finished."""

    def __init__(self, source: Path, service: Service, state: Path) -> None:
        self.told: list[str] = []
        self._source = source
        self._service = service
        self._state = state
        self._finished = 0
        self.held: list[int] = []
        self.seconds: list[float] = []

    def __call__(self, *, measured_from: int = 0, stop_after: int | None = None) -> UploadResult:
        from threading import Event as Flag  # noqa: PLC0415  the other Event is ours

        stop = Flag()

        def listen(event: Event) -> None:
            if isinstance(event, Notice):
                self.told.append(event.text)
            if isinstance(event, PartFinished):
                self._finished += 1
                if self._finished > measured_from:
                    self.held.append(tracemalloc.get_traced_memory()[0])
                if self._finished == stop_after:
                    stop.set()

        request = UploadRequest(
            source=self._source,
            namespace="ns1",
            bucket="backups",
            name="x",
            existing=IfExists.REPLACE,
            parallel=1,
        )
        storage = cast("StorageClient", self._service)
        with Timed(self._state) as journal:
            try:
                return upload(storage, request, listener=listen, stop=stop, journal=journal)
            finally:
                self.seconds = journal.seconds


def part_size_of(state: Path) -> tuple[Entry, int]:
    with Journal(state) as journal:
        (entry,) = journal.entries()
    return entry, entry.part_size


@pytest.mark.slow
def test_the_last_of_10000_parts_costs_what_the_first_did(tmp_path: Path) -> None:
    source, state, service = tmp_path / "sparse.img", tmp_path / "state", Service()
    size = largest_sparse(source)
    first = Run(source, service, state)
    tracemalloc.start()
    try:
        with pytest.raises(TransferCancelled):
            first(stop_after=SOME)
        entry, part_size = part_size_of(state)
        count = -(-size // part_size)
        if size == 10 * TIB:
            assert PARTS * 0.9 < count <= PARTS
        # As if all the rest but the last few had been sent by runs before.
        with Journal(state) as journal:
            parts = {
                number: SentPart(part_size, str(number), {CRC32C: number.to_bytes(4)})
                for number in range(SOME + 1, count - SOME + 1)
            }
            journal.record(entry, parts)
        for number in parts:
            service.take(number, part_size)
        del parts
        last = Run(source, service, state)
        result = last(measured_from=count - SOME)
    finally:
        tracemalloc.stop()
    assert result.part_count == len(service.committed) == count
    assert service.committed == [str(number) for number in range(1, count + 1)]
    assert any(f"{count - SOME} of {count} parts are there" in text for text in last.told)
    assert len(first.seconds) == len(last.seconds) == SOME
    assert statistics.median(last.seconds) < 10 * statistics.median(first.seconds)
    for run in (first, last):
        assert len(run.held) == SOME
        assert run.held[-1] - run.held[10] < 2**20, "per part next to nothing stays"
    assert max(last.held) < 64 * 2**20


@pytest.mark.slow
def test_each_of_10000_parts_in_one_run_costs_the_same(tmp_path: Path) -> None:
    source, state, service = tmp_path / "sparse.img", tmp_path / "state", Service()
    largest_sparse(source)
    run = Run(source, service, state)
    result = run()
    assert result.part_count == len(service.committed)
    early, late = run.seconds[100:1100], run.seconds[-1000:]
    assert statistics.median(late) < 10 * statistics.median(early)


def measured(w: World, source: Path, *, parallel: int, stop_after: int = 0) -> dict[str, Any]:
    """Run the real client in a process of its own; its figures, and its peak (bytes)."""
    figures, peak = w.home / "figures.json", w.home / "peak"
    ran = w.finish(
        w.start_python(
            *("-c", _MEASURED, str(peak), sys.executable),
            *("-m", "tests.functional.measured_upload", str(w.config), w.oci.endpoint),
            *(str(source), str(figures), str(parallel), str(stop_after)),
        )
    )
    assert ran.code == 0, ran.err
    told: dict[str, Any] = json.loads(figures.read_text())
    return told | {"peak": int(peak.read_text()) * 1024}


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells the memory")  # noqa: PTH110
@pytest.mark.timeout(300)
def test_the_last_gibibytes_of_ten_tebibytes_cost_what_the_first_did(tmp_path: Path) -> None:
    """Between the two runs, as if all the rest had been sent: parts of zeros are all alike."""
    with world(tmp_path, discard=True, fast=True) as w:
        source = tmp_path / "sparse.img"
        size = largest_sparse(source)
        first = measured(w, source, parallel=2, stop_after=FEW)
        entry, part_size = part_size_of(w.home / "state")
        count = -(-size // part_size)
        add_parts(w, entry, range(1, count - FEW + 1))
        before = w.oci.log.entries()[-1].sequence
        last = measured(w, source, parallel=2)
        assert last["part-count"] == count
        stored = w.oci.object_info("backups", "x")
        assert (stored.size, stored.part_count) == (size, count)
        sent = [
            (each.part_number, each.body_received)
            for each in w.oci.log.entries(operation="UploadPart", status=200)
            if each.sequence > before
        ]
        whole = dict.fromkeys(range(count - FEW + 1, count), part_size)
        assert dict(sent) == whole | {count: size - (count - 1) * part_size}
        assert len(sent) == len(last["journal"]) == FEW
        assert any(f"{count - FEW} of {count} parts are there" in text for text in last["said"])
        assert FEW <= len(first["journal"]) <= FEW + 1
        assert statistics.median(last["journal"]) < 10 * statistics.median(first["journal"])
        for run in (first, last):
            assert run["memory"][-1] - run["memory"][0] < 4 * MIB, "per part next to nothing stays"
            assert run["peak"] < 80 * MIB
        assert last["peak"] - first["peak"] < 20 * MIB, "what is known of 10,000 parts"


def add_parts(w: World, entry: Entry, numbers: range) -> None:
    """What the service and the journal have of the first part they get for the others, too."""
    with Journal(w.home / "state") as journal:
        known = journal.parts(entry)
        (upload,) = w.oci.store.bucket("ns1", "backups").uploads.values()
        part = upload.parts[1]
        assert known[1].etag == part.etag
        for number in numbers:
            upload.parts[number] = dataclasses.replace(part, number=number)
        journal.record(entry, dict.fromkeys(numbers, known[1]))
