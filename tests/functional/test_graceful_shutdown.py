"""A disk, a person, the service: each fails half-way, says so, and costs no finished part."""

import errno
import json
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from ocihaul.errors import ServiceError, SourceError, UploadIncompleteError
from ocihaul.events import Event, PartFinished
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.upload import upload
from tests.functional.directories import command, make
from tests.functional.test_resume import again, notices, parts_stored
from tests.world import MIB, PART, World, world


@pytest.mark.parametrize(
    ("bad", "kept"),
    [
        (3 * PART + 7 * MIB, "3 of its 6 parts are finished and kept: "),
        (7 * MIB, "None of its parts is finished: "),
    ],
)
def test_finding_d02_a_source_that_fails_half_way_is_gone_on_with_when_it_can_be_read(
    bad: int, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv

    with world(tmp_path) as w:
        source = w.file(6 * PART)

        def failing(descriptor: int, buffers: list[memoryview], offset: int) -> int:
            ours = Path(f"/proc/self/fd/{descriptor}").resolve() == source
            if ours and offset <= bad < offset + len(buffers[0]):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor, buffers, offset)

        with monkeypatch.context() as spoilt:
            spoilt.setattr(os, "preadv", failing)
            with pytest.raises(UploadIncompleteError, match="not complete") as caught:
                again(w, source, parallel=1)
        cause = caught.value.__cause__
        assert isinstance(cause, SourceError)
        assert "Input/output error" in str(cause)
        assert str(source) in str(cause)
        assert caught.value.resumable
        assert f"{kept}the same command, run again, " in str(caught.value)
        again(w, source)
        assert w.arrived_whole(source)
        stored = parts_stored(w)
        assert sorted(stored) == [1, 2, 3, 4, 5, 6], "each part once"


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_journal_that_cannot_grow_costs_the_commands_memory_alone(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=60 * MIB) as w:
        source = w.file(6 * PART)
        process = w.start(*w.put(source, "--parallel-upload-count", "1"))
        w.oci.log.wait_for(lambda entry: entry.operation == "UploadPart", timeout=30)
        wal = w.home / "state" / "journal.sqlite3-wal"
        size = wal.stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        ran = w.finish(process)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert "nothing can be remembered: the journal in" in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.slow
def test_a_second_interrupt_ends_it_at_once_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=15 * MIB) as w:
        source = w.file(6 * PART)
        process = w.start(*w.put(source, "--parallel-upload-count", "1"))
        w.oci.log.wait_for(
            lambda entry: entry.operation == "UploadPart" and entry.part_number == 3, timeout=30
        )
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)  # two of them may have become one
            time.sleep(0.01)  # another process: there is nothing else to wait on
        ran = w.finish(process)
        assert ran.code == 130, ran.err
        w.oci.configure(bandwidth=None)
        again_ = w.run(*w.put(source))
        assert again_.code == 0, again_.err
        assert w.arrived_whole(source)
        assert parts_stored(w).count(1) == 1, "what was finished is not sent again"


#: The command, with a disk that hangs for ever at one of its calls, on paths that end like that.
_HANGING = """
import os, pathlib, sys, threading

mark, name, ending, *words = sys.argv[1:]
real = getattr(os, name)


def hanging(what, *more, **named):
    if str(what).endswith(ending):
        pathlib.Path(mark).touch()
        threading.Event().wait()
    return real(what, *more, **named)


setattr(os, name, hanging)

from ocihaul.cli import main

main(words)
"""


def interrupted_twice(w: World, name: str, ending: str, *words: str, requests: int) -> None:
    """The first interrupt cannot end a command that hangs; the second one does.

    They come when it hangs and has moved as many objects or ranges as `requests`.
    """
    mark = w.home / "it hangs"
    process = w.start_python("-c", _HANGING, str(mark), name, ending, *words)
    deadline = time.monotonic() + 30
    while not mark.exists() or moves(w) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # another process: there is nothing else to wait on
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "it hangs, and has heard one interrupt"
    process.send_signal(signal.SIGINT)
    ran = w.finish(process, timeout=10)
    assert (ran.code, ran.out) == (130, "")
    assert "Traceback" not in ran.err


def moves(w: World) -> int:
    return w.oci.log.count(operation="PutObject") + w.oci.log.count(operation="GetObject")


@pytest.mark.slow
def test_a_second_interrupt_ends_a_sync_that_hangs_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    names = ["a", "d/b", "stuck", "z"]
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *names)
        w.file(2 * MIB, "src/larger")
        sync = command("sync", "--src-dir", str(src))
        interrupted_twice(w, "open", "/stuck", *sync, requests=4)
        there = w.oci.object_names("backups")
        assert "stuck" not in there
        ran = w.run(*sync)
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["skipped-objects"] == there
        assert w.oci.object_names("backups") == sorted([*names, "larger"])
        assert w.oci.log.count(operation="PutObject") == 5, "what was finished is not sent again"
        assert w.arrived_whole(src / "larger")


def test_a_second_interrupt_ends_a_get_that_hangs_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        data = os.urandom(5 * MIB)
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        target = tmp_path / "target"
        interrupted_twice(w, "fsync", "", *w.get("x", target), requests=5)
        assert not target.exists()
        assert w.object_bytes_sent() == 5 * MIB
        ran = w.run(*w.get("x", target))
        assert ran.code == 0, ran.err
        assert target.read_bytes() == data
        assert w.object_bytes_sent() == 5 * MIB, "what is here is not fetched again"
        assert [path.name for path in tmp_path.glob(".*.ocihaul*")] == []


@pytest.mark.slow
def test_a_second_interrupt_ends_a_get_under_way_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, answer_bandwidth=1.0 * MIB) as w:
        data = os.urandom(6 * MIB)
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        target = tmp_path / "target"
        one = ("--parallel-download-count", "1")
        process = w.start(*w.get("x", target, *one))
        deadline = time.monotonic() + 30
        while w.oci.log.count(operation="GetObject") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # as above
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        ran = w.finish(process, timeout=10)
        assert ran.code == 130, ran.err
        assert not target.exists()
        before = w.oci.log.entries()[-1].sequence
        w.oci.configure(answer_bandwidth=None)
        ran = w.run(*w.get("x", target))
        assert ran.code == 0, ran.err
        assert target.read_bytes() == data
        assert w.object_bytes_sent(after=before) <= 4 * MIB, "two ranges were here"


def test_an_upload_that_vanishes_under_a_run_is_said_and_the_next_run_begins_anew(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w, w.storage() as storage, Journal(w.home / "state") as journal:
        source = w.file(4 * PART)
        finished = 0

        def listen(event: Event) -> None:
            nonlocal finished
            w.heard(event)
            finished += isinstance(event, PartFinished)
            if finished == 2 and isinstance(event, PartFinished):
                (left,) = w.oci.uploads("backups")
                storage.abort_multipart_upload(
                    "ns1", "backups", source.name, upload_id=left.upload_id
                )

        request = w.request(source, parallel=1)
        with pytest.raises(UploadIncompleteError) as caught:
            upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        assert isinstance(caught.value.__cause__, ServiceError)
        assert caught.value.__cause__.status == 404
        assert "no longer knows upload" in str(caught.value)
        upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
        assert "beginning anew" in notices(w)
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []
