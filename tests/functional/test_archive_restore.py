"""`os object get --restore` by the real command: its wait may be longer than a token lives."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import LogEntry
from tests.world import MIB, Ran, World, world

SIZE = 3 * MIB + 7


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, restore_seconds=3600.0, token_ttl=4.0, integer_claims=False) as one:
        yield one


def archived(w: World) -> bytes:
    data = w.file(SIZE).read_bytes()
    w.oci.put_object("backups", "x", data, storage_tier="Archive", algorithm="CRC32C")
    return data


def end_the_restore(w: World) -> None:
    """The service is done with it, however long it would have taken."""
    w.oci.store.bucket("ns1", "backups").object("x").restored_at = 0.0


def get(w: World, target: Path, *wait: str) -> "subprocess.Popen[str]":
    return w.start(*w.get("x", target, "--restore", "5", *wait))


def said_until(process: "subprocess.Popen[str]", words: str) -> str:
    """What the command says on stderr until these words come."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def looked(w: World) -> list[LogEntry]:
    return w.oci.log.entries(operation="HeadObject", status=200)


def check(w: World, ran: Ran, target: Path, data: bytes) -> None:
    assert ran.code == 0, ran.err
    assert "x is restored" in ran.err
    assert target.read_bytes() == data
    asked = w.oci.log.entries(operation="RestoreObjects", status=200)
    assert len(asked) == 1, "asked for once"
    assert w.object_bytes_sent() == SIZE


@pytest.mark.slow
def test_a_session_that_ends_while_it_waits_parks_it_and_a_login_lets_it_go_on(
    w: World, tmp_path: Path
) -> None:
    data, target = archived(w), tmp_path / "target"
    w.oci.configure(token_ttl=3600.0)
    w.log_in()
    process = get(w, target, "--session-wait", "5m")
    said = said_until(process, "Waiting until x is restored")
    w.end_sessions()
    said += said_until(process, "Waiting for a new login until")
    before = len(looked(w))
    w.log_in()
    said += said_until(process, "a new login has appeared")
    w.oci.log.wait_for(lambda entry: entry in looked(w)[before:], timeout=30)
    assert not target.exists(), "it is waiting as before"
    end_the_restore(w)
    ran = w.finish(process)
    ran = w.checked(Ran(ran.code, ran.out, said + ran.err))
    check(w, ran, target, data)
    sessions = {entry.session_id for entry in looked(w)}
    assert len(sessions) == 2, "the login's and the one before it"


@pytest.mark.slow
def test_a_session_that_ends_while_it_waits_ends_a_run_that_may_not_park_and_the_next_goes_on(
    w: World, tmp_path: Path
) -> None:
    data, target = archived(w), tmp_path / "target"
    w.oci.configure(token_ttl=3600.0)
    w.log_in()
    process = get(w, target)
    said_until(process, "Waiting until x is restored")
    w.end_sessions()
    ran = w.finish(process)
    assert ran.code == 75, ran.err
    assert not target.exists()
    w.log_in()
    process = get(w, target)
    said = said_until(process, "Waiting until x is restored")
    end_the_restore(w)
    ran = w.finish(process)
    check(w, Ran(ran.code, ran.out, said + ran.err), target, data)


@pytest.mark.slow
def test_it_waits_through_renewals(w: World, tmp_path: Path) -> None:
    data, target = archived(w), tmp_path / "target"
    w.log_in()
    process = get(w, target)
    deadline = time.monotonic() + 60
    while w.refreshes() < 3:
        assert time.monotonic() < deadline
        w.stop.wait(0.05)
    end_the_restore(w)
    check(w, w.finish(process), target, data)
    assert w.storage_calls_with_401() == 0
    tokens = {entry.token_id for entry in looked(w)}
    assert len(tokens) >= 2, "each look is signed with the token of the moment"
