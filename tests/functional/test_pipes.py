"""`… | ocihaul os object put --file -`: the real command, fed by the test."""

import base64
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.unit.transfer.receipts.test_receipt import check_schema
from tests.world import MIB, Ran, World, world

PART = 10 * MIB


def pipe(*args: str) -> tuple[str, ...]:
    """A command that reads stdin, in parts of 10 MiB."""
    return (
        *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", "-", "--name", "dump"),
        *("--auth", "security_token", "--part-size", "10", "--session-wait", "0", *args),
    )


def start(w: World, *command: str, stdin: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "ocihaul", *command],
        env=w.environ(),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


def push(process: "subprocess.Popen[bytes]", block: bytes) -> None:
    """Write one block; the pipe holds us up as long as the command reads nothing."""
    assert process.stdin is not None
    left = memoryview(block)
    while left:
        left = left[process.stdin.write(left) :]


def feed(process: "subprocess.Popen[bytes]", blocks: Iterable[bytes]) -> str:
    """Write all of it and close; returns the SHA-256 of what was taken."""
    running = hashlib.sha256()
    assert process.stdin is not None
    try:
        for block in blocks:
            push(process, block)
            running.update(block)
    except BrokenPipeError:
        pass  # the command has ended, as it may
    process.stdin.close()
    process.stdin = None
    return running.hexdigest()


def finish(w: World, process: "subprocess.Popen[bytes]") -> Ran:
    if process.stdin is not None:
        process.stdin.close()
        process.stdin = None
    out, err = process.communicate(timeout=60)
    return w.checked(Ran(process.returncode, out.decode(), err.decode()))


def stream(size: int, *, pause: float = 0.0) -> Iterator[bytes]:
    """Bytes of which no two MiB are alike."""
    for number in range(-(-size // MIB)):
        block = hashlib.sha256(number.to_bytes(8)).digest() * (MIB // 32)
        yield block[: size - number * MIB]
        if pause:
            time.sleep(pause)  # the producer's own pace


def run(w: World, size: int, *args: str) -> tuple[Ran, str]:
    process = start(w, *pipe(*args))
    digest = feed(process, stream(size))
    return finish(w, process), digest


def nothing_is_left(w: World) -> bool:
    return w.oci.object_names("backups") == [] and w.oci.uploads("backups") == []


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["256M", "0"], ids=["memory", "spool"])
def test_parts_that_were_refused_cut_or_damaged_are_sent_again(tmp_path: Path, limit: str) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(
            Fault(operation="UploadPart", part_number=1, status=401, early_at_byte=3 * MIB),
            Fault(operation="UploadPart", part_number=2, status=503),
            Fault(operation="UploadPart", part_number=3, cut_at_byte=5 * MIB),
            Fault(operation="UploadPart", part_number=4, corrupt=True),
            Fault(operation="CommitMultipartUpload", cut_before_answer=True),
        )
        ran, digest = run(w, 45 * MIB, "--memory-limit", limit, "--verify-checksum")
        assert ran.code == 0, ran.err
        w.oci.faults.assert_all_fired()
        assert w.oci.object_digest("backups", "dump") == digest
        assert "md5 checksum matches" in ran.err
        assert "opc-multipart-md5" in ran.out


@pytest.mark.slow
def test_a_slow_producer_outlives_its_tokens(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, integer_claims=False) as w:
        w.log_in()
        process = start(w, *pipe())
        digest = feed(process, until_refreshed(w, 6))
        ran = finish(w, process)
        assert ran.code == 0, ran.err
        assert w.oci.object_digest("backups", "dump") == digest
        assert w.oci.log.count(operation="UploadPart", status=200) >= 4


def until_refreshed(w: World, times: int) -> Iterator[bytes]:
    """A producer that gives little until the token has been refreshed so often."""
    yield from stream(32 * MIB, pause=0.05)
    deadline = time.monotonic() + 60
    while w.refreshes() < times and time.monotonic() < deadline:
        yield b"."
        time.sleep(0.1)
    yield from stream(10 * MIB)


def heard(process: "subprocess.Popen[bytes]", words: bytes) -> bytes:
    """What the command said on stderr until these words came."""
    assert process.stderr is not None
    said = b""
    while words not in said:
        line = process.stderr.readline()
        assert line, said.decode()
        said += line
    return said


@pytest.mark.slow
def test_a_session_that_parks_holds_the_producer_up_and_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        process = start(w, *pipe("--session-wait", "60", "--memory-limit", "20M"))
        digests: list[str] = []
        feeding = threading.Thread(
            target=lambda: digests.append(feed(process, stream(160 * MIB, pause=0.01)))
        )
        feeding.start()
        said = heard(process, b"Upload ID")
        w.oci.revoke_all()
        said += heard(process, b"Waiting for a new login")
        feeding.join(1)
        assert feeding.is_alive(), "ten parts wait, the rest is held up"
        w.log_in()
        feeding.join(30)
        ran = finish(w, process)
        assert ran.code == 0, said.decode() + ran.err
        assert w.oci.object_digest("backups", "dump") == digests[0]


def test_a_small_stream_is_one_put_and_an_empty_one_that_was_expected_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for size in (0, 3 * MIB):
            ran, digest = run(w, size, "--force", "--expected-size", str(size))
            assert ran.code == 0, ran.err
            assert w.oci.object_digest("backups", "dump") == digest
        assert w.oci.log.count(operation="CreateMultipartUpload") == 0


def test_a_producer_that_says_nothing_does_not_replace_a_backup(tmp_path: Path) -> None:
    """It has failed at once, most likely, and without pipefail nobody hears of it."""
    with world(tmp_path) as w:
        w.oci.put_object("backups", "dump", b"yesterday's")
        ran, _ = run(w, 0, "--force")
        assert ran.code == 1
        assert "the stream ended without a single byte" in ran.err
        assert "--expected-size 0" in ran.err
        assert w.oci.read_object("backups", "dump") == b"yesterday's"
        assert w.oci.log.count(operation="PutObject") == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [1000, 25 * MIB], ids=["one piece", "parts"])
def test_a_pipe_has_a_receipt_that_names_no_file_and_is_verified_by_the_object(
    tmp_path: Path, size: int
) -> None:
    with world(tmp_path) as w:
        place = tmp_path / "dump.receipt"
        ran, digest = run(w, size, "--receipt", str(place), "--verify-checksum")
        assert ran.code == 0, ran.err
        document = json.loads(place.read_text())
        check_schema(document)
        nothing = {"path": None, "mtime-ns": None, "inode": None, "device": None}
        assert document["source"] == nothing | {"size": size}
        assert [part["size"] for part in document["parts"]] == [
            min(PART, size - start) for start in range(0, size, PART)
        ]
        stored = w.oci.object_info("backups", "dump")
        assert document["target"]["etag"] == stored.etag
        assert document["whole"]["crc32c"] == base64.b64encode(stored.crc32c.to_bytes(4)).decode()

        verify = ("verify", str(place), "--auth", "security_token")
        before = len(w.oci.log.entries())
        good = w.run(*verify, "--no-file")
        assert good.code == 0, good.err
        verdict = json.loads(good.out)
        assert verdict["verified"] is True
        assert {"etag", "size", "opc-content-crc32c"} <= set(verdict["object"]["compared"])
        asked = [entry.operation for entry in w.oci.log.entries()[before:]]
        assert asked == ["HeadObject"]
        unnamed = w.run(*verify)
        assert unnamed.code == 2
        assert "--file" in unnamed.err
        assert len(w.oci.log.entries()) == before + 1, "that is known without asking"
        copy = tmp_path / "copy"
        copy.write_bytes(w.oci.read_object("backups", "dump"))
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == digest
        assert w.run(*verify, "--file", str(copy)).code == 0

        w.oci.put_object("backups", "dump", b"another")
        bad = w.run(*verify, "--no-file")
        assert (bad.code, json.loads(bad.out)["verified"]) == (1, False)


@pytest.mark.parametrize("existing", [(), ("--no-overwrite",)], ids=["ask", "keep"])
def test_an_object_that_is_there_is_told_before_a_byte_is_read(
    tmp_path: Path, existing: tuple[str, ...]
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "dump", b"precious")
        process = start(w, *pipe(*existing))  # and nothing is written, nothing closed
        process.wait(30)
        ran = finish(w, process)
        assert ran.code == (0 if existing else 1)
        assert ("not overwritten" if existing else "--force") in ran.err
        assert w.oci.read_object("backups", "dump") == b"precious"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--expected-size", str(35 * MIB)), "ended after 26214400 bytes"),
        (("--expected-size", str(22 * MIB)), "more than the 23068672 bytes"),
        (("--expected-sha256", "0" * 64), f"({'0' * 64}) as expected"),
    ],
)
def test_a_producer_that_fails_leaves_nothing(
    tmp_path: Path, args: tuple[str, ...], text: str
) -> None:
    with world(tmp_path) as w:
        ran, _ = run(w, 25 * MIB, *args)
        assert ran.code == 1
        assert text in ran.err
        assert "nothing was stored as 'dump'" in ran.err
        assert "run the whole pipeline again" in ran.err
        assert nothing_is_left(w)
        assert w.oci.log.count(operation="CreateMultipartUpload") == 1
        assert run(w, 25 * MIB, "--expected-size", "25M")[0].code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_the_producer_is_silent_drops_the_upload(
    tmp_path: Path, number: int
) -> None:
    with world(tmp_path) as w:
        process = start(w, *pipe())
        for block in stream(15 * MIB):
            push(process, block)
        w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart", timeout=30)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(30)
        assert time.monotonic() - began < 10
        ran = finish(w, process)
        assert ran.code == 130, ran.err
        assert "nothing was stored" in ran.err
        assert nothing_is_left(w)


@pytest.mark.slow
def test_a_stop_while_the_session_is_parked_is_heard_and_says_what_is_left(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        process = start(w, *pipe("--session-wait", "60"))
        for block in stream(15 * MIB):
            push(process, block)
        heard(process, b"Upload ID")
        w.oci.revoke_all()
        for block in stream(10 * MIB):
            push(process, block)
        heard(process, b"Waiting for a new login")
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        process.wait(30)
        assert time.monotonic() - began < 15
        ran = finish(w, process)
        assert ran.code == 130, ran.err
        (left,) = w.oci.uploads("backups")
        assert f"--upload-id {left.upload_id}" in ran.err


def test_an_upload_that_cannot_be_dropped_is_named(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="AbortMultipartUpload", status=403))
        ran, _ = run(w, 15 * MIB, "--expected-size", "20M")
        w.oci.faults.assert_all_fired()
        (left,) = w.oci.uploads("backups")
        assert ran.code == 1
        assert f"-on dump --upload-id {left.upload_id}" in ran.err


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_is_on_disk_after_a_kill_and_the_next_run_drops_the_upload(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    args = ("--spool-dir", str(spool), "--memory-limit", "0")
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", stall_seconds=30.0, times=None))
        process = start(w, *pipe(*args))
        for block in stream(25 * MIB):
            push(process, block)
        w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload", timeout=30)
        held = [str(fd.readlink()) for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert any(name.startswith(str(spool)) for name in held), "the spool is used"
        assert list(spool.iterdir()) == [], "without a name from birth on"
        process.kill()
        process.wait(10)
        finish(w, process)
        assert list(spool.iterdir()) == []
        (left,) = w.oci.uploads("backups")
        w.oci.faults.clear()
        ran, digest = run(w, 25 * MIB, *args)
        assert ran.code == 0, ran.err
        assert f"Dropping upload {left.upload_id}" in ran.err
        assert w.oci.uploads("backups") == []
        assert w.oci.object_digest("backups", "dump") == digest


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_spool_without_room_is_a_clear_error_and_drops_the_upload(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with world(tmp_path) as w:
        process = start(w, *pipe("--memory-limit", "10M", "--spool-dir", str(spool)))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
        w.oci.configure(bandwidth=5 * MIB)
        feed(process, stream(40 * MIB))
        ran = finish(w, process)
        assert ran.code == 1, ran.err
        assert f"the spool directory {spool} cannot keep a part: File too large" in ran.err
        assert "--spool-dir" in ran.err
        assert nothing_is_left(w)


def test_a_named_pipe_waits_for_its_writer_and_names_the_object(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        fifo = tmp_path / "dump.sql"
        os.mkfifo(fifo)
        command = ("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(fifo))
        process = start(w, *command, "--auth", "security_token", stdin=subprocess.DEVNULL)
        w.oci.log.wait_for(lambda entry: entry.operation == "HeadObject", timeout=30)
        with fifo.open("wb") as writer:
            writer.write(b"select 1;")
        ran = finish(w, process)
        assert ran.code == 0, ran.err
        assert w.oci.read_object("backups", "dump.sql") == b"select 1;"


def test_a_stdin_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for_writing = os.open(os.devnull, os.O_WRONLY)
        ran = finish(w, start(w, *pipe(), stdin=for_writing))
        os.close(for_writing)
        assert ran.code == 1
        assert "the stream cannot be read: Bad file descriptor" in ran.err
        assert nothing_is_left(w)


_MEASURED = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the kernel's own figure needs wait4")
def test_memory_stays_below_its_limit_whatever_the_parts_are(tmp_path: Path) -> None:
    """Ten parts of 40 MiB in flight: 400 MiB are kept, 64 MiB of them in memory."""
    with world(tmp_path, bandwidth=100 * MIB, discard=True, fast=True) as w:
        command = (*pipe("--memory-limit", "64M"), "--part-size", "40")
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _MEASURED, str(tmp_path / "peak")),
                *(sys.executable, "-m", "ocihaul", *command),
            ],
            env=w.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        feed(process, stream(500 * MIB))
        ran = finish(w, process)
        assert ran.code == 0, ran.err
        peak = int((tmp_path / "peak").read_text()) * (1 if sys.platform == "darwin" else 1024)
        assert peak < (64 + 80) * MIB, f"{peak / MIB:.0f} MiB"
