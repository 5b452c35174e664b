"""A request of a run that is gone has its effect late, and replaces a part that was sent again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.client import Client
from ocihaul.emulator import Fault
from ocihaul.errors import UploadIncompleteError
from ocihaul.events import Event, Notice, PartFinished, RetryScheduled, audience
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.request import IfExists
from ocihaul.transfer.upload.upload import upload
from tests.functional.test_resume import again, parts_stored
from tests.functional.test_resume_put import send_part
from tests.world import PART, World, world

PARTS = 4


def uploaded_with_a_late_part(w: World, source: Path, number: int, data: bytes) -> None:
    """When all parts are there, a copy of one of them arrives that holds `data`."""
    finished = 0

    with w.storage() as storage, Journal(w.home / "state") as journal:

        def listen(event: Event) -> None:
            nonlocal finished
            w.heard(event)
            if isinstance(event, PartFinished):
                finished += 1
                if finished == PARTS:
                    (there,) = w.oci.uploads("backups")
                    send_part(
                        storage,
                        source.name,
                        upload_id=there.upload_id,
                        number=number,
                        data=data,
                    )

        request = w.request(source, parallel=1)
        upload(storage, request, listener=listen, stop=w.stop, journal=journal)


@pytest.mark.parametrize("number", [1, 3])
def test_a_late_copy_of_a_part_is_taken_and_nothing_is_sent_again(
    tmp_path: Path, number: int
) -> None:
    with world(tmp_path) as w:
        source = w.file(PARTS * PART)
        data = source.read_bytes()[(number - 1) * PART : number * PART]
        uploaded_with_a_late_part(w, source, number, data)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == sorted([1, 2, 3, 4, number]), "the late one, and no more"
        commits = w.oci.log.entries(operation="CommitMultipartUpload")
        assert [entry.status for entry in commits] == [400, 200]


def other_size(data: bytes) -> bytes:
    return data[:-1]


def other_bytes(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("spoilt", [other_size, other_bytes])
def test_a_late_copy_with_other_bytes_is_never_committed_and_the_next_run_mends_it(
    tmp_path: Path, spoilt: Callable[[bytes], bytes]
) -> None:
    with world(tmp_path) as w:
        source = w.file(PARTS * PART)
        data = spoilt(source.read_bytes()[PART : 2 * PART])
        with pytest.raises(UploadIncompleteError, match="not complete"):
            uploaded_with_a_late_part(w, source, 2, data)
        assert w.oci.object_names("backups") == []
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 2, 2, 3, 4], "only the spoilt part is sent again"


def committed_by_another(w: World, source: Path) -> None:
    """Before the second attempt of the commit the object is there, of the same bytes."""
    fault = w.oci.faults.add(Fault(operation="CommitMultipartUpload", status=503, times=1))

    def commit(event: Event) -> None:
        if isinstance(event, RetryScheduled) and event.operation == "CommitMultipartUpload":
            w.upload(source)

    tell = audience(w.heard, commit)
    with Client(w.settings(), listener=tell, cancel=w.stop) as client:
        request = w.request(source, existing=IfExists.ABSENT)
        upload(client.storage, request, listener=tell, stop=w.stop)
    assert fault.fired == 1
    assert len(w.oci.log.entries(operation="CommitMultipartUpload", status=412)) == 1
    assert w.arrived_whole(source)


def test_finding_a14_an_upload_whose_object_another_one_has_made_is_dropped(tmp_path: Path) -> None:
    """Nothing would know its parts any more, and they are billed."""
    with world(tmp_path, checksums="always") as w:
        committed_by_another(w, w.file(2 * PART))
        assert w.oci.uploads("backups") == []


def test_finding_a14_such_an_upload_is_named_where_it_cannot_be_dropped(tmp_path: Path) -> None:
    with world(tmp_path, checksums="always") as w:
        refused = w.oci.faults.add(
            Fault(operation="AbortMultipartUpload", status=403, code="No", times=None)
        )
        committed_by_another(w, w.file(2 * PART))
        assert refused.fired == 1
        (left,) = w.oci.uploads("backups")
        assert any(left.upload_id in event.text for event in w.heard.of(Notice))
