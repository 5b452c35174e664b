"""`--bandwidth` and `--parallel-upload-count auto`, by the real command."""

import statistics
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ocihaul import resources
from ocihaul.emulator import Fault, LogEntry
from ocihaul.transfer import monitor
from ocihaul.transfer.monitor import FIRST
from tests.functional.directories import content, make, run
from tests.world import MIB, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("multipart", ["--no-multipart", "--part-size=10"])
def test_weakness_27_an_upload_keeps_to_its_bandwidth(w: World, multipart: str) -> None:
    source = w.file(24 * MIB)
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    began = time.monotonic()
    ran = w.run(*put, "security_token", "--force", multipart, "--bandwidth", "12M")
    assert ran.code == 0, ran.err
    # What the kernel may have let through at once is small beside it.
    assert time.monotonic() - began > 1.6
    assert w.arrived_whole(source)


def test_the_variable_does_the_same_and_a_wrong_rate_is_told(w: World) -> None:
    source = w.file(1000)
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    ran = w.run(*put, "security_token", OCIHAUL_BANDWIDTH="quick")
    assert ran.code == 2
    assert "OCIHAUL_BANDWIDTH" in ran.err
    assert "200M" in ran.err
    assert w.oci.log.count(operation="PutObject") == 0


class Wall:
    """A clock on the wall, in the place of `local_time`; somebody sets it."""

    def __init__(self, shows: str) -> None:
        self.shows = shows

    def __call__(self, epoch: float) -> datetime:
        return datetime.fromisoformat(f"2026-11-24T{self.shows}:59+09:00")


#: Three parts for 30 MiB.
PARTS = ("--part-size", "10")


def seconds_of(entry: LogEntry) -> float:
    assert entry.finished_at is not None
    return entry.finished_at - entry.started_at


@pytest.mark.slow
@pytest.mark.parametrize("begins", ["slow", "fast"])
def test_the_rate_changes_at_its_time_of_day_in_the_middle_of_an_upload(
    w: World, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """Each part takes 2.5 s while it is slow, and next to nothing while it is not."""
    early, late = ("4M", "off") if begins == "slow" else ("off", "4M")
    clock = Wall("17:59")
    monkeypatch.setattr(resources, "local_time", clock)

    def when_the_first_part_is_there() -> None:
        w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart" and entry.status == 200)
        clock.shows = "18:00"

    source = w.file(40 * MIB)
    hand = threading.Thread(target=when_the_first_part_is_there, daemon=True)
    hand.start()
    ran = run(
        *(w, "put", "--file", str(source), "--force", "--part-size", "10"),
        *("--parallel-upload-count", "1", "--bandwidth", f"8:00,{early} 18:00,{late}"),
    )
    hand.join(10)
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    first, *_, last = w.oci.log.entries(operation="UploadPart", status=200)
    slow, fast = (first, last) if begins == "slow" else (last, first)
    assert seconds_of(slow) > 2.0
    assert seconds_of(fast) < 2.0


def keeps_to(rate: float, w: World, operation: str, amount: int) -> bool:
    """Whether so many bytes since the first such request fit the rate.

    With a wide margin: what was read before it is waited for, and a busy machine.
    """
    seconds = time.time() - w.oci.log.entries(operation=operation)[0].started_at
    return rate / 10 < amount / seconds < 2 * rate


@pytest.mark.slow
def test_a_download_keeps_to_its_bandwidth(w: World, tmp_path: Path) -> None:
    data = w.file(24 * MIB).read_bytes()
    w.oci.put_object("backups", "x", data)
    target = tmp_path / "target"
    get = ("get", "--name", "x", "--file", str(target), "--part-size", "2")
    ran = run(w, *get, "--multipart-download-threshold", "2", "--bandwidth", "12M")
    kept = keeps_to(12 * MIB, w, "GetObject", w.object_bytes_sent())
    assert ran.code == 0, ran.err
    assert kept
    assert target.read_bytes() == data
    assert (
        w.oci.log.count(operation="GetObject") == 24
    )  # the last ranges are smaller, 1 MiB at least


@pytest.mark.slow
def test_a_sync_keeps_to_its_bandwidth_both_ways(w: World, tmp_path: Path) -> None:
    """Small files and a large one: they go by different ways."""
    src, dest = tmp_path / "src", tmp_path / "dest"
    src.mkdir()
    for index in range(120):
        (src / f"{index:03}").write_bytes(index.to_bytes(1) * 100_000)
    (src / "large").write_bytes(w.file(12 * MIB).read_bytes())
    amount = sum(path.stat().st_size for path in src.iterdir())
    limited = ("--bandwidth", "8M")
    ran = run(w, "sync", "--src-dir", str(src), *limited)
    kept = keeps_to(8 * MIB, w, "PutObject", w.part_bytes_received())
    assert ran.code == 0, ran.err
    assert kept
    assert w.part_bytes_received() == amount
    ran = run(w, "sync", "--dest-dir", str(dest), *limited)
    kept = keeps_to(8 * MIB, w, "GetObject", w.object_bytes_sent())
    assert ran.code == 0, ran.err
    assert kept
    assert content(dest) == content(src)
    assert w.object_bytes_sent() == amount


@pytest.mark.slow
@pytest.mark.parametrize("refusals", [0, 4])
def test_auto_has_half_as_many_parts_in_flight_once_the_service_asks_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """What is in flight then is finished; the looks at the rate are shorter here, and so is all."""
    monkeypatch.setattr(monitor, "WINDOW", 0.3)
    with world(tmp_path, bandwidth=60 * MIB) as w:
        for _ in range(refusals):
            w.oci.faults.add(Fault(operation="UploadPart", status=503, early=True, retry_after=1))
        source = w.file(320 * MIB)
        put = ("put", "--file", str(source), "--force", "--part-size", "10")
        ran = run(w, *put, "--parallel-upload-count", "auto")
        assert ran.code == 0, ran.err
        w.oci.faults.assert_all_fired()
        assert w.oci.log.count(operation="UploadPart", status=503) == refusals
        assert w.arrived_whole(source)
        parts = w.oci.log.entries(operation="UploadPart", status=200)
        # The first were begun before anything was known, the last ones have few beside them.
        later = [entry for entry in parts if FIRST < (entry.part_number or 0) <= 32 - FIRST]
        in_flight = statistics.median(
            sum(is_under_way(each, entry.started_at + seconds_of(entry) / 2) for each in parts)
            for entry in later
        )
        assert in_flight <= FIRST / 2 if refusals else in_flight >= FIRST


def is_under_way(entry: LogEntry, moment: float) -> bool:
    return entry.started_at <= moment < entry.started_at + seconds_of(entry)


@pytest.mark.slow
@pytest.mark.parametrize("refusals", [0, 4])
@pytest.mark.parametrize("name", ["bulk-upload", "sync", "bulk-download"])
def test_auto_has_more_files_in_flight_until_the_service_asks_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, refusals: int
) -> None:
    """Of a service that takes its time for each file, more at a time bring more."""
    monkeypatch.setattr(monitor, "WINDOW_SMALL", 0.3)
    upload = name != "bulk-download"
    operation = "PutObject" if upload else "GetObject"
    count = "--parallel-upload-count" if name == "bulk-upload" else "--parallel-operations-count"
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *(f"{number:03}" for number in range(120)))
        if not upload:
            assert run(w, "bulk-upload", "--src-dir", str(src)).code == 0
        for _ in range(refusals):
            w.oci.faults.add(Fault(operation=operation, status=503, retry_after=1))
        w.oci.faults.add(Fault(operation=operation, stall_seconds=0.1, times=None))
        place = ["--src-dir", str(src)] if upload else ["--dest-dir", str(tmp_path / "dest")]
        before = w.oci.log.count(operation=operation)
        ran = run(w, name, *place, count, "auto")
        assert ran.code == 0, ran.err
        w.oci.faults.assert_all_fired()
        assert w.oci.log.count(operation=operation, status=503) == refusals
        assert len(w.oci.object_names("backups")) == 120
        if not upload:
            assert content(tmp_path / "dest") == content(src)
        done = [
            entry
            for entry in w.oci.log.entries(operation=operation)[before:]
            if entry.status == 200
        ]
        in_flight = [
            sum(is_under_way(each, entry.started_at + 0.05) for each in done) for entry in done
        ]
        # Refused, it goes down to half, and tries nothing for a while.
        assert max(in_flight[:FIRST]) <= FIRST
        if refusals:
            assert statistics.median(in_flight[2 * FIRST :]) <= FIRST / 2
        else:
            assert max(in_flight) > FIRST


def test_auto_in_a_tree_shares_the_parts_of_large_files(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "WINDOW_SMALL", 0.3)
    src = w.home / "src"
    src.mkdir()
    for name in ("a", "b", "c"):
        w.file(300 * MIB // 10).rename(src / name)
    w.oci.faults.add(Fault(operation="UploadPart", status=429, retry_after=1))
    ran = run(w, "bulk-upload", "--src-dir", str(src), *PARTS, "--parallel-upload-count", "auto")
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.oci.log.count(operation="UploadPart", status=200) == 9
    assert sorted(w.oci.object_names("backups")) == ["a", "b", "c"]
    for name in ("a", "b", "c"):
        assert w.arrived_whole(src / name)


@pytest.mark.slow
def test_auto_sends_everything_and_hears_the_service_ask_for_less(w: World) -> None:
    source = w.file(120 * MIB)
    w.oci.faults.add(Fault(operation="UploadPart", status=503, times=3))
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    ran = w.run(
        *(*put, "security_token", "--force", "--part-size", "10"),
        *("--parallel-upload-count", "auto"),
    )
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)


@pytest.mark.slow
def test_a_slow_line_neither_starves_a_connection_nor_holds_up_an_error(tmp_path: Path) -> None:
    """15 connections at a rate where one block would take hours."""
    with world(tmp_path, body_timeout=5.0) as slow:
        source = slow.file(15 * 10 * MIB)
        slow.oci.faults.add(
            Fault(operation="UploadPart", part_number=1, status=400, early_at_byte=1500)
        )
        started = time.monotonic()
        ran = slow.run(
            *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source)),
            *("--auth", "security_token", "--part-size", "10", "--parallel-upload-count", "15"),
            *("--bandwidth", "2k", "--force"),
        )
        assert ran.code == 1, ran.err
        slow.oci.faults.assert_all_fired()
        assert time.monotonic() - started < 60
        assert "400" in ran.err
        assert slow.oci.log.count(operation="UploadPart") == 15, "nothing was cut and sent again"
