"""Messages to a service manager, read at its socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.session.keeper import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, short_path: Path
) -> Iterator[tuple[str, socket.socket]]:
    """A socket as the service manager has it, and its name in NOTIFY_SOCKET."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.settimeout(2.0)
    name = str(short_path / "notify") if request.param == "path" else f"@ocihaul-{os.getpid()}"
    sock.bind(name.replace("@", "\0"))
    yield name, sock
    sock.close()


def test_what_is_said_arrives(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.status("alive: A")
    notifier.status("alive: A")
    notifier.reloading()
    notifier.stopping()
    heard = [sock.recv(4096).decode() for _ in range(4)]
    assert heard[0] == "READY=1"
    assert heard[1] == "STATUS=alive: A"
    assert heard[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[3] == "STOPPING=1"


def test_the_watchdog_is_fed_when_it_is_ours(manager: tuple[str, socket.socket]) -> None:
    name, sock = manager
    ours = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"}
    Notifier.from_environment(ours | {"WATCHDOG_PID": str(os.getpid())}).alive()
    assert sock.recv(64) == b"WATCHDOG=1"
    Notifier.from_environment(ours | {"WATCHDOG_PID": "1"}).alive()
    sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        sock.recv(64)


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    Notifier.from_environment({}).ready()
    Notifier(str(tmp_path / "nobody")).ready()
