"""What is run beside the work (`--on-park`): any reason, any output, and an end."""

import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.cli.hooks import PauseHook, environment_value, run_hook
from ocihaul.events import Event, Notice, SessionPaused
from ocihaul.session.keeper import Notifier, Sample, exposition, write_metrics
from tests.support import is_gone

REASONS = {
    "a NUL": "no\x00more",
    "a lone surrogate": "no\ud800more\udcff",
    "any length": "x" * 300_000,
    "any length of wide characters": "日" * 300_000,
    "line breaks and controls": "no\nmore\r\x1b]0;pwn\x07\x9b\u2028\u202e",
    "shell": "'; touch /tmp/pwned; $(touch x) `touch y`",
}


def paused(reason: str, until: float = 1e9) -> SessionPaused:
    return SessionPaused(reason, until)


def ran_once(command: str, reason: str) -> list[Event]:
    """What is said of one pause; returns when the command has ended."""
    said: list[Event] = []
    hook = PauseHook(command, said.append, threading.Event())
    hook(paused(reason))
    hook(paused(reason))  # the same pause, said again
    for thread in hook._running:
        thread.join(60)
    hook.close()
    return said


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_finding_a06_the_hook_runs_whatever_the_reason(reason: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ran_once(f'printf %s "$OCIHAUL_PARK_REASON" >> {out}', reason) == []
    data = out.read_bytes()
    assert 0 < len(data) <= 1024
    text = data.decode()
    assert text.isprintable()
    assert text[:2] == reason[:2]


def test_finding_a06_values_are_whole_characters() -> None:
    for size in range(1020, 1030):
        value = environment_value("a" * size + "日本")
        assert len(value.encode()) <= 1024
        assert "\ufffd" not in value


def test_finding_a06_a_hook_that_cannot_be_started_is_told() -> None:
    (notice,) = ran_once("true\x00", "reason")
    assert isinstance(notice, Notice)
    assert "--on-park could not be run" in notice.text


def test_finding_a06_a_status_for_the_service_manager_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Notifier, "_send", lambda _, message: sent.append(message))
    Notifier("x").status("without a usable token: a\nREADY=1\ud800" + "b" * 10_000)
    (message,) = sent
    assert "\n" not in message
    assert len(message.encode()) < 2000
    monkeypatch.undo()
    Notifier("a\x00b").ready()  # an address that is none costs nothing


def test_finding_a06_a_profile_name_is_one_label_of_the_metrics(tmp_path: Path) -> None:
    sample = Sample('a"\n\\b\ud800\x1b', up=True, renewable=True)
    text = exposition([sample], keeper_up=True)
    assert all(line.startswith(("#", "ocihaul_")) for line in text.splitlines())
    assert r'profile="a\"\\n\\b\\ud800\\x1b"' in text
    write_metrics(tmp_path / "m.prom", text)
    assert (tmp_path / "m.prom").read_text() == text


def memory() -> int:
    """Bytes of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def never() -> bool:
    return False


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@pytest.mark.slow
@pytest.mark.parametrize("what", ["yes >&2", "tr '\\0' x < /dev/zero >&2"], ids=["lines", "one"])
def test_finding_b15_a_hook_that_prints_without_end_is_bounded_and_ended(
    what: str, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    before, began = memory(), time.monotonic()
    assert run_hook(f"echo $$ > {pid}; {what} & {what}; wait", os.environ, after(2.0)) is None
    assert time.monotonic() - began < 20
    assert memory() - before < 32 * 2**20
    assert is_gone(int(pid.read_text()))  # with all that it started


@pytest.mark.slow
def test_finding_b15_the_last_line_is_told_and_cut() -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; exit 3"
    assert run_hook(flood, os.environ, never) == (3, "the end")
    long = "head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 4"
    assert run_hook(long, os.environ, never) == (4, "x" * 4096)


def test_a_hook_that_leaves_something_running_has_ended() -> None:
    began = time.monotonic()
    assert run_hook("sleep 30 & exit 5", os.environ, never) == (5, "without a word")
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_finding_b15_a_hook_that_does_not_hear_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    deaf = f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.1; done"
    assert run_hook(deaf, os.environ, pid.exists) is None
    assert is_gone(int(pid.read_text()))


def test_finding_b15_the_hook_ends_with_the_run(tmp_path: Path) -> None:
    marker, said = tmp_path / "begun", list[Event]()
    stop = threading.Event()
    for end in (stop.set, lambda: None):
        marker.unlink(missing_ok=True)
        stop.clear()
        hook = PauseHook(f"touch {marker}; sleep 100", said.append, stop)
        hook(paused("expired"))
        while not marker.exists():
            time.sleep(0.02)  # another process: there is nothing else to wait on
        end()
        hook.close()
        assert not any(thread.is_alive() for thread in hook._running)
    assert said == []  # that we ended it is no news
