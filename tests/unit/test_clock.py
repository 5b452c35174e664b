import time
from email.utils import formatdate

import pytest

from ocihaul.clock import ServerClock, read_date
from ocihaul.events import ClockCorrected
from tests.support import NOW, Hand, Recorder


def clock_at(hand: Hand, heard: Recorder) -> ServerClock:
    return ServerClock(wall=hand, monotonic=hand, listener=heard)


def test_a_wrong_clock_is_corrected_once_and_said() -> None:
    hand, heard = Hand(), Recorder()
    clock = clock_at(hand, heard)
    assert clock.observe(formatdate(NOW + 3600, usegmt=True))
    assert not clock.observe(formatdate(NOW + 3601, usegmt=True))
    assert clock.now() == pytest.approx(NOW + 3600, abs=1)
    assert len(heard.of(ClockCorrected)) == 1
    assert clock.http_date() == formatdate(NOW + 3600.5, usegmt=True)


def test_small_differences_and_rubbish_change_nothing() -> None:
    heard = Recorder()
    clock = clock_at(Hand(), heard)
    for date in (None, "", "yesterday", formatdate(NOW + 3, usegmt=True)):
        assert not clock.observe(date)
    assert clock.offset == 0
    assert not heard.events


def test_a_clock_that_is_set_right_loses_its_offset() -> None:
    hand, heard = Hand(), Recorder()
    clock = clock_at(hand, heard)
    clock.observe(formatdate(NOW + 600, usegmt=True))
    hand.forward(600)
    assert clock.observe(formatdate(NOW + 600, usegmt=True))
    assert clock.offset == 0


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs another local zone")
@pytest.mark.parametrize("zone", ["", " GMT", " +0000", " -0000", " UTC"])
def test_a_date_without_a_zone_is_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert read_date(f"Mon, 23 Nov 2026 05:02:47{zone}") == 1795410167.0
    finally:
        monkeypatch.undo()
        time.tzset()
