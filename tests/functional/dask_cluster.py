"""A Dask cluster of real processes on loopback, with TLS whose certificates are made here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distributed
import trustme

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """Its scheduler and workers as processes, and a client in this one."""

    directory: Path
    tls: dict[str, str]
    client: Any = None
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    threads: int = 8

    @property
    def spill(self) -> Path:
        """Where workers put what does not fit into memory."""
        return self.directory / "spill"

    def start(self, name: str, *args: str, cwd: Path | None = None) -> None:
        """Start a process, which logs all that it can say."""
        environ = os.environ | {
            "PYTHONPATH": str(ROOT),
            "DASK_LOGGING__DISTRIBUTED": "debug",
            "OCIHAUL_STATE_DIR": str(self.directory / "state"),
        }
        certificates = [
            f"--tls-{each}={self.tls[each]}" for each in ("ca-file", "cert", "key") if self.tls
        ]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *args, *certificates],
                env=environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def add_worker(self, name: str, *more: str, cwd: Path | None = None) -> str:
        """Start one worker more, and wait for it; returns its address."""
        self.start_worker(name, *more, cwd=cwd)
        return self.address_of(name)

    def start_worker(self, name: str, *more: str, cwd: Path | None = None) -> None:
        args = ("--scheduler-file", str(self.directory / "scheduler.json"), "--name", name)
        quiet = ("--no-dashboard", "--no-nanny", "--memory-limit", "200MB")
        threads = ("--nthreads", str(self.threads))
        here = ("--host", "127.0.0.1", "--local-directory", str(self.spill))
        self.start(name, "worker", *args, *quiet, *threads, *here, *more, cwd=cwd)

    def address_of(self, name: str, timeout: float = 60.0) -> str:
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for address, about in self.client.scheduler_info(n_workers=-1)["workers"].items():
                if about["name"] == name:
                    return str(address)
            time.sleep(0.05)  # the scheduler tells nobody but its own clients' futures
        raise AssertionError(f"worker {name} does not come: {self.log(name)[-2000:]}")

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        for name in list(self.processes):
            self.kill(name)


def certificates(directory: Path) -> dict[str, str]:
    """A CA of the cluster's own, and one certificate for all of its processes."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = {each: str(directory / f"{each}.pem") for each in ("ca-file", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca-file"])
    issued.private_key_pem.write_to_path(paths["key"])
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(paths["cert"], append=number > 0)
    return paths


@contextmanager
def cluster(
    directory: Path,
    workers: int,
    *,
    tls: bool = True,
    threads: int = 8,
    cwd: Path | None = None,
    scheduler: tuple[str, ...] = (),
) -> Iterator[Cluster]:
    """A scheduler and so many workers with `threads` each in `cwd`, named w0, w1, …

    `scheduler` are more of its options.
    """
    made = Cluster(directory, certificates(directory) if tls else {}, threads=threads)
    try:
        file = directory / "scheduler.json"
        file.unlink(missing_ok=True)  # of one that was killed
        scheme = ("--protocol", "tls" if tls else "tcp")
        web = ("--dashboard-address", "127.0.0.1:0")
        where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        made.start("scheduler", "scheduler", *where, *scheme, *web, *scheduler)
        until = time.monotonic() + 60
        while not _is_json(file):
            assert time.monotonic() < until, made.log("scheduler")
            time.sleep(0.05)  # it writes the file and tells nobody
        for number in range(workers):
            made.start_worker(f"w{number}", cwd=cwd)
        security = None
        if tls:
            security = distributed.Security(
                tls_ca_file=made.tls["ca-file"],
                tls_client_cert=made.tls["cert"],
                tls_client_key=made.tls["key"],
                require_encryption=True,
            )
        made.client = distributed.Client(
            scheduler_file=str(file), security=security, set_as_default=False, timeout=60
        )
        made.client.wait_for_workers(workers, timeout=90)
        yield made
    finally:
        made.close()


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return True
