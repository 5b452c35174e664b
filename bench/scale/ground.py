"""What the measurements stand on: a service in a process of its own, a cluster, a client.

The line is the limit, not the processor: each worker has one thread, so one connection, and the
service takes so many bytes a second from each. Small files wait at the service for as long as a
round trip of the line takes.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ocihaul.client import Client
from ocihaul.emulator import Emulator, Fault
from ocihaul.emulator import Settings as EmulatorSettings

MIB = 2**20


def serve(home: str, settings: dict[str, Any], line: Connection) -> None:
    """An emulator until the line ends; it answers what it is asked by the name of a function."""
    with Emulator(EmulatorSettings(**settings)) as oci:
        line.send((str(oci.write_profile(Path(home), session=oci.login())), oci.endpoint))
        while question := line.recv():
            name, arguments = question
            line.send(_ANSWERS[name](oci, *arguments))


def _delay(oci: Emulator, operation: str, seconds: float) -> None:
    oci.faults.clear()
    if seconds:
        oci.faults.add(Fault(operation=operation, stall_seconds=seconds, times=None))


def _configure(oci: Emulator, settings: dict[str, Any]) -> None:
    oci.configure(**settings)


def _good(oci: Emulator, operation: str) -> tuple[int, int]:
    """How often it went well, and the bytes of all bodies, of those that did not as well."""
    entries = oci.log.entries(operation=operation)
    good = sum(1 for each in entries if each.status is not None and each.status < 300)
    return good, sum(each.body_received for each in entries)


def _digest(oci: Emulator, name: str) -> str:
    return str(oci.object_digest("backups", name))


def _clear(oci: Emulator) -> None:
    oci.log.clear()


def _failed(oci: Emulator) -> int:
    """Answers with 401 that are no refusals to renew."""
    return sum(1 for each in oci.log.entries(status=401) if each.operation != "RefreshToken")


_ANSWERS: dict[str, Callable[..., Any]] = {
    "delay": _delay,
    "configure": _configure,
    "good": _good,
    "digest": _digest,
    "clear": _clear,
    "failed": _failed,
    "names": lambda oci: len(oci.object_names("backups")),
    "secrets": lambda oci: sorted(oci.auth.token_texts()),
    "login": lambda oci, home: str(oci.write_profile(Path(home), session=oci.login())),
}


@dataclass
class Service:
    """The service: ask it things."""

    config: str
    endpoint: str
    line: Connection

    def ask(self, name: str, *arguments: Any) -> Any:
        """What a function above answers."""
        self.line.send((name, arguments))
        return self.line.recv()

    def client(self) -> Client:
        """A client with the session of this service."""
        return Client.from_profile(
            config_file=self.config,
            endpoint=self.endpoint,
            auth_endpoint=self.endpoint,
            auth="security_token",
        )


@contextmanager
def service(home: Path, **settings: Any) -> Iterator[Service]:
    """An emulator with these settings."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(str(home / "oci"), settings, theirs)
    )
    process.start()
    try:
        config, endpoint = ours.recv()
        yield Service(config, endpoint, ours)
        ours.send(None)
    finally:
        process.join(10)
        process.kill()


def a_file(path: Path, size: int) -> Path:
    """Bytes of which no two MiB are the same."""
    noise = os.urandom(MIB - 8)
    with path.open("wb") as file:
        for index in range(-(-size // MIB)):
            file.write((index.to_bytes(8) + noise)[: size - index * MIB])
    return path


def small_files(root: Path, count: int, size: int) -> Path:
    """So many files, a hundred in each directory."""
    noise = os.urandom(size - 8)
    for number in range(count):
        path = root / f"{number // 100:05}" / f"{number:07}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8) + noise)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return root


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def cpu_of(pid: int) -> float:
    """CPU seconds of another process, from the system's accounts."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
