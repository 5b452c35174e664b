"""Single requests that are damaged on their way, with kill -9 at each step: nothing wrong is seen.

What counts is what lies in the emulator's store, right after the kill and after the runs that
follow it, and that each fault has really happened.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocihaul.client import Client
from ocihaul.directories.compare import SyncMode
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.results import FAILED, UPLOADED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.emulator import Fault
from ocihaul.emulator.log import LogEntry
from ocihaul.events import AttemptFinished, Event, audience
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.part_uploader import MOST_SENDS
from ocihaul.transfer.upload.upload import upload
from tests.functional.directories import OLD, command, run
from tests.world import MIB, PART, World, world

#: A small file of a tree, and one that goes as a body that is read again to be sent.
SMALL, LARGE = 5_000, 3_500_000
FAR = 60.0  # seconds: longer than any test waits


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def file(w: World, size: int) -> Path:
    """The file `x`, alone in a directory, older than any object."""
    (w.home / "src").mkdir()
    source = w.file(size, "src/x")
    os.utime(source, (OLD, OLD))
    return source


def stored(w: World) -> bytes | None:
    """What a reader of the name gets; None for nothing."""
    return w.oci.read_object("backups", "x") if "x" in w.oci.object_names("backups") else None


def plan(w: World, step: str, size: int, *, listing: str) -> Fault:
    """One bit of each PutObject turns over, and the service waits at the step to kill at."""
    faults = w.oci.faults
    if step == "before the request":
        return faults.add(Fault(operation=listing, stall_seconds=FAR))
    if step == "mid-body":
        half = size // 2
        return faults.add(
            Fault(
                operation="PutObject",
                corrupt_at_byte=half - 1,
                stall_at_byte=half,
                stall_seconds=FAR,
            )
        )
    if step == "before the answer":
        last = size - 1
        return faults.add(Fault(operation="PutObject", corrupt_at_byte=last, stall_seconds=FAR))
    return faults.add(
        Fault(operation="PutObject", corrupt=True),
        Fault(operation="PutObject", after=1, stall_at_byte=0, stall_seconds=FAR),
    )


STEPS = ["before the request", "mid-body", "before the answer", "after the answer"]


def killed_at(w: World, fault: Fault, process: "subprocess.Popen[str]") -> None:
    """Kill -9 once the fault has happened; what the service had to say of damage is a refusal."""
    deadline = time.monotonic() + 50
    while not fault.fired:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)  # another process: there is nothing else to wait on
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    puts: list[LogEntry] = w.oci.log.entries(operation="PutObject")
    assert all(entry.status in {None, 400} for entry in puts), "nothing was stored"
    w.oci.faults.clear()


def put(w: World, source: Path, *options: str) -> tuple[str, ...]:
    receipt = ("--receipt", str(w.home / "r.json"))
    return command("put", "--file", str(source), "--name", "x", *receipt, *options)


def is_verified(w: World) -> bool:
    ran = w.run("verify", str(w.home / "r.json"), "--auth", "security_token")
    return ran.code == 0 and json.loads(ran.out)["verified"] is True


def fetched(w: World) -> bytes:
    target = w.home / "back"
    ran = run(w, "get", "--name", "x", "--file", str(target))
    assert ran.code == 0, ran.err
    return target.read_bytes()


# Killed


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_finding_a01_a_put_that_is_damaged_and_killed_leaves_the_old_object(
    w: World, step: str
) -> None:
    source, old = file(w, LARGE), os.urandom(LARGE)
    w.oci.put_object("backups", "x", old, algorithm="CRC32C")
    if step == "before the request":
        fault = plan(w, step, LARGE, listing="GetNamespace")
        asked = (each for each in put(w, source, "--force") if each not in {"--namespace", "ns1"})
        process = w.start(*asked)
    else:
        fault = plan(w, step, LARGE, listing="")
        process = w.start(*put(w, source, "--force"))
    killed_at(w, fault, process)
    assert stored(w) == old
    ran = run(w, "put", "--file", str(source), "--name", "x", "--no-overwrite")
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == old, "what is there is good, and is kept"
    ran_again = w.run(*put(w, source, "--force"))
    assert ran_again.code == 0, ran_again.err
    assert stored(w) == fetched(w) == source.read_bytes()
    assert is_verified(w)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_finding_a01_a_first_put_that_is_damaged_and_killed_leaves_nothing(
    w: World, step: str
) -> None:
    source = file(w, LARGE)
    fault = plan(w, step, LARGE, listing="HeadObject")
    killed_at(w, fault, w.start(*put(w, source, "--no-overwrite")))
    assert stored(w) is None
    ran = w.run(*put(w, source, "--no-overwrite"))
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == source.read_bytes()
    assert is_verified(w)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS[1:])
def test_finding_a01_a_pipe_that_is_damaged_and_killed_leaves_the_old_object(
    w: World, step: str
) -> None:
    source, old, pipe = file(w, LARGE), os.urandom(LARGE), w.home / "pipe"
    w.oci.put_object("backups", "x", old, algorithm="CRC32C")
    os.mkfifo(pipe)

    def pour() -> None:
        with pipe.open("wb") as end:
            end.write(source.read_bytes())

    writer = threading.Thread(target=pour)
    writer.start()
    fault = plan(w, step, LARGE, listing="")
    killed_at(w, fault, w.start(*put(w, pipe, "--force")))
    writer.join()
    assert stored(w) == old
    writer = threading.Thread(target=pour)
    writer.start()
    ran = w.run(*put(w, pipe, "--force"))
    writer.join()
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == source.read_bytes()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("there", [False, True], ids=["fresh", "replacing"])
def test_finding_a01_a_sync_that_is_damaged_and_killed_is_mended_by_the_next(
    w: World, size: int, step: str, there: bool
) -> None:
    source, old = file(w, size), os.urandom(size - 1) if there else None
    if old is not None:
        w.oci.put_object("backups", "x", old)
    fault = plan(w, step, size, listing="ListObjects")
    sync = command("sync", "--src-dir", str(source.parent))
    killed_at(w, fault, w.start(*sync))
    assert stored(w) == old
    ran = run(w, "sync", "--src-dir", str(source.parent))
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == source.read_bytes()
    ran = run(w, "sync", "--src-dir", str(source.parent))
    assert ran.json["skipped-objects"] == ["x"]


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("step", STEPS[2:])
def test_finding_a01_a_bulk_upload_that_is_damaged_and_killed_is_mended_by_the_next(
    w: World, size: int, step: str
) -> None:
    source, old = file(w, size), os.urandom(size)
    w.oci.put_object("backups", "x", old)
    fault = plan(w, step, size, listing="")
    bulk = ("bulk-upload", "--src-dir", str(source.parent))
    killed_at(w, fault, w.start(*command(*bulk, "--overwrite")))
    assert stored(w) == old
    ran = run(w, *bulk, "--no-overwrite")
    assert (ran.code, stored(w)) == (0, old)
    ran = run(w, *bulk, "--overwrite")
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == source.read_bytes()


@pytest.mark.slow
def test_finding_a01_a_part_that_is_damaged_and_killed_costs_the_resume_nothing_else(
    w: World,
) -> None:
    source, old = file(w, 3 * PART + 7), os.urandom(100)
    w.oci.put_object("backups", "x", old)
    w.oci.faults.add(Fault(operation="UploadPart", part_number=2, corrupt=True))
    stall = Fault(
        operation="UploadPart", part_number=2, after=1, stall_at_byte=MIB, stall_seconds=FAR
    )
    fault = w.oci.faults.add(stall)
    options = ("--part-size", "10", "--parallel-upload-count", "1", "--force")
    process = w.start(*put(w, source, *options))
    killed_at(w, fault, process)
    assert stored(w) == old
    ran = w.run(*put(w, source, *options))
    assert ran.code == 0, ran.err
    assert stored(w) == fetched(w) == source.read_bytes()
    sent = [entry.part_number for entry in w.oci.log.entries(operation="UploadPart", status=200)]
    assert sorted(number or 0 for number in sent) == [1, 2, 2, 3, 4], "part 1 was not sent again"
    assert is_verified(w)


# Damaged to the end


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("way", ["put", "pipe", "sync", "bulk-upload"])
def test_finding_a01_damage_that_does_not_stop_leaves_the_old_object_on_each_way(
    w: World, size: int, way: str
) -> None:
    source, old = file(w, size), os.urandom(size - 1)
    w.oci.put_object("backups", "x", old)
    fault = w.oci.faults.add(
        Fault(operation="PutObject", corrupt_at_byte=size // 3, times=MOST_SENDS)
    )
    directory = ("--src-dir", str(source.parent))
    words: dict[str, tuple[str, ...]] = {
        "put": ("put", "--file", str(source), "--name", "x", "--force"),
        "pipe": ("put", "--file", str(w.home / "pipe"), "--name", "x", "--force"),
        "sync": ("sync", *directory),
        "bulk-upload": ("bulk-upload", *directory, "--overwrite"),
    }
    writer = None
    if way == "pipe":
        os.mkfifo(w.home / "pipe")
        writer = threading.Thread(
            target=lambda: (w.home / "pipe").write_bytes(source.read_bytes()), daemon=True
        )
        writer.start()
    ran = run(w, *words[way])
    if writer is not None:
        writer.join()
    assert ran.code == 1
    assert fault.fired == MOST_SENDS
    assert "arrived damaged 3 times" in ran.err
    assert "what the name held before is untouched" in ran.err
    assert stored(w) == fetched(w) == old
    w.oci.faults.clear()
    if way != "pipe":
        ran = run(w, *words[way])
        assert ran.code == 0, ran.err
        assert stored(w) == source.read_bytes()


def test_finding_a01_each_object_of_a_tree_tells_its_checksum_beforehand(w: World) -> None:
    source = file(w, LARGE)
    for name, size in (("empty", 0), ("small", 1), ("d/middle", MIB), ("e/larger", MIB + 1)):
        (source.parent / name).parent.mkdir(exist_ok=True)
        w.file(size, f"src/{name}")
    (source.parent / "nothing in it").mkdir()
    ran = run(w, "sync", "--src-dir", str(source.parent))
    assert ran.code == 0, ran.err
    entries = w.oci.log.entries(operation="PutObject")
    assert len(entries) == 6
    for entry in entries:
        name = entry.path.partition("/o/")[2].replace("%2F", "/").replace("%20", " ")
        told = w.oci.object_info("backups", name).headers["opc-content-crc32c"]
        assert entry.headers["opc-content-crc32c"] == told


# Met again


def upload_with(w: World, source: Path, act: Callable[[], None], mode: SyncMode) -> Results:
    """A run over the tree that acts when the list of objects has come."""
    acted = threading.Event()

    def listen(event: Event) -> None:
        is_list = isinstance(event, AttemptFinished) and event.operation == "ListObjects"
        if is_list and not acted.is_set():
            acted.set()
            act()

    tell = audience(w.heard, listen)
    results = Results()
    with Client(w.settings(), listener=tell, cancel=w.stop) as client:
        work = DirectoryContext(client.storage, results, tell, w.stop, directory=w.home / "state")
        request = DirectoryUpload(root=str(source.parent), each=w.request(source), mode=mode)
        upload_all(request, work)
    assert acted.is_set()
    return results


@pytest.mark.slow
@pytest.mark.parametrize("mode", [SyncMode.SYNC, SyncMode.KEEP, SyncMode.ASK])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_finding_a13_what_a_killed_run_had_in_flight_is_no_conflict_for_the_next(
    w: World, size: int, mode: SyncMode
) -> None:
    """The body is there, the process is not; the object appears after the next run has listed."""
    source = file(w, size)
    flight = {"stall_at_byte": size, "stall_seconds": 4.0}
    fault = w.oci.faults.add(Fault(operation="PutObject", **flight))  # type: ignore[arg-type]  # by name
    killed_at(w, fault, w.start(*command("sync", "--src-dir", str(source.parent))))
    assert stored(w) is None

    def landed() -> None:
        deadline = time.monotonic() + 50
        while stored(w) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the emulator stores it when its stall is over

    with upload_with(w, source, landed, mode) as results:
        assert list(results.items(FAILED)) == []
        assert [name for name, _ in results.items(UPLOADED)] == ["x"]
    assert stored(w) == source.read_bytes()
    assert [entry.status for entry in w.oci.log.entries(operation="PutObject")][-1] == 412


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("theirs", [False, True], ids=["the same", "another"])
def test_finding_a13_an_object_that_is_replaced_after_the_list_is_compared(
    w: World, size: int, theirs: bool
) -> None:
    source = file(w, size)
    w.oci.put_object("backups", "x", b"of another size")
    other = os.urandom(size) if theirs else source.read_bytes()

    def replace() -> None:
        w.oci.put_object("backups", "x", other)

    with upload_with(w, source, replace, SyncMode.SYNC) as results:
        failed = dict(results.items(FAILED))
        assert ("412" in str(failed.get("x"))) is theirs
        assert len(failed) == theirs
    assert stored(w) == other


@pytest.mark.slow
def test_finding_a13_a_commit_that_a_killed_run_had_in_flight_is_no_failure_of_the_next(
    w: World,
) -> None:
    """The upload is open when the next run looks, and an object when it commits."""
    source = file(w, 2 * PART)
    w.oci.faults.add(Fault(operation="CommitMultipartUpload", stall_at_byte=1, stall_seconds=4.0))
    (fault,) = w.oci.faults.unfired()
    killed_at(w, fault, w.start(*put(w, source, "--part-size", "10", "--force")))
    assert stored(w) is None

    lists = 0

    def landed(event: Event) -> None:
        nonlocal lists
        is_list = "ListMultipartUploadParts" in str(event) and isinstance(event, AttemptFinished)
        lists += is_list
        deadline = time.monotonic() + 50
        while is_list and lists == 2 and stored(w) is None:  # the last one before the commit
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the emulator commits when its stall is over

    tell = audience(w.heard, landed)
    settings = w.settings()
    with (
        Client(settings, listener=tell, cancel=w.stop) as client,
        Journal(w.home / "state") as journal,
    ):
        result = upload(
            client.storage,
            w.request(source, name="x"),
            listener=tell,
            stop=w.stop,
            journal=journal,
        )
    assert stored(w) == source.read_bytes()
    assert result.bytes_sent == 0
    (entry,) = w.oci.log.entries(operation="CommitMultipartUpload", status=404)
    assert entry.finished_at
