"""Interrupted downloads resume: killed, stopped, meddled with, contended, of a changed object."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ocihaul.errors import TransferCancelled, TransferInProgressError
from ocihaul.events import BytesReceived, Event, Notice, PartFinished
from tests.functional.test_download import left_behind, noise
from tests.world import MIB, World, world

KILLS = 100
RANGES = 60


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_a_hundred_times_it_never_fetches_a_finished_range_again(tmp_path: Path) -> None:
    parallel = 3
    chance = random.Random(4)  # noqa: S311  the moments of the kills
    target = tmp_path / "there" / "target"
    target.parent.mkdir()
    with world(tmp_path, answer_bandwidth=20.0 * MIB) as w:
        data = noise(RANGES * MIB - 5)
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        kills, downloads = 0, 0
        while kills < KILLS:
            target.unlink(missing_ok=True)
            kills_before = kills
            w.oci.log.clear()
            while True:
                process = start(w, target, parallel)
                wait_for_ranges(w, process, chance.randint(-1, 4), chance)
                process.kill()
                _, said = process.communicate()
                if process.returncode == 0 or target.exists():
                    break  # done, or killed after everything was done
                assert process.returncode == -signal.SIGKILL, said.decode()
                kills += 1
            downloads += 1
            assert target.read_bytes() == data
            asked = w.oci.log.count(operation="GetObject")
            assert asked <= RANGES + parallel * (kills - kills_before)
            assert process.returncode != 0 or left_behind(target.parent) == []
        assert downloads >= 1


def start(w: World, target: Path, parallel: int, *, size: int = MIB) -> "subprocess.Popen[bytes]":
    script = Path(__file__).with_name("small_ranges.py")
    return subprocess.Popen(
        [
            *(sys.executable, str(script), str(w.config), w.oci.endpoint),
            *("x", str(target), str(size), str(parallel)),
        ],
        env=w.environ(),
        stderr=subprocess.PIPE,
    )


def wait_for_ranges(
    w: World, process: "subprocess.Popen[bytes]", ranges: int, chance: random.Random
) -> None:
    """Until that many have been asked for (-1: not even the start is over), or it has ended."""
    if ranges < 0:
        time.sleep(chance.uniform(0.0, 0.4))  # a moment of another process: nothing to wait on
        return
    before = w.oci.log.count(operation="GetObject")
    while process.poll() is None and w.oci.log.count(operation="GetObject") < before + ranges:
        time.sleep(0.01)  # as above
    time.sleep(chance.uniform(0.0, 0.05))  # as above


# The rest in this process, where the moment can be chosen


def interrupted_after(w: World, target: Path, ranges: int) -> int:
    """Download until `ranges` ranges are finished, then stop; the number of requests till then."""
    finished = 0

    def listen(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, PartFinished)
        if finished >= ranges:
            w.stop.set()

    with pytest.raises(TransferCancelled):
        w.fetch("x", target, listener=listen, parallel=1)
    w.stop.clear()
    return w.oci.log.entries()[-1].sequence


def notices(w: World) -> str:
    return "\n".join(event.text for event in w.heard.events if isinstance(event, Notice))


@pytest.mark.parametrize("seed", [{"algorithm": "CRC32C"}, {}, {"part_size": MIB}])
def test_the_same_call_goes_on_where_it_stopped(tmp_path: Path, seed: dict[str, object]) -> None:
    with world(tmp_path) as w:
        data, target = noise(6 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, **seed)  # type: ignore[arg-type]  # by name
        before = interrupted_after(w, target, 4)
        assert not target.exists()
        result = w.fetch("x", target)
        assert target.read_bytes() == data
        assert result.checked_by is not None
        assert result.bytes_received == w.object_bytes_sent(before) == 2 * MIB
        assert "4 of 6 ranges are here" in notices(w)
        assert "kept" in notices(w)
        assert left_behind(tmp_path) == []


def interrupted_within(w: World, target: Path, count: int, size: int) -> int:
    """Download in ranges of `size` until `count` bytes have come; the last request till then."""
    came = 0

    def listen(event: Event) -> None:
        nonlocal came
        came += event.count if isinstance(event, BytesReceived) else 0
        if came >= count:
            w.stop.set()

    with pytest.raises(TransferCancelled):
        w.fetch("x", target, listener=listen, part_size=size, threshold=size, parallel=1)
    w.stop.clear()
    return w.oci.log.entries()[-1].sequence


@pytest.mark.parametrize(
    "seed",
    [{"algorithm": "CRC32C"}, {}, {"part_size": 2 * MIB}],
    ids=["CRC32C", "MD5", "MD5 of parts"],
)
def test_a_range_that_was_begun_is_gone_on_with_at_its_byte(
    tmp_path: Path, seed: dict[str, object]
) -> None:
    with world(tmp_path) as w:
        data, target = noise(20 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, **seed)  # type: ignore[arg-type]  # by name
        size = 8 * MIB
        here = 0
        for stop_after in (11 * MIB, 3 * MIB):  # in the second range, and a second time there
            before = interrupted_within(w, target, stop_after, size)
            here += stop_after
            assert not target.exists()
        w.heard.events.clear()
        result = w.fetch("x", target, part_size=size, threshold=size)
        assert target.read_bytes() == data
        assert result.checked_by is not None
        assert result.bytes_received == w.object_bytes_sent(before) == 20 * MIB - here
        assert "1 of 3 ranges are here, and something of 1 more" in notices(w)
        asked = w.oci.log.entries(operation="GetObject")
        ranges = {entry.headers["range"] for entry in asked if entry.sequence > before}
        assert ranges == {f"bytes={here}-{2 * size - 1}", f"bytes={2 * size}-{20 * MIB - 1}"}
        assert left_behind(tmp_path) == []


@pytest.mark.parametrize("harm", ["a bit", "cut"])
def test_a_begun_range_that_was_meddled_with_is_fetched_whole(tmp_path: Path, harm: str) -> None:
    with world(tmp_path) as w:
        data, target = noise(6 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        before = interrupted_within(w, target, 4 * MIB, 6 * MIB)
        (temporary,) = (path for path in tmp_path.iterdir() if path.suffix == ".ocihaul")
        there = bytearray(temporary.read_bytes())
        if harm == "a bit":
            there[3 * MIB] ^= 1
        else:
            del there[3 * MIB :]
        temporary.write_bytes(there)
        w.fetch("x", target, part_size=6 * MIB, threshold=6 * MIB)
        assert target.read_bytes() == data
        assert w.object_bytes_sent(before) == 6 * MIB


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_range_costs_little_of_it(tmp_path: Path) -> None:
    """What was here is noted every 16 MiB."""
    target = tmp_path / "target"
    with world(tmp_path, answer_bandwidth=30.0 * MIB) as w:
        data = noise(64 * MIB)
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        process = start(w, target, 1, size=64 * MIB)
        while w.object_bytes_sent() < 44 * MIB:
            assert process.poll() is None
            time.sleep(0.01)  # another process: there is nothing else to wait on
        process.kill()
        process.communicate()
        before = w.oci.log.entries()[-1].sequence
        w.oci.configure(answer_bandwidth=None)
        w.fetch("x", target, part_size=64 * MIB, threshold=64 * MIB)
        assert target.read_bytes() == data
        (again,) = (e for e in w.oci.log.entries(operation="GetObject") if e.sequence > before)
        assert again.headers["range"].endswith(f"-{64 * MIB - 1}")
        at = int(again.headers["range"].removeprefix("bytes=").partition("-")[0])
        assert at % (16 * MIB) == 0
        assert at >= 16 * MIB, "some of the 44 MiB were in buffers"


def test_an_object_that_has_changed_since_is_fetched_anew(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        target = tmp_path / "target"
        w.oci.put_object("backups", "x", noise(4 * MIB))
        before = interrupted_after(w, target, 3)
        data = noise(4 * MIB)[::-1]
        w.oci.put_object("backups", "x", data)
        w.fetch("x", target)
        assert target.read_bytes() == data
        assert w.object_bytes_sent(before) == 4 * MIB


@pytest.mark.parametrize("harm", ["a bit", "cut", "removed", "zeros"])
def test_a_file_that_was_meddled_with_is_not_believed(tmp_path: Path, harm: str) -> None:
    """Zeros are what a power failure leaves: the line was written, the bytes were not."""
    with world(tmp_path) as w:
        data, target = noise(4 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        before = interrupted_after(w, target, 3)
        (temporary,) = (path for path in tmp_path.iterdir() if path.suffix == ".ocihaul")
        there = bytearray(temporary.read_bytes())
        if harm == "a bit":
            there[MIB] ^= 1
        elif harm == "cut":
            del there[2 * MIB + 5 :]
        elif harm == "zeros":
            there[:MIB] = bytes(MIB)
        temporary.write_bytes(there)
        if harm == "removed":
            temporary.unlink()
        w.fetch("x", target)
        assert target.read_bytes() == data
        assert w.object_bytes_sent(before) == (4 if harm == "removed" else 2) * MIB


def test_another_part_size_goes_on_with_the_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data, target = noise(6 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        before = interrupted_after(w, target, 3)
        assert w.fetch("x", target, part_size=2 * MIB).part_count == 6
        assert target.read_bytes() == data
        assert w.object_bytes_sent(before) == 3 * MIB


def test_another_range_of_the_same_object_is_another_download(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data, target = noise(6 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        interrupted_after(w, target, 3)
        w.fetch("x", target, byte_range="bytes=1-")
        assert target.read_bytes() == data[1:]
        w.fetch("x", target)
        assert target.read_bytes() == data


def test_restart_fetches_all_of_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data, target = noise(4 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        before = interrupted_after(w, target, 3)
        w.fetch("x", target, restart=True)
        assert target.read_bytes() == data
        assert w.object_bytes_sent(before) == 4 * MIB


@pytest.mark.slow
def test_an_interrupt_stops_within_two_seconds_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, answer_bandwidth=10 * MIB) as w:
        data, target = noise(60 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        process = w.start(*w.get("x", target))
        w.oci.log.wait_for(lambda entry: "bytes=10485760-" in str(entry.headers), timeout=30)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        ran = w.finish(process)
        assert time.monotonic() - started < 2
        assert ran.code == 130, ran.err
        assert "the same command, run again, resumes" in ran.err
        asked = w.oci.log.count(operation="GetObject")
        w.oci.configure(answer_bandwidth=None)
        assert w.run(*w.get("x", target)).code == 0
        assert target.read_bytes() == data
        assert w.oci.log.count(operation="GetObject") <= 60 + 3
        assert w.oci.log.count(operation="GetObject") > asked


@pytest.mark.slow
def test_of_two_runs_at_once_the_second_waits_or_says_who_has_it(tmp_path: Path) -> None:
    with world(tmp_path, answer_bandwidth=2 * MIB) as w:
        data, target = noise(30 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        first = w.start(*w.get("x", target))
        w.oci.log.wait_for(lambda entry: entry.operation == "GetObject", timeout=30)
        refused = w.run(*w.get("x", target, "--no-wait"))
        assert refused.code == 75, refused.err
        assert f"already being fetched by process {first.pid}" in refused.err
        process = w.start(*w.get("x", target))
        assert process.stderr is not None
        while "waiting for it to end" not in (line := process.stderr.readline()):
            assert line, "it ended without a word"
        w.oci.configure(answer_bandwidth=None)
        second = w.finish(process)
        assert w.finish(first).code == 0
        assert second.code == 0, second.err
        assert target.read_bytes() == data
        assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_session_that_ends_is_gone_on_with_after_the_login(tmp_path: Path) -> None:
    with world(tmp_path, answer_bandwidth=8 * MIB) as w:
        data, target = noise(60 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        process = w.start(*w.get("x", target))
        w.oci.log.wait_for(lambda entry: entry.operation == "GetObject", timeout=60)
        w.end_sessions()
        ran = w.finish(process)
        assert ran.code == 75, ran.err
        assert "the same command, run again, resumes" in ran.err
        before = w.object_bytes_sent()
        assert 0 < before < 60 * MIB
        w.oci.configure(answer_bandwidth=None)
        w.log_in()
        ran = w.run(*w.get("x", target))
        assert ran.code == 0, ran.err
        assert target.read_bytes() == data
        assert w.object_bytes_sent() == 60 * MIB, "those in flight were let finish"


def test_what_cannot_be_locked_is_said_and_done(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(MIB))
        w.fetch("x", tmp_path / "target")
        assert "OCIHAUL_STATE_DIR" in notices(w)


def test_a_claim_ends_with_its_owner(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB))
        told: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, PartFinished) and event.part_number == 1:
                with pytest.raises(TransferInProgressError, match="by process") as caught:
                    w.fetch("x", tmp_path / "target", wait=False)
                told.append(caught.value.message)

        w.fetch("x", tmp_path / "target", listener=listen)
        w.fetch("x", tmp_path / "target")
        assert len(told) == 1
        assert not list((tmp_path / "state").iterdir()), "no lock stays behind"
