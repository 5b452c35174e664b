"""What a worker keeps open for a job, and that all of it is closed."""

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocihaul import __version__
from ocihaul.cluster import jobs
from ocihaul.cluster.files import FetchFilesJob
from ocihaul.cluster.jobs import Job, ServiceAccess, TaskResult, run_task, stop_job
from ocihaul.cluster.parts import FetchRangesJob, SendPartsJob
from ocihaul.cluster.workers import DirectoryProof, FileProof
from ocihaul.directories.request import DirectoryDownload
from ocihaul.errors import LocalFileError, OcihaulError, TransferCancelled
from ocihaul.integrations.dask.messages import SharedSession
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.download.context import RemoteDownload
from ocihaul.transfer.download.request import DownloadRequest, RangePlan

ADDRESS = "tls://worker:1"
WORKER = cast("Any", SimpleNamespace(address=ADDRESS))


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_me", lambda: (ADDRESS, "one"))
    monkeypatch.setattr(jobs, "_jobs", {})


@dataclass
class Slow:
    """A job whose opening and whose tasks wait until they may go on."""

    id: str = "slow"
    version: str = __version__
    opening: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    working: threading.Event = field(default_factory=threading.Event)
    work_on: threading.Event = field(default_factory=threading.Event)
    closed: int = 0
    stop: threading.Event | None = None

    def unfit(self) -> str | None:
        return None

    def open(self, stop: threading.Event) -> "Slow":
        self.stop = stop
        self.opening.set()
        assert self.go_on.wait(30)
        return self

    def run(self, payload: int) -> int:
        self.working.set()
        assert self.work_on.wait(30)
        return payload + 1

    def close(self) -> None:
        self.closed += 1


def begun(job: Job, payload: int) -> tuple[threading.Thread, list[TaskResult]]:
    """A task in a thread, and where its result will be."""
    results: list[TaskResult] = []
    thread = threading.Thread(target=lambda: results.append(run_task(job, payload)))
    thread.start()
    return thread, results


def test_what_is_being_opened_while_the_job_ends_is_closed() -> None:
    job = Slow()
    job.work_on.set()
    thread, results = begun(job, 4)
    assert job.opening.wait(30)
    threading.Timer(0.2, job.go_on.set).start()
    asyncio.run(stop_job("slow", WORKER))
    thread.join(30)
    assert results
    assert job.closed == 1
    assert job.stop is not None
    assert job.stop.is_set()


def test_a_task_that_waited_for_the_opening_is_not_run_after_the_end() -> None:
    job = Slow()
    first, _ = begun(job, 4)
    assert job.opening.wait(30)
    second, results = begun(job, 5)
    while jobs._jobs[ADDRESS, "slow"].running < 2:
        threading.Event().wait(0.001)
    entry = jobs._jobs[ADDRESS, "slow"]
    entry.stop.set()
    job.go_on.set()
    job.work_on.set()
    first.join(30)
    second.join(30)
    assert isinstance(results[0].error, TransferCancelled)


def test_a_job_with_a_task_under_way_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ocihaul.cluster.jobs.time.monotonic", lambda: now)
    waiting, other = Slow(), Slow(id="other")
    for job in (waiting, other):
        job.go_on.set()
    other.work_on.set()
    thread, results = begun(waiting, 7)
    assert waiting.working.wait(30)
    now += 8 * 3600  # it waits for a login all night
    assert run_task(other, 1).value == 2
    assert waiting.closed == 0
    waiting.work_on.set()
    thread.join(30)
    assert results[0].value == 8
    now += 3601  # and nothing was heard of it since
    assert run_task(other, 2).value == 3
    assert (waiting.closed, other.closed) == (1, 0)


def access(cert_bundle: str | None = None) -> ServiceAccess:
    return ServiceAccess(
        session=SharedSession("s", region="us-ashburn-1"),
        endpoint="http://127.0.0.1:1",
        plain_http=False,
        connection_timeout=1.0,
        read_timeout=1.0,
        max_attempts=1,
        unreachable=1.0,
        cert_bundle=cert_bundle,
        bandwidth=None,
    )


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_range_whose_file_is_not_there_leaves_no_descriptor(tmp_path: Path) -> None:
    request = DownloadRequest(namespace="n", bucket="b", name="o", target=tmp_path / "o")
    plan = RangePlan(0, 4, 2, None)
    remote = RemoteDownload(request, ObjectSummary(4, "e", {}), plan, tmp_path / "o", ".missing")
    proof = DirectoryProof(str(tmp_path), "p", "t")
    job = FetchRangesJob("ranges", __version__, access(), remote, proof)
    before = descriptors()
    for _ in range(3):
        with pytest.raises(LocalFileError, match="is not there"):
            job.open(threading.Event())
    assert descriptors() == before


def test_parts_without_certificates_leave_no_descriptor(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    proof = FileProof.of(str(source))
    remote = cast("Any", SimpleNamespace(request=None, upload_id="u", declared=None))
    job = SendPartsJob("parts", __version__, access(str(tmp_path / "none.pem")), remote, proof)
    before = descriptors()
    for _ in range(3):
        with pytest.raises(OcihaulError):
            job.open(threading.Event())
    assert descriptors() == before


def test_files_without_a_directory_leave_no_thread(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    request = DirectoryDownload(root=str(tmp_path / "file"), namespace="n", bucket="b")
    proof = DirectoryProof(str(tmp_path), "p", "t")
    job = FetchFilesJob("files", __version__, access(), request, proof)
    before = descriptors(), threading.active_count()
    for _ in range(3):
        with pytest.raises(LocalFileError):
            job.open(threading.Event())
    assert (descriptors(), threading.active_count()) == before
