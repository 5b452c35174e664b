"""Where the whole file is read without being sent: it hears a stop, and sees a change."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from ocihaul.errors import SourceChangedError, TransferCancelled
from ocihaul.events import Event, PartFinished
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.upload import upload
from tests.functional.test_resume import again, interrupted_after
from tests.world import MIB, PART, World, world


class Reading:
    """Counts the bytes that are read, and acts at the first of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, w: World, source: Path) -> None:
        self.count = 0
        self.act = ""
        really = FileSource.read_into

        def read_into(file: FileSource, view: memoryview, offset: int) -> None:
            really(file, view, offset)
            self.count += len(view)
            if self.act == "stop":
                w.stop.set()
            elif self.act == "touch":
                os.utime(source, (1, 1))

        monkeypatch.setattr(FileSource, "read_into", read_into)


def test_a_stop_while_an_announced_checksum_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        value = base64.b64encode(
            hashlib.md5(source.read_bytes(), usedforsecurity=False).digest()
        ).decode()
        reading = Reading(monkeypatch, w, source)
        reading.act = "stop"
        with pytest.raises(TransferCancelled):
            w.upload(source, content_md5=value)
        assert reading.count <= MIB
        assert not w.oci.uploads("backups")
        reading.act = ""
        w.stop.clear()
        w.upload(source, content_md5=value)
        assert w.arrived_whole(source)


@pytest.mark.parametrize("act", ["stop", "touch"])
def test_an_md5_that_an_earlier_run_has_not_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2)
        reading = Reading(monkeypatch, w, source)

        def listen(event: Event) -> None:
            if isinstance(event, PartFinished) and event.part_number == 3:
                reading.act, reading.count = act, 0

        request = w.request(source, verify_checksum=True)
        wanted = {"stop": TransferCancelled, "touch": SourceChangedError}[act]
        with (
            w.storage() as storage,
            Journal(w.home / "state") as journal,
            pytest.raises(wanted),
        ):
            upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        assert reading.count
        assert reading.count <= 2 * MIB or act == "touch"
        assert not w.oci.object_names("backups")
        w.stop.clear()
        reading.act = ""
        assert again(w, source, verify_checksum=True).md5
        assert w.arrived_whole(source)
