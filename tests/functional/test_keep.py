"""`session keep`: sessions kept alive for every program that reads their files."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ocihaul.config import Flags, resolve
from ocihaul.emulator import Fault
from ocihaul.session.credential import SessionToken
from ocihaul.session.session import store_for
from tests.support import until
from tests.unit.session.keeper.test_metrics import parsed
from tests.world import World, world


def metrics(path: Path) -> dict[str, float]:
    return parsed(path.read_text()) if path.exists() else {}


def stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> float:
    """Send a signal and say how long the end took, seconds."""
    started = time.monotonic()
    process.send_signal(number)
    process.wait(10)
    return time.monotonic() - started


def log_in(w: World, profile: str) -> Path:
    """Write a fresh session's files; returns the token file."""
    w.logins.append(w.oci.login())
    w.oci.write_profile(w.home / "oci", profile, session=w.logins[-1])
    return w.token_file.parent.parent / profile / "token"


def keeper_of(w: World, *profiles: str, more: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """A keeper that is up and waits for logins: short tokens do not die while it starts."""
    named = [word for profile in profiles for word in ("--profile", profile)]
    keeper = w.start("session", "keep", *named, *more)
    assert keeper.stderr is not None
    for _ in profiles:
        assert "there is no session to keep" in keeper.stderr.readline()
    return keeper


@pytest.mark.slow
def test_two_profiles_are_kept_for_a_reader_that_only_reads(tmp_path: Path) -> None:
    figures = tmp_path / "ocihaul.prom"
    with world(tmp_path, token_ttl=4.0) as w:
        keeper = keeper_of(w, "FIRST", "SECOND", more=("--metrics-file", str(figures)))
        paths = [log_in(w, name) for name in ("FIRST", "SECOND")]
        expiries: set[float] = set()
        deadline = time.monotonic() + 9
        while time.monotonic() < deadline:
            for path in paths:
                token = SessionToken.parse(path.read_text())
                assert token.expires_at > time.time(), "a reader found an expired token"
                expiries.add(token.expires_at)
            time.sleep(0.02)
        values = metrics(figures)
        assert stop(keeper) < 1.5, "a second, and what the machine needs"
        ran = w.finish(keeper)
        assert ran.code == 0, ran.err
        assert len(expiries) >= 4
        for name in ("FIRST", "SECOND"):
            label = f'{{profile="{name}"}}'
            assert values[f"ocihaul_session_up{label}"] == 1
            assert values[f"ocihaul_session_generation{label}"] >= 3
            assert f"{name}: session renewed (refresh)" in ran.err
            renewals = f'ocihaul_session_renewals_total{{profile="{name}",source="refresh"}}'
            assert values[renewals] >= 2
        assert metrics(figures)["ocihaul_keeper_up"] == 0
        refreshed = [entry.token_id for entry in w.oci.log.entries(operation="RefreshToken")]
        assert len(refreshed) == len(set(refreshed))


@pytest.mark.slow
def test_one_session_that_ends_does_not_stop_the_other_and_a_new_login_is_taken_up(
    tmp_path: Path,
) -> None:
    figures = tmp_path / "ocihaul.prom"
    up = 'ocihaul_session_up{profile="FIRST"}'
    with world(tmp_path, token_ttl=4.0) as w:
        keeper = keeper_of(w, "FIRST", "SECOND", more=("--metrics-file", str(figures)))
        for name in ("FIRST", "SECOND"):
            log_in(w, name)
        until(lambda: metrics(figures).get(up) == 1)
        w.oci.end_session(w.logins[1])
        until(lambda: metrics(figures).get(up) == 0)
        assert metrics(figures)['ocihaul_session_up{profile="SECOND"}'] == 1
        log_in(w, "FIRST")
        until(lambda: metrics(figures).get(up) == 1)
        stop(keeper)
        ran = w.finish(keeper)
        assert ran.code == 0
        assert "FIRST: the session has expired" in ran.err
        assert "oci session authenticate" in ran.err
        assert "session renewed (file)" in ran.err


def test_a_keeper_that_comes_before_the_login_waits_for_it(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=60.0) as w:
        keeper = keeper_of(w, "LATER")
        log_in(w, "LATER")
        assert keeper.stderr is not None
        assert "LATER: session token 1" in keeper.stderr.readline()
        stop(keeper, signal.SIGINT)
        assert w.finish(keeper).code == 0


def test_a_reload_takes_up_another_configuration(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=60.0) as w:
        elsewhere = w.oci.write_profile(w.home / "elsewhere")
        keeper = w.start("session", "keep")
        assert keeper.stderr is not None
        assert "session token 1" in keeper.stderr.readline()
        keeper.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        w.config.write_text(elsewhere.read_text())
        keeper.send_signal(signal.SIGHUP)
        assert "the configuration has changed" in keeper.stderr.readline()
        assert "session token 1" in keeper.stderr.readline()
        stop(keeper)
        ran = w.finish(keeper)
        assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_ready_status_watchdog_and_stopping(
    tmp_path: Path, short_path: Path, abstract: bool
) -> None:
    name = f"@ocihaul-keep-{os.getpid()}" if abstract else str(short_path / "notify")
    with (
        world(tmp_path, token_ttl=60.0) as w,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(10.0)
        keeper = w.start("session", "keep", NOTIFY_SOCKET=name, WATCHDOG_USEC="2000000")
        heard: list[str] = []
        while "READY=1" not in heard or heard.count("WATCHDOG=1") < 2:
            heard.append(manager.recv(4096).decode())
        keeper.send_signal(signal.SIGHUP)
        while not heard[-1].startswith("RELOADING=1"):
            heard.append(manager.recv(4096).decode())
        while heard[-1] != "READY=1":
            heard.append(manager.recv(4096).decode())
        stop(keeper)
        while heard[-1] != "STOPPING=1":
            heard.append(manager.recv(4096).decode())
        assert w.finish(keeper).code == 0
        assert "STATUS=alive: DEFAULT" in heard


@pytest.mark.slow
def test_it_ends_within_a_second_though_the_auth_service_hangs(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0) as w:
        fault = w.oci.faults.add(Fault(operation="RefreshToken", stall_seconds=60.0))
        w.log_in()
        keeper = w.start("session", "keep")
        until = time.monotonic() + 60
        while not fault.fired:
            assert time.monotonic() < until, "it never tried to renew"
            time.sleep(0.05)  # a fault cannot be waited for
        assert stop(keeper) < 10, "about a second, where the answer takes a minute"
        assert w.finish(keeper).code == 0


def test_once_renews_what_is_due_and_only_that(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=3600.0) as w:
        assert w.run("session", "keep", "--once").code == 0
        assert w.refreshes() == 0
        now = int(time.time())
        old = w.oci.issue_token(w.logins[0], iat=now - 2400, exp=now + 1200)
        w.token_file.write_text(old)
        ran = w.run("session", "keep", "--once")
        assert ran.code == 0, ran.err
        assert w.refreshes() == 1
        assert w.token_file.read_text() != old


@pytest.mark.slow
def test_once_tells_by_its_exit_whether_it_is_worth_another_try(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=3600.0) as w:
        now = int(time.time())
        w.token_file.write_text(w.oci.issue_token(w.logins[0], iat=now - 2400, exp=now + 1200))
        w.oci.configure(refresh_outage="500")
        ran = w.run("session", "keep", "--once")
        assert ran.code == 75, ran.err
        w.oci.configure(refresh_outage=None, refresh_refuses=True)
        ran = w.run("session", "keep", "--once")
        assert ran.code == 1, ran.err
        assert "cannot be renewed any more" in ran.err
        w.token_file.write_text(w.oci.issue_token(w.logins[0], iat=now - 3600, exp=now - 1))
        ran = w.run("session", "keep", "--once")
        assert ran.code == 1, "a token that is dead and refused needs a person, too: " + ran.err
        assert "the session has expired" in ran.err
        assert "ocihaul session login --profile-name DEFAULT" in ran.err


@pytest.mark.slow
def test_the_files_stay_a_readable_pair_for_our_own_reader(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0) as w:
        keeper = keeper_of(w, "FIRST")
        log_in(w, "FIRST")
        flags = Flags(
            config_file=str(w.config),
            profile="FIRST",
            auth="security_token",
            endpoint=w.oci.endpoint,
        )
        store = store_for(resolve(flags, {}, w.home))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            store.read_once()
        stop(keeper)
        assert w.finish(keeper).code == 0
        assert w.refreshes() >= 2


@pytest.mark.slow
def test_an_idle_keeper_is_seen_by_status_and_doctor_until_it_is_gone(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=3600.0) as w:
        keepers = [w.start("session", "keep") for _ in range(2)]
        for each in keepers:
            assert each.stderr is not None
            assert "session token 1" in each.stderr.readline()

        def seen() -> set[int]:
            (document,) = json.loads(w.run("session", "status", "--json").out)["data"]
            return {each["pid"] for each in document["keepers"]}

        until(lambda: seen() == {each.pid for each in keepers}, 60)
        ran = w.run("doctor", "--offline")
        assert ran.code == 0, ran.out
        assert "keep this session alive: one would do" in ran.out
        keepers[0].kill()
        w.finish(keepers[0])
        assert seen() == {keepers[1].pid}, "kill -9 leaves no sign behind"
        ran = w.run("session", "status")
        assert f"process {keepers[1].pid} (" in ran.out
        assert "keeps this session alive" in ran.out
        stop(keepers[1])
        assert w.finish(keepers[1]).code == 0
        assert seen() == set()
        assert "keeps this session" not in w.run("session", "status").out
        assert w.refreshes() == 0
