"""A worker's side of transfers: what it keeps open for a job, and the function that Dask calls.

A job is a value: which session, which service, what is to be done. Each task brings it along, and
the first one in a process opens what it needs. No secret is in a job.
"""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from distributed import get_worker

from ocihaul import __version__
from ocihaul.config import Flags, resolve
from ocihaul.config.settings import Bandwidth
from ocihaul.errors import OcihaulError, TransferCancelled
from ocihaul.events import ignore
from ocihaul.integrations.dask.messages import SharedSession
from ocihaul.resources import Resources
from ocihaul.session.session import home_directory
from ocihaul.threads import AbandonedError

if TYPE_CHECKING:
    from distributed import Worker

#: What a job keeps open that has had no task for so many seconds is closed: its driver is gone.
_FORGOTTEN = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """The session and the service as a worker needs to know them; timeouts are seconds.

    A proxy is each worker's own, from its environment: the driver's may have a password in it.
    """

    session: SharedSession
    endpoint: str
    plain_http: bool
    connection_timeout: float
    read_timeout: float
    max_attempts: int | None
    unreachable: float
    cert_bundle: str | None
    bandwidth: Bandwidth | None

    @contextmanager
    def opened(self, stop: threading.Event) -> Iterator[Resources]:
        """Connections that are signed by the shared session. Raises ConfigError, UsageError."""
        flags = Flags(
            auth="instance_principal",  # as for those, no section of a config file is needed
            region=self.session.region,
            endpoint=self.endpoint,
            allow_plain_http=self.plain_http,
            connection_timeout=self.connection_timeout,
            read_timeout=self.read_timeout,
            max_retries=self.max_attempts,
            cert_bundle=self.cert_bundle,
        )
        settings = resolve(flags, os.environ, home_directory(), command=("os", "object", "put"))
        settings = replace(settings, bandwidth=self.bandwidth, unreachable=self.unreachable)
        resources = Resources(settings, ignore, stop, self.session)
        try:
            yield resources
        finally:
            resources.close()


class WorkerFault(OcihaulError):
    """A worker has failed in a way that was not foreseen: it lacks memory, perhaps."""

    code = "worker"


class Opened(Protocol):
    """What a worker keeps open for a job."""

    def run(self, payload: Any) -> Any:
        """Do one task, in any thread."""

    def close(self) -> None:
        """End it."""


class Job(Protocol):
    """What is to be done: pickled with each task, so small, and without a secret."""

    @property
    def id(self) -> str:
        """Its own name."""

    @property
    def version(self) -> str:
        """Of ocihaul, where it was made."""

    def unfit(self) -> str | None:
        """Why this process cannot do it, such as another disk; None where it can."""

    def open(self, stop: threading.Event) -> Opened:
        """Open what its tasks need. `stop` ends them."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a task gives back, from the worker of this name and address.

    `refused` says why the worker cannot do it, `error` what the task has raised.
    """

    address: str
    worker: str
    value: Any = None
    refused: str | None = None
    error: OcihaulError | None = None


@dataclass(slots=True)
class _OpenJob:
    """One job in this process; `opened` is made by the first task, `running` are under way."""

    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)  # guards the two below
    opened: Opened | None = None
    refused: str | None = None
    used: float = 0.0
    running: int = 0

    def end(self) -> None:
        """Stop what is under way, and close what is open, or is being opened."""
        self.stop.set()
        with self.lock:
            if self.opened is not None:
                self.opened.close()


_lock = threading.Lock()  # guards _jobs, and `used` and `running` of each
#: By worker and job: one process may have several workers.
_jobs: dict[tuple[str, str], _OpenJob] = {}


def run_task(job: Job, payload: Any) -> TaskResult:
    """What Dask runs on a worker; failures are values, so that they can be told apart."""
    address, name = _me()
    if job.version != __version__:
        return TaskResult(address, name, refused=other_version(__version__, job.version))
    here = _entered(address, job.id)
    try:
        opened = _opened(job, here)
        if opened is None:
            return TaskResult(address, name, refused=here.refused)
        return TaskResult(address, name, value=opened.run(payload))
    except OcihaulError as error:
        return TaskResult(address, name, error=error)
    except AbandonedError:
        return TaskResult(address, name, error=TransferCancelled("stopped in the midst of a task"))
    except Exception as error:  # noqa: BLE001  Dask cannot bring every exception to the driver
        return TaskResult(address, name, error=WorkerFault(f"{type(error).__name__}: {error}"))
    finally:
        _left(here)


async def check_worker(job: Job) -> str | None:
    """Why this worker cannot do the job; None where it can. Run on each before the first task.

    In a thread, as a file system that hangs must not hold the worker itself up.
    """
    try:
        return await asyncio.to_thread(job.unfit)
    except OcihaulError as error:
        return error.message


async def stop_job(job_id: str, dask_worker: "Worker") -> None:
    """End what this worker does for a job, also in the midst of a part."""
    with _lock:
        here = _jobs.pop((str(dask_worker.address), job_id), None)
    if here is not None:
        here.stop.set()
        await asyncio.to_thread(here.end)


def other_version(theirs: str, ours: str) -> str:
    """Why a worker with another version does nothing."""
    return f"it has ocihaul {theirs}, and this is {ours}"


def _me() -> tuple[str, str]:
    worker = get_worker()
    return str(worker.address), str(worker.name)


def _opened(job: Job, here: _OpenJob) -> Opened | None:
    """What is open for the job; None where this process cannot do it. Raises TransferCancelled."""
    with here.lock:
        if here.stop.is_set():
            raise TransferCancelled("stopped before a task")
        if here.refused is None and here.opened is None:
            here.refused = job.unfit()
            if here.refused is None:
                here.opened = job.open(here.stop)
        return here.opened


def _entered(address: str, job_id: str) -> _OpenJob:
    """The job, with one more task under way; closes those whose driver is gone."""
    now = time.monotonic()
    with _lock:
        here = _jobs.setdefault((address, job_id), _OpenJob())
        here.running += 1
        gone = [
            key for key, each in _jobs.items() if not each.running and now - each.used > _FORGOTTEN
        ]
        closing = [_jobs.pop(key) for key in gone]
    for each in closing:
        each.end()
    return here


def _left(here: _OpenJob) -> None:
    with _lock:
        here.running -= 1
        here.used = time.monotonic()
