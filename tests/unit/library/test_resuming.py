"""`ocihaul.upload` goes on where it stopped, with the journal that the command line has."""

import io
import threading
from pathlib import Path

import pytest

import ocihaul
from ocihaul.errors import SourceChangedError, TransferCancelled, TransferInProgressError
from ocihaul.events import Event, Listener, Notice, PartFinished
from ocihaul.transfer import plan
from ocihaul.transfer.journal.journal import Journal, Target
from tests.functional.directories import run
from tests.world import MIB, World

SIZE = 6 * MIB


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the service took parts of 1 MiB."""
    monkeypatch.setattr(plan, "LIMITS", plan.ServiceLimits(smallest_part=MIB))


def stopping_after(parts: int, stop: threading.Event) -> Listener:
    """A listener that has enough after so many parts."""
    finished = 0

    def listen(event: Event) -> None:
        nonlocal finished
        finished += isinstance(event, PartFinished)
        if finished == parts:
            stop.set()

    return listen


def begun(source: Path | io.BytesIO, name: str | None = None, *, resume: bool = True) -> None:
    """An upload that is stopped when three of its six parts are there."""
    stop = threading.Event()
    listener = stopping_after(3, stop)
    with pytest.raises(TransferCancelled):
        ocihaul.upload(
            source,
            "backups",
            name,
            resume=resume,
            listener=listener,
            cancel=stop,
            part_size=MIB,
            parallel=1,
        )


def parts_stored(w: World) -> list[int]:
    return [entry.part_number or 0 for entry in w.oci.log.entries(operation="UploadPart")]


def test_called_again_it_goes_on_and_sends_nothing_twice(here: World) -> None:
    source = here.file(SIZE)
    begun(source)
    assert parts_stored(here) == [1, 2, 3]
    result = ocihaul.upload(source, "backups", part_size=MIB, parallel=1)
    assert parts_stored(here) == [1, 2, 3, 4, 5, 6]
    assert here.part_bytes_received() == SIZE
    assert (result.bytes_sent, result.bytes_resent) == (SIZE // 2, 0)
    assert here.oci.log.count(operation="CreateMultipartUpload") == 1
    assert here.arrived_whole(source)


def test_the_command_goes_on_with_what_the_library_has_begun(here: World) -> None:
    source = here.file(SIZE)
    begun(source)
    ran = run(here, "put", "--file", str(source), "--part-size", "10")
    assert ran.code == 0, ran.err
    assert here.part_bytes_received() == SIZE
    assert here.arrived_whole(source)


def test_another_at_the_same_object_is_not_disturbed(here: World) -> None:
    source = here.file(SIZE)
    target = Target(here.oci.endpoint, here.oci.namespace, "backups", source.name)
    with (
        Journal(here.home / "state") as journal,
        journal.claim(target, wait=0),
        pytest.raises(TransferInProgressError),
    ):
        ocihaul.upload(source, "backups", part_size=MIB, wait=False)
    assert here.oci.log.count(operation="CreateMultipartUpload") == 0


def test_a_source_that_has_changed_is_told_and_begun_anew_when_asked(here: World) -> None:
    source = here.file(SIZE)
    begun(source)
    here.file(SIZE + 1)
    with pytest.raises(SourceChangedError):
        ocihaul.upload(source, "backups", part_size=MIB)
    assert len(parts_stored(here)) == 3
    ocihaul.upload(source, "backups", part_size=MIB, restart=True)
    assert here.arrived_whole(source)
    assert here.oci.uploads("backups") == []


def test_without_resume_there_is_no_journal(here: World) -> None:
    source = here.file(SIZE)
    begun(source, resume=False)
    assert not (here.home / "state").exists()
    begun(source)
    ocihaul.upload(source, "backups", part_size=MIB, parallel=1, resume=False)
    assert parts_stored(here) == [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 5, 6]


def test_without_a_state_directory_it_works_and_says_so(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.home / "in the way").touch()
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(here.home / "in the way" / "state"))
    source = here.file(SIZE)
    ocihaul.upload(source, "backups", part_size=MIB, listener=here.heard)
    assert here.arrived_whole(source)
    told = [event.text for event in here.heard.events if isinstance(event, Notice)]
    (notice,) = [text for text in told if "journal" in text or "anew" in text]
    assert "will begin anew" in notice


def test_a_stream_is_begun_anew_and_leaves_nothing(here: World) -> None:
    content = here.file(SIZE).read_bytes()
    begun(io.BytesIO(content), "backup.tar")
    assert here.oci.uploads("backups") == []
    stream = io.BytesIO(content)
    ocihaul.upload(stream, "backups", "backup.tar", part_size=MIB, parallel=1)
    assert parts_stored(here) == [1, 2, 3, 1, 2, 3, 4, 5, 6]
    assert here.oci.read_object("backups", "backup.tar") == content
