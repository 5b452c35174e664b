"""`uploads`: what was left unfinished is listed, priced, aborted, forgotten, cleaned."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ocihaul.errors import TransferInProgressError
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload import incomplete
from tests.functional.test_resume import interrupted_after
from tests.functional.test_resume_put import begun_elsewhere, slices
from tests.world import MIB, PART, Ran, World, world

DAY = 86400.0


def uploads(w: World, *options: str) -> Ran:
    return w.run("uploads", *options, "--auth", "security_token")


def listed(w: World, *options: str) -> list[Any]:
    ran = uploads(w, *options, "--json")
    assert ran.code == 0, ran.err
    data: list[Any] = json.loads(ran.out)["data"]
    return data


def make_older(w: World, seconds: float) -> None:
    """As if all that was begun up to now had been begun so much earlier."""
    for upload in w.oci.store.bucket(w.oci.namespace, "backups").uploads.values():
        upload.created -= seconds
    path = w.home / "state" / "journal.sqlite3"
    if path.exists():
        database = sqlite3.connect(path)
        with database:
            database.execute("UPDATE uploads SET created_at = created_at - ?", (seconds,))
        database.close()


@pytest.mark.slow
def test_weakness_10_what_was_left_is_listed_with_age_size_and_cost(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ours, theirs = w.file(6 * PART), w.file(3 * PART, "theirs")
        interrupted_after(w, ours, 2)
        make_older(w, 3 * DAY)
        with begun_elsewhere(w, theirs, **slices(theirs, 1)) as upload_id:
            first, second = listed(w, "--price", "0.5")
        assert first["object"] == ours.name
        assert first["source"] == str(ours)
        assert (first["parts"], first["size"]) == (2, 2 * PART)
        assert first["age-seconds"] == pytest.approx(3 * DAY, abs=120)
        assert first["monthly-cost"] == pytest.approx(2 * PART / 1e9 * 0.5)
        assert (first["in-journal"], first["on-server"], first["busy"]) == (True, True, False)
        assert (second["upload-id"], second["in-journal"]) == (upload_id, False)
        assert second["size"] == PART
        people = uploads(w, "--price", "0.5")
        assert "2 unfinished, 30.0 MiB, 0.02 a month at 0.5 per GB" in people.err
        assert "theirs" in people.out
        assert "not in the journal" in people.out


def test_nothing_is_asked_for_the_journals_own_list(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        interrupted_after(w, w.file(4 * PART), 1)
        w.oci.log.clear()
        w.config.unlink()
        (only,) = listed(w, "--local")
        assert (only["parts"], only["on-server"]) == (1, None)
        # A part that was under way at the interrupt may end after the log was cleared.
        asked = {entry.operation for entry in w.oci.log.entries()}
        assert asked <= {"UploadPart"}


@pytest.mark.slow
def test_one_that_the_service_has_forgotten_is_told(tmp_path: Path) -> None:
    with world(tmp_path) as w, w.storage() as storage:
        source = w.file(4 * PART)
        interrupted_after(w, source, 1)
        (left,) = w.oci.uploads("backups")
        storage.abort_multipart_upload("ns1", "backups", source.name, upload_id=left.upload_id)
        (only,) = listed(w)
        assert only["on-server"] is False
        ran = uploads(w, "abort", source.name, "--force")
        assert ran.code == 0, ran.err
        assert listed(w) == []


def test_a_bucket_is_named_or_known(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        theirs = w.file(2 * PART)
        with begun_elsewhere(w, theirs):
            assert listed(w) == []
            assert len(listed(w, "-bn", "backups")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("by", ["name", "id"])
def test_one_is_aborted_by_name_or_id_here_and_there(tmp_path: Path, by: str) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        (left,) = w.oci.uploads("backups")
        which = source.name if by == "name" else left.upload_id
        refused = uploads(w, "abort", which)
        assert refused.code == 2, "nobody to ask"
        assert "--force" in refused.err
        assert len(w.oci.uploads("backups")) == 1
        ran = uploads(w, "abort", which, "--force")
        assert ran.code == 0, ran.err
        assert w.oci.uploads("backups") == []
        assert listed(w, "--local") == []


@pytest.mark.slow
def test_two_of_one_name_have_to_be_told_apart(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 1)
        with begun_elsewhere(w, source) as upload_id:
            ran = uploads(w, "abort", source.name, "--force")
            assert ran.code == 2
            assert upload_id in ran.err
            assert uploads(w, "abort", upload_id, "--force").code == 0
        (left,) = listed(w)
        assert left["in-journal"] is True
        assert uploads(w, "abort", "no such", "--force").code == 2


def test_forgetting_leaves_the_service_as_it_is(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 1)
        w.oci.log.clear()
        ran = uploads(w, "forget", source.name)
        assert ran.code == 0, ran.err
        assert listed(w, "--local") == []
        assert w.oci.log.count() == 0
        assert len(w.oci.uploads("backups")) == 1


@pytest.mark.slow
def test_cleaning_drops_what_is_old_and_ours(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        old, theirs, young = w.file(4 * PART), w.file(2 * PART, "theirs"), w.file(3 * PART, "young")
        interrupted_after(w, old, 1)
        with begun_elsewhere(w, theirs):
            make_older(w, 8 * DAY)
        interrupted_after(w, young, 1)
        ran = uploads(w, "clean", "--older-than", "7d", "--dry-run")
        assert ran.code == 0, ran.err
        assert "would drop" in ran.err
        assert old.name in ran.err
        assert "theirs" not in ran.err
        assert len(w.oci.uploads("backups")) == 3
        assert uploads(w, "clean", "--older-than", "7d").code == 0
        assert {each.object_name for each in w.oci.uploads("backups")} == {"theirs", "young"}
        assert uploads(w, "clean", "--older-than", "7d", "-bn", "backups").code == 0
        assert {each.object_name for each in w.oci.uploads("backups")} == {"young"}
        assert [each["object"] for each in listed(w)] == ["young"]
        ran = uploads(w, "clean", "--older-than", "7d")
        assert "none of 1 is ours and that old" in ran.err
        assert uploads(w, "clean").code == 2
        ran = uploads(w, "clean", "--older-than", "7")
        assert ran.code == 2, "seven seconds are what nobody means"
        assert "has no unit" in ran.err
        assert {each.object_name for each in w.oci.uploads("backups")} == {"young"}
        assert uploads(w, "clean", "--older-than", "old").code == 2


@pytest.mark.slow
def test_what_a_process_is_at_is_left_alone(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=2 * MIB) as w:
        source = w.file(60 * MIB)
        process = w.start(*w.put(source))
        w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload", timeout=30)
        assert "a process is at it" in uploads(w).out
        ran = uploads(w, "clean", "--older-than", "0s")
        assert ran.code == 0, ran.err
        assert "left alone, a process is at it" in ran.err
        ran = uploads(w, "abort", source.name, "--force")
        assert ran.code == 75, ran.err
        assert str(process.pid) in ran.err
        w.oci.configure(bandwidth=None)
        assert w.finish(process).code == 0
        assert w.arrived_whole(source)


def test_the_claim_is_asked_again_when_it_comes_to_dropping(tmp_path: Path) -> None:
    with world(tmp_path) as w, Journal(w.home / "state") as journal, w.storage() as storage:
        source = w.file(4 * PART)
        interrupted_after(w, source, 1)
        (seen,) = incomplete.list_all(journal, storage, incomplete.known_buckets(journal, storage))
        assert not seen.busy
        with journal.claim(seen.target, wait=0), pytest.raises(TransferInProgressError):
            incomplete.abort(seen, journal, storage)
        assert len(w.oci.uploads("backups")) == 1


def test_the_rule_is_ready_to_use(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = w.run("uploads", "rule", "--days", "3", "-bn", "backups", "--region", "fra")
        assert ran.code == 0, ran.err
        assert json.loads(ran.out) == [
            {
                "name": "abort-unfinished-uploads-after-3-days",
                "action": "ABORT",
                "target": "multipart-uploads",
                "timeAmount": 3,
                "timeUnit": "DAYS",
                "isEnabled": True,
            }
        ]
        assert "oci os object-lifecycle-policy put -bn backups --items file://rule.json" in ran.err
        assert "Allow service objectstorage-eu-frankfurt-1 to manage object-family" in ran.err
        assert "replaces all rules" in ran.err
        assert w.oci.log.count() == 0
