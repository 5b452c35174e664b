"""A keeper that is told to stop in mid-renewal, with a real auth service under it."""

import threading
import time
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from ocihaul.events import Notice
from ocihaul.session.credential import SessionToken
from ocihaul.session.keeper import Keeper, Notifier, ProfileSupervisor
from tests.world import World, world


def a_supervisor(w: World) -> ProfileSupervisor:
    """One whose session has to be renewed at once, and is in the middle of it."""
    now = int(time.time())
    w.token_file.write_text(w.oci.issue_token(w.logins[0], iat=now - 2400, exp=now + 1200))
    supervisor = ProfileSupervisor("DEFAULT", w.settings, w.heard)
    supervisor.poll()
    return supervisor


def wait_for(fault: Fault) -> None:
    deadline = time.monotonic() + 20
    while not fault.fired:
        assert time.monotonic() < deadline, "the fault has not fired"
        time.sleep(0.01)


def test_a_renewal_that_is_under_way_gets_its_token_to_disk(tmp_path: Path) -> None:
    """The service has killed the old token with it."""
    with world(tmp_path, refresh_kills_old_after=0.0) as w:
        fault = w.oci.faults.add(Fault(operation="RefreshToken", stall_seconds=0.5))
        supervisor = a_supervisor(w)
        old = w.token_file.read_text()
        wait_for(fault)
        supervisor.close(grace=20.0)
        new = w.token_file.read_text()
        assert new != old
        w.oci.auth.check(w.oci.auth.find(new), time.time())
        assert w.refreshes() == 1
        assert not list(w.token_file.parent.glob(".token.*"))


def test_one_that_hangs_is_cut_when_the_time_is_up_and_the_old_token_stays(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        fault = w.oci.faults.add(Fault(operation="RefreshToken", stall_seconds=30.0))
        supervisor = a_supervisor(w)
        old = w.token_file.read_text()
        wait_for(fault)
        started = time.monotonic()
        supervisor.close(grace=0.2)
        assert time.monotonic() - started < 3.0
        assert w.token_file.read_text() == old
        until = time.monotonic() + 20
        while any(each.name == "ocihaul-session" for each in threading.enumerate()):
            assert time.monotonic() < until, "the renewal goes on"
            time.sleep(0.05)
        assert SessionToken.parse(w.token_file.read_text()).raw == old


class NoThreads:
    """Refuses every thread of these names, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.refused = 0
        really = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if not names or thread.name in names:
                self.refused += 1
                raise RuntimeError("can't start new thread")
            really(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


def test_a_session_whose_thread_cannot_start_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        limit = NoThreads(monkeypatch, "ocihaul-session")
        clock = [100.0]
        supervisor = ProfileSupervisor("DEFAULT", w.settings, w.heard, monotonic=lambda: clock[0])
        supervisor.poll()
        assert limit.refused == 1
        assert not supervisor.sample().up
        (said,) = [event.text for event in w.heard.of(Notice) if "no session" in event.text]
        assert "no thread can be started" in said
        monkeypatch.undo()
        clock[0] += 2.0
        supervisor.poll()
        assert supervisor.sample().up
        supervisor.close(grace=1.0)


def test_a_keeper_without_a_thread_to_close_with_closes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        supervisor = ProfileSupervisor("DEFAULT", w.settings, w.heard)
        keeper = Keeper([supervisor], notifier=Notifier(None), listener=w.heard)
        limits: list[NoThreads] = []

        def wait(seconds: float) -> str | None:
            if seconds and not limits:
                limits.append(NoThreads(monkeypatch))
            return "stop" if limits else None

        keeper.run(wait)
        assert limits[0].refused == 2  # of the keeper, and of the session
        assert not supervisor.sample().up
        monkeypatch.undo()
        assert not any(each.name == "ocihaul-session" for each in threading.enumerate())


def test_the_watchdog_is_fed_between_sessions_that_take_their_time(tmp_path: Path) -> None:
    """Each session that cannot be opened is read for two seconds; there may be many."""
    happened: list[str] = []

    class Manager(Notifier):
        def alive(self) -> None:
            happened.append("fed")

        def ready(self) -> None:
            happened.append("ready")

    class Slow(ProfileSupervisor):
        def poll(self) -> None:
            happened.append(self.profile)

    with world(tmp_path) as w:
        slow = [Slow(name, w.settings, w.heard) for name in ("A", "B")]
        signals = iter([None, None, "reload", None, None, "stop"])
        keeper = Keeper(slow, notifier=Manager(None), listener=w.heard)
        keeper.run(lambda _: next(signals))
    assert happened[:5] == ["A", "fed", "B", "fed", "ready"]
    assert happened[5:12] == ["A", "fed", *happened[:5]], "the same for a reload"
