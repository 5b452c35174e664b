"""A disk, a person, the service: each fails half-way, says so, and costs no finished part."""

import errno
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from ocihaul.errors import ServiceError, SourceError, UploadStopped
from ocihaul.events import Event, PartFinished
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.uploads.upload import upload
from tests.scenarios.test_resume import again, notices, parts_stored
from tests.world import MIB, PART, world


def test_a_source_that_fails_half_way_is_gone_on_with_when_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv
    bad = 3 * PART + 7 * MIB

    with world(tmp_path) as w:
        source = w.file(6 * PART)

        def failing(descriptor: int, buffers: list[memoryview], offset: int) -> int:
            ours = Path(f"/proc/self/fd/{descriptor}").resolve() == source
            if ours and offset <= bad < offset + len(buffers[0]):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor, buffers, offset)

        with monkeypatch.context() as spoilt:
            spoilt.setattr(os, "preadv", failing)
            with pytest.raises(UploadStopped, match="not complete") as caught:
                again(w, source, parallel=1)
        cause = caught.value.__cause__
        assert isinstance(cause, SourceError)
        assert "Input/output error" in str(cause)
        assert str(source) in str(cause)
        assert caught.value.resumable
        assert "run again" in str(caught.value)
        again(w, source)
        assert w.arrived_whole(source)
        stored = parts_stored(w)
        assert sorted(stored) == [1, 2, 3, 4, 5, 6], "each part once"


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
        with pytest.raises(UploadStopped) as caught:
            upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        assert isinstance(caught.value.__cause__, ServiceError)
        assert caught.value.__cause__.status == 404
        assert "no longer knows upload" in str(caught.value)
        upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
        assert "beginning anew" in notices(w)
        assert w.arrived_whole(source)
        assert w.oci.uploads("backups") == []
