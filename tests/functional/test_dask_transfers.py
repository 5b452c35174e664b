"""Directories and single objects by the workers of a cluster: real processes, TLS; what breaks."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import cloudpickle
import pytest

from ocihaul.client import Client
from ocihaul.emulator import Fault
from ocihaul.emulator.log import LogEntry
from ocihaul.errors import SourceError
from ocihaul.events import Notice
from tests.functional.dask_cluster import Cluster, cluster
from tests.functional.directories import command, content, make
from tests.world import MIB, World, world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PARTS = 16


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three workers with two threads each."""
    with cluster(tmp_path_factory.mktemp("dask"), 3, threads=2) as made:
        yield made


@pytest.fixture
def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(tmp_path / "state"))
    with world(tmp_path) as made:
        yield made


def by_dask(dask: Cluster) -> tuple[str, ...]:
    return (
        *("--dask", str(dask.directory / "scheduler.json")),
        *("--dask-tls-ca-file", dask.tls["ca-file"]),
        *("--dask-tls-cert", dask.tls["cert"], "--dask-tls-key", dask.tls["key"]),
    )


def put(source: Path, *more: str) -> tuple[str, ...]:
    parts = ("--part-size", "1048576B", "--force")
    return command("put", "--file", str(source), "--name", source.name, *parts, *more)


def notices(w: World) -> list[str]:
    return [event.text for event in w.heard.events if isinstance(event, Notice)]


# What it is for


def test_an_object_goes_up_and_comes_down_by_workers(dask: Cluster, w: World) -> None:
    source = w.file(PARTS * MIB + 4321)
    up = w.run(*put(source, *by_dask(dask)))
    assert up.code == 0, up.err
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="UploadPart") == PARTS + 1
    assert w.part_bytes_received() == source.stat().st_size
    target = w.home / "back.tar"
    down = w.run(
        *command("get", "--name", source.name, "--file", str(target), "--part-size", "1048576B"),
        *by_dask(dask),
    )
    assert down.code == 0, down.err
    assert target.read_bytes() == source.read_bytes()
    assert w.object_bytes_sent() == source.stat().st_size
    assert not list(w.home.glob(".*.ocihaul*"))


def test_a_directory_goes_up_and_comes_down_by_workers(dask: Cluster, w: World) -> None:
    names = [f"{number % 7}/{number:04}" for number in range(500)]
    src, back = make(w.home / "src", *names), w.home / "back"
    large = w.file(5 * MIB, "src/large.bin")
    os.utime(large, (1, 1))
    (src / "empty").mkdir()
    w.oci.put_object("backups", "gone", b"")
    place = ("--delete", "--part-size", "1048576B", *by_dask(dask))
    up = w.run(*command("sync", "--src-dir", str(src), *place))
    assert up.code == 0, up.err
    assert w.oci.object_names("backups") == sorted([*names, "large.bin", "empty/"])
    assert w.oci.log.count(operation="PutObject") == len(names) + 1
    assert w.oci.log.count(operation="UploadPart") == 5
    again = w.run(*command("sync", "--src-dir", str(src), *place))
    assert again.code == 0
    assert w.oci.log.count(operation="PutObject") == len(names) + 1
    down = w.run(*command("sync", "--dest-dir", str(back), *place))
    assert down.code == 0, down.err
    assert content(back) == content(src)


def test_dask_is_imported_for_dask_only(w: World) -> None:
    source = w.file(2 * MIB)
    code = (
        "import sys; from ocihaul.cli import app; code = app.run(sys.argv[1:]);"
        "print(sorted(name for name in ('dask', 'distributed', 'tornado') if name in sys.modules));"
        "sys.exit(code)"
    )
    ran = w.finish(w.start_python("-c", code, *put(source)))
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == "[]"


# Who may do it


def preload(tmp_path: Path, code: str) -> tuple[str, str]:
    """What a worker runs before it begins."""
    file = tmp_path / "preload.py"
    # Dask runs it more than once.
    file.write_text(f"import sys\nif not hasattr(sys, 'preloaded'):\n{indent(code, '    ')}\n")
    with file.open("a") as out:
        out.write("sys.preloaded = True\n")
    return "--preload", str(file)


OLD = "import ocihaul; ocihaul.__version__ = '0.0.9'"


def test_an_older_version_is_refused_by_name(dask: Cluster, w: World, tmp_path: Path) -> None:
    dask.add_worker("old", *preload(tmp_path, OLD))
    try:
        ran = w.run(*put(w.file(2 * MIB), *by_dask(dask)))
        assert ran.code == 2
        assert "worker old (tls://" in ran.err
        assert "it has ocihaul 0.0.9, and this is" in ran.err
        assert w.oci.log.count(operation="CreateMultipartUpload") == 0
    finally:
        dask.kill("old")


def test_an_older_scheduler_is_refused(w: World, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    with cluster(tmp_path / "alone", 1, scheduler=preload(tmp_path, OLD)) as alone:
        ran = w.run(*put(w.file(2 * MIB), *by_dask(alone)))
    assert ran.code == 2
    assert "the scheduler has another version: it has ocihaul 0.0.9" in ran.err


def test_plain_tcp_is_refused(w: World) -> None:
    ran = w.run(*put(w.file(MIB), "--dask", "tcp://192.0.2.1:8786"))
    assert ran.code == 2
    assert "is not encrypted" in ran.err
    assert not w.oci.log.entries()
    nowhere = w.run(*put(w.file(MIB), "--dask", "scheduler.jsn"))
    assert nowhere.code == 2
    assert "scheduler.jsn" in nowhere.err


def test_a_worker_without_the_files_is_named(w: World, tmp_path: Path) -> None:
    """A path that means another file for each process: the one in its working directory."""
    source, elsewhere = w.file(3 * MIB), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "alone").mkdir()
    here = Path("/proc/self/cwd")
    with (
        cluster(tmp_path / "alone", 1, threads=2, cwd=w.home) as alone,
        Client(w.settings()) as client,
        contextlib.chdir(w.home),
    ):
        alone.add_worker("blind", cwd=elsewhere)
        call: dict[str, Any] = {"namespace": "ns1", "executor": alone.client}

        def refused() -> str:
            with pytest.raises(SourceError) as caught:
                client.upload(here / source.name, "backups", part_size=MIB, **call)
            assert "worker blind (tls://" in caught.value.message
            assert "worker w0" not in caught.value.message
            return caught.value.message

        assert "cannot be read" in refused()
        other, whole = elsewhere / source.name, source.read_bytes()
        other.write_bytes(whole[:-1])
        assert f"has {3 * MIB - 1} bytes there, {3 * MIB} here" in refused()
        other.write_bytes(whole[:-1] + b"?")
        assert "has another modification time there" in refused()
        os.utime(other, ns=(source.stat().st_mtime_ns, source.stat().st_mtime_ns))
        assert "has other bytes there" in refused()
        assert w.oci.log.count(operation="CreateMultipartUpload") == 0
        w.oci.put_object("backups", "there", os.urandom(3 * MIB))
        with pytest.raises(SourceError, match=r"worker blind \(tls://.*another directory"):
            client.download_directory("backups", here, **call)
        assert w.oci.log.count(operation="GetObject") == 0
        alone.kill("blind")
        assert client.upload(here / source.name, "backups", part_size=MIB, **call).part_count == 3
        assert client.download_directory("backups", here, **call).good
    assert w.arrived_whole(source)
    assert (w.home / "there").read_bytes() == w.oci.read_object("backups", "there")


def test_what_would_put_a_secret_into_tasks_is_refused(dask: Cluster, w: World) -> None:
    key = w.home / "key"
    key.write_text("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")
    source = w.file(2 * MIB)
    for more in (("--encryption-key-file", str(key)), ("--outlive-session",)):
        ran = w.run(*put(source, *more, *by_dask(dask)))
        assert ran.code == 2, ran.err
        assert "cannot be used with Dask" in ran.err
    assert w.oci.log.count(operation="UploadPart") == 0


# Liars


LYING_PART = """
import dataclasses
from ocihaul.cluster import parts
honest = parts._OpenParts.run
def run(self, payload):
    told = honest(self, payload)
    digests = {name: bytes(len(value)) for name, value in told.part.digests.items()}
    return dataclasses.replace(told, part=dataclasses.replace(told.part, digests=digests))
parts._OpenParts.run = run
"""

LYING_RANGE = """
import dataclasses
from ocihaul.cluster import parts
honest = parts._OpenRanges.run
def run(self, payload):
    told = honest(self, payload)
    return dataclasses.replace(told, finished=dataclasses.replace(told.finished, crc32c=b"lies"))
parts._OpenRanges.run = run
"""


def test_a_liars_parts_are_sent_again_elsewhere(dask: Cluster, w: World, tmp_path: Path) -> None:
    liar = dask.add_worker("liar", *preload(tmp_path, LYING_PART))
    try:
        source = w.file(PARTS * MIB)
        w.oci.faults.add(Fault(operation="UploadPart", stall_seconds=0.1, times=None))
        with Client(w.settings(), listener=w.heard) as client:
            done = client.upload(
                source, "backups", namespace="ns1", part_size=MIB, executor=dask.client
            )
    finally:
        dask.kill("liar")
    assert w.arrived_whole(source)
    assert done.crc32c == done.headers["opc-content-crc32c"]
    again = w.oci.log.count(operation="UploadPart", status=200) - PARTS
    assert 1 <= again < PARTS, "some, and not all"
    assert w.oci.log.count(operation="CommitMultipartUpload") == 1
    (said,) = [text for text in notices(w) if "is left out" in text]
    assert said.startswith(f"worker liar ({liar}) is left out: part ")


def test_a_liars_ranges_are_fetched_again_elsewhere(
    dask: Cluster, w: World, tmp_path: Path
) -> None:
    source = w.file(PARTS * MIB)
    w.upload(source)
    liar = dask.add_worker("liar", *preload(tmp_path, LYING_RANGE))
    try:
        w.oci.faults.add(Fault(operation="GetObject", stall_seconds=0.1, times=None))
        target = w.home / "back"
        with Client(w.settings(), listener=w.heard) as client:
            client.download(
                "backups", source.name, target, namespace="ns1", part_size=MIB, executor=dask.client
            )
    finally:
        dask.kill("liar")
    assert target.read_bytes() == source.read_bytes()
    assert w.object_bytes_sent() > source.stat().st_size
    assert [text for text in notices(w) if f"worker liar ({liar}) is left out: range" in text]


# Deaths


def slow(w: World, operation: str, seconds: float = 0.3) -> None:
    w.oci.faults.add(Fault(operation=operation, stall_seconds=seconds, times=None))


def parts_that_came(w: World) -> int:
    return w.oci.log.count(operation="UploadPart", status=200)


def wait_for_parts(w: World, count: int) -> None:
    wait_for(w, "UploadPart", count)


def wait_for(w: World, operation: str, count: int) -> None:
    """Wait until so many of these have gone well."""
    good: set[int] = set()

    def enough(entry: LogEntry) -> bool:
        if entry.operation == operation and entry.status == 200:
            good.add(entry.sequence)
        return len(good) >= count

    w.oci.log.wait_for(enough, timeout=60)


def test_a_killed_workers_parts_are_done_by_others(dask: Cluster, w: World) -> None:
    dask.add_worker("doomed")
    source = w.file(3 * PARTS * MIB)
    slow(w, "UploadPart")
    running = w.start(*put(source, *by_dask(dask)))
    wait_for_parts(w, 12)
    dask.kill("doomed")
    ran = w.finish(running)
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    # Its two threads had a part each, and one more may have been told to nobody yet.
    assert parts_that_came(w) <= 3 * PARTS + 2 * dask.threads


def test_a_late_worker_gets_its_share(dask: Cluster, w: World, tmp_path: Path) -> None:
    """And one with another version gets none, and is named."""
    source = w.file(3 * PARTS * MIB)
    slow(w, "UploadPart", 2.0)  # it cannot end before they come
    failed: list[BaseException] = []

    def upload() -> None:
        try:
            with Client(w.settings(), listener=w.heard) as client:
                client.upload(
                    source, "backups", namespace="ns1", part_size=MIB, executor=dask.client
                )
        except BaseException as error:  # noqa: BLE001  looked at below
            failed.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart", timeout=60)
    try:
        dask.start_worker("late")
        dask.start_worker("old", *preload(tmp_path, OLD))
        until = time.monotonic() + 60
        while not (
            any("worker old (tls://" in text and "0.0.9" in text for text in notices(w))
            and "late" in dask.client.run(worked_at).values()
        ):
            assert time.monotonic() < until, (notices(w), dask.client.run(worked_at))
            assert thread.is_alive(), (failed, notices(w), dask.client.run(worked_at))
            time.sleep(0.1)  # neither of them can be waited for
        w.oci.faults.clear()
        thread.join(60)
    finally:
        dask.kill("late")
        dask.kill("old")
    assert not failed, failed
    assert w.arrived_whole(source)


def worked_at(dask_worker: Any) -> str:
    """The worker's name, if a task of ours has run there."""
    done = [key for key in dask_worker.state.log if "ocihaul-" in str(key)]
    return str(dask_worker.name) if any("memory" in str(each) for each in done) else ""


def test_a_killed_driver_is_taken_over(dask: Cluster, w: World) -> None:
    source = w.file(3 * PARTS * MIB)
    slow(w, "UploadPart")
    running = w.start(*put(source, *by_dask(dask)))
    wait_for_parts(w, 12)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    ran = w.run(*put(source, *by_dask(dask)))
    assert ran.code == 0, ran.err
    assert "Resuming upload" in ran.err
    assert w.arrived_whole(source)
    in_flight = 3 * dask.threads
    assert parts_that_came(w) <= 3 * PARTS + 2 * in_flight


def test_a_stop_ends_what_workers_are_at(dask: Cluster, w: World) -> None:
    source = w.file(3 * PARTS * MIB)
    slow(w, "UploadPart")
    running = w.start(*put(source, *by_dask(dask)))
    wait_for_parts(w, 6)
    running.send_signal(signal.SIGINT)
    ran = w.finish(running)
    assert ran.code == 130, ran.err
    came = parts_that_came(w)
    ran = w.run(*put(source))
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    assert parts_that_came(w) <= 3 * PARTS + came
    assert parts_that_came(w) <= 3 * PARTS + 4 * dask.threads


def test_the_scheduler_gone_is_75_and_goes_on_without(w: World, tmp_path: Path) -> None:
    source = w.file(2 * PARTS * MIB)
    slow(w, "UploadPart", 0.2)
    (tmp_path / "alone").mkdir()
    with cluster(tmp_path / "alone", 2, threads=2) as alone:
        running = w.start(*put(source, *by_dask(alone)))
        wait_for_parts(w, 8)
        alone.kill("scheduler")
        ran = w.finish(running)
    assert ran.code == 75, ran.err
    assert "scheduler" in ran.err
    ran = w.run(*put(source))
    assert ran.code == 0, ran.err
    assert "Resuming upload" in ran.err
    assert w.arrived_whole(source)
    assert parts_that_came(w) <= 2 * PARTS + 2 * 4


def test_a_directory_outlives_a_killed_worker_and_then_the_scheduler(
    w: World, tmp_path: Path
) -> None:
    names = [f"{number % 9}/{number:04}" for number in range(900)]
    src = make(tmp_path / "src", *names)
    for name in names[::3]:  # they are there, with another content: replaced by their etag
        w.oci.put_object("backups", name, b"older")
    slow(w, "PutObject", 0.06)
    (tmp_path / "alone").mkdir()
    sync = command("sync", "--src-dir", str(src), "--delete")
    with cluster(tmp_path / "alone", 3, threads=2) as alone:
        running = w.start(*sync, *by_dask(alone))
        wait_for(w, "PutObject", 100)
        alone.kill("w0")
        wait_for(w, "PutObject", 450)
        alone.kill("scheduler")
        ran = w.finish(running)
    assert ran.code == 75, ran.err
    w.oci.faults.clear()
    ran = w.run(*sync)
    assert ran.code == 0, ran.err
    assert {name: w.oci.read_object("backups", name) for name in names} == {
        name: name.encode() for name in names
    }
    # Twice at most: two batches of the killed worker. What the last ones had sent is seen by name.
    assert w.oci.log.count(operation="PutObject", status=200) <= len(names) + 2 * 64


def test_a_file_that_changes_is_no_object(dask: Cluster, w: World) -> None:
    source = w.file(3 * PARTS * MIB)
    slow(w, "UploadPart")
    running = w.start(*put(source, *by_dask(dask)))
    wait_for_parts(w, 6)
    with source.open("r+b") as file:
        file.write(b"another writer")
    ran = w.finish(running)
    assert ran.code == 1, ran.err
    assert "has changed while it was read" in ran.err
    assert w.oci.log.count(operation="CommitMultipartUpload") == 0
    assert w.oci.log.count(operation="AbortMultipartUpload") == 1
    assert w.oci.object_names("backups") == []


def test_no_more_is_under_way_than_the_workers_can_do(
    dask: Cluster, w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocihaul.cluster import files, tasks  # noqa: PLC0415  patched here only

    src = make(w.home / "src", *(f"{number:05}" for number in range(400)))
    most = 0
    submit = tasks.Tasks._submit

    def counting(self: Any, sent: Any) -> None:
        nonlocal most
        submit(self, sent)
        most = max(most, len(self._under_way))

    monkeypatch.setattr(files, "MOST_FILES", 4)
    monkeypatch.setattr(tasks.Tasks, "_submit", counting)
    with Client(w.settings()) as client:
        done = client.upload_directory(src, "backups", namespace="ns1", executor=dask.client)
    assert done.transferred == 400
    assert dask.threads <= most <= 2 * 3 * dask.threads


def test_no_secret_of_a_transfer_stands_anywhere(dask: Cluster, w: World) -> None:
    """The logs of all processes at debug, of every test above, too; tasks, plugins and events."""
    src = make(w.home / "src", *(f"{number:03}" for number in range(200)))
    source = w.file(6 * MIB)
    slow(w, "UploadPart", 0.5)
    running = w.start(*put(source, *by_dask(dask)), "--debug")
    wait_for_parts(w, 1)
    w.oci.revoke_all(refreshable=True)
    seen: dict[str, bytes] = {
        "tasks": dask.client.run_on_scheduler(tasks_of),
        "plugins": dask.client.run_on_scheduler(plugins_of),
    }
    assert w.finish(running).code == 0  # its output was searched
    assert w.refreshes() >= 1
    assert w.run(*command("sync", "--src-dir", str(src)), *by_dask(dask)).code == 0
    seen["events"] = repr(dask.client.get_events()).encode()
    assert b"SendPartsJob" in seen["tasks"]
    seen |= {each.name: each.read_bytes() for each in dask.directory.glob("*.log")}
    seen |= {str(each): each.read_bytes() for each in dask.spill.rglob("*") if each.is_file()}
    assert sum(map(len, seen.values())) > 100_000
    secrets = {secret.encode() for secret in w.secrets()}
    assert len(secrets) > 20
    for where, data in seen.items():
        for secret in secrets:
            assert secret not in data, f"a secret is in {where}"


def tasks_of(dask_scheduler: Any) -> bytes:
    """All that the scheduler has of tasks, pickled and shown."""
    specs = [(key, each.run_spec) for key, each in dask_scheduler.tasks.items()]
    return bytes(cloudpickle.dumps(specs)) + repr(specs).encode()


def plugins_of(dask_scheduler: Any) -> bytes:
    """What each worker that comes is given."""
    return bytes(cloudpickle.dumps(dask_scheduler.worker_plugins))


def test_workers_that_die_one_after_the_other_end_nothing(w: World, tmp_path: Path) -> None:
    """Also in the moments in which one is asked, or has its answer not told yet."""
    source = w.file(40 * MIB)
    slow(w, "UploadPart", 0.4)
    (tmp_path / "alone").mkdir()
    with cluster(tmp_path / "alone", 3, threads=1) as alone:
        running = w.start(*put(source, *by_dask(alone)))
        wait_for_parts(w, 3)
        killed = 0
        while running.poll() is None and killed < 3:
            alone.kill(f"w{killed % 3}")
            alone.add_worker(f"w{killed % 3}")
            killed += 1
        ran = w.finish(running)
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    assert killed >= 2
    # One at work, and one whose answer nobody had heard.
    assert parts_that_came(w) <= 40 + 2 * killed
