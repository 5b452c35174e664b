"""One connection trickles while the others move: it is replaced, it alone, and not for ever."""

from collections import Counter
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from ocihaul.events import AttemptFinished, Notice, RetryScheduled
from ocihaul.transport import flows, stall
from tests.world import MIB, PART, World, world


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that a test has the time for; what they compare stays as it is."""
    monkeypatch.setattr(stall, "WINDOW", 1.0)
    monkeypatch.setattr(stall, "ALONE", 3.0)
    monkeypatch.setattr(stall, "GRAIN", MIB)
    monkeypatch.setattr(flows, "_TICK", 0.1)


def replaced(w: World) -> list[str]:
    notices = [event.text for event in w.heard.events if isinstance(event, Notice)]
    return [text for text in notices if "going on over another connection" in text]


def retries(w: World) -> list[RetryScheduled]:
    return [event for event in w.heard.events if isinstance(event, RetryScheduled)]


@pytest.mark.slow
def test_finding_b04_a_range_that_trickles_beside_others_goes_on_elsewhere(
    tmp_path: Path,
) -> None:
    with world(tmp_path, answer_bandwidth=8 * MIB) as w:
        source = w.file(48 * MIB)
        w.upload(source)
        fault = w.oci.faults.add(Fault(operation="GetObject", after=2, trickle_at_byte=300_000))
        target = tmp_path / "back"
        w.fetch(source.name, target, part_size=4 * MIB, parallel=4)
        assert target.read_bytes() == source.read_bytes()
        assert fault.fired == 1
        assert len(replaced(w)) == 1
        assert "GetObject" in replaced(w)[0]
        assert source.name in replaced(w)[0]
        assert "bytes moved in" in replaced(w)[0]
        assert retries(w) == []
        broken = [event for event in w.attempts("GetObject") if event.status is None]
        assert len(broken) == 1
        assert [event for event in w.attempts("GetObject") if event.stalled] == broken
        attempts = w.attempts("GetObject")
        later = {each.connection for each in attempts[attempts.index(broken[0]) + 1 :]}
        assert later
        assert not later & {None, broken[0].connection}
        # The rest of the range alone was asked for again: no byte came twice.
        received = sum(event.body_received for event in w.attempts("GetObject"))
        assert received == source.stat().st_size


@pytest.mark.slow
def test_a_range_that_falls_silent_beside_others_goes_on_elsewhere_before_a_window_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall, "WINDOW", 1000.0)  # it is not for being slow
    monkeypatch.setattr(stall, "SILENCE", 1.0)
    monkeypatch.setattr(flows, "_MOMENT", 0.2)
    with world(tmp_path, answer_bandwidth=8 * MIB) as w:
        source = w.file(48 * MIB)
        w.upload(source)
        silent = Fault(operation="GetObject", after=2, trickle_at_byte=300_000, trickle_rate=0.001)
        fault = w.oci.faults.add(silent)
        target = tmp_path / "back"
        w.fetch(source.name, target, part_size=4 * MIB, parallel=4)
        assert target.read_bytes() == source.read_bytes()
        assert fault.fired == 1
        assert len(replaced(w)) == 1
        assert "while other connections went on" in replaced(w)[0]
        received = sum(event.body_received for event in w.attempts("GetObject"))
        assert received == source.stat().st_size


@pytest.mark.slow
def test_finding_b04_a_part_that_trickles_beside_others_is_sent_again_it_alone(
    tmp_path: Path,
) -> None:
    with world(tmp_path, bandwidth=12 * MIB) as w:
        source = w.file(8 * PART)
        fault = w.oci.faults.add(
            Fault(operation="UploadPart", part_number=2, trickle_at_byte=2 * MIB)
        )
        w.upload(source, parallel=4)
        assert w.arrived_whole(source)
        assert fault.fired == 1
        assert len(replaced(w)) == 1
        assert "uploadPartNum=2" in replaced(w)[0]
        assert retries(w) == []
        sent = Counter(event.path.rpartition("=")[2] for event in w.attempts("UploadPart"))
        assert sent == Counter({str(each): 2 if each == 2 else 1 for each in range(1, 9)})
        # That part at most twice, and nothing else.
        assert w.part_bytes_received() <= source.stat().st_size + PART


@pytest.mark.slow
def test_finding_b04_a_single_range_that_trickles_has_only_itself_to_be_judged_by(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * MIB)
        w.upload(source)
        fault = w.oci.faults.add(Fault(operation="GetObject", trickle_at_byte=MIB))
        target = tmp_path / "back"
        w.fetch(source.name, target, part_size=4 * MIB, threshold=64 * MIB)
        assert target.read_bytes() == source.read_bytes()
        assert fault.fired == 1
        assert len(replaced(w)) == 1
        received = sum(event.body_received for event in w.attempts("GetObject"))
        assert received == source.stat().st_size


@pytest.mark.slow
def test_finding_b04_a_single_put_that_trickles_is_sent_again(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=1000 * MIB) as w:  # so that its buffers are small
        source = w.file(9 * MIB)
        fault = w.oci.faults.add(Fault(operation="PutObject", trickle_at_byte=MIB))
        w.upload(source)
        assert w.arrived_whole(source)
        assert fault.fired == 1
        assert len(replaced(w)) == 1


@pytest.mark.slow
def test_finding_b04_a_service_that_is_truly_slow_is_left_alone_in_the_end(
    tmp_path: Path,
) -> None:
    """Each connection trickles at 600 B/s: three are replaced, and the fourth brings the rest."""
    with world(tmp_path) as w:
        source = w.file(MIB)
        w.upload(source)
        # The mark counts in the bytes of each answer, and the later ones bring the rest only.
        first = Fault(operation="GetObject", trickle_at_byte=MIB - 8_000, trickle_rate=600.0)
        rest = Fault(operation="GetObject", times=None, trickle_at_byte=0, trickle_rate=600.0)
        w.oci.faults.add(first, rest)
        target = tmp_path / "back"
        w.fetch(source.name, target, part_size=MIB, threshold=64 * MIB)
        assert target.read_bytes() == source.read_bytes()
        assert first.fired + rest.fired == stall.MOST_REPLACEMENTS + 1
        assert len(replaced(w)) == stall.MOST_REPLACEMENTS


@pytest.mark.slow
@pytest.mark.parametrize("bandwidth", [None, "600K"])
def test_finding_b04_where_all_are_slow_none_is_replaced(
    tmp_path: Path, bandwidth: str | None
) -> None:
    """The line is slow, or `--bandwidth` is; the windows are far shorter than the real ones."""
    line = None if bandwidth else 600_000.0
    with world(tmp_path, answer_bandwidth=line) as w:
        source = w.file(6 * MIB)
        w.upload(source)
        target = tmp_path / "back"
        flags = {"bandwidth": bandwidth} if bandwidth else {}
        w.fetch(source.name, target, part_size=MIB, parallel=6, flags=flags)
        assert target.read_bytes() == source.read_bytes()
        assert replaced(w) == []
        assert {event.status for event in w.attempts("GetObject")} == {206}


@pytest.mark.slow
def test_finding_b04_no_retry_means_no_other_connection(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(MIB)
        w.upload(source)
        w.oci.faults.add(
            Fault(operation="GetObject", trickle_at_byte=MIB - 3_000, trickle_rate=500.0)
        )
        target = tmp_path / "back"
        w.fetch(source.name, target, threshold=64 * MIB, flags={"no_retry": True})
        assert target.read_bytes() == source.read_bytes()
        assert replaced(w) == []
        assert sum(isinstance(event, AttemptFinished) for event in w.heard.events) > 0
