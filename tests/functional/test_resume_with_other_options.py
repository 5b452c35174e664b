"""The same command, but not quite: what an upload was begun with is fixed at the service."""

from pathlib import Path

import pytest

from ocihaul.errors import SourceError, UsageError
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.multipart import MultipartSession
from ocihaul.transfer.upload.request import IfExists
from tests.functional.test_resume import again, interrupted_after, notices, parts_stored
from tests.world import PART, world


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ({}, {"storage_tier": "Archive"}, "storage tier"),
        ({"storage_tier": "Archive"}, {}, "storage tier"),
        ({"metadata": {"owner": "a"}}, {"metadata": {"owner": "b"}}, "metadata"),
        ({"content_type": "text/plain"}, {"content_type": "text/html"}, "content type"),
        ({}, {"cache_control": "no-store", "content_language": "de"}, "and another content"),
    ],
)
def test_other_attributes_are_refused_and_not_silently_lost(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], word: str
) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2, **first)
        with pytest.raises(UsageError, match=word) as caught:
            again(w, source, **second)
        assert "`restart`" in str(caught.value)
        assert len(w.oci.uploads("backups")[0].parts) == 2, "nothing is lost by asking"
        again(w, source, **first)
        assert w.arrived_whole(source)
        assert len(parts_stored(w)) == 3


def test_restart_takes_the_new_attributes(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2)
        again(w, source, storage_tier="Archive", restart=True)
        assert w.oci.object_info("backups", source.name).storage_tier == "Archive"
        assert w.oci.uploads("backups") == []


class Killed(BaseException):
    """The end of a process, as far as the code can tell."""


def test_an_older_object_with_the_same_bytes_is_not_taken_for_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with world(tmp_path) as w:
        source = w.file(3 * PART)
        w.upload(source)
        older = w.oci.object_info("backups", source.name).etag
        wishes = {"metadata": {"owner": "b"}, "existing": IfExists.REPLACE}
        with monkeypatch.context() as dying:
            dying.setattr(MultipartSession, "commit", die)
            with pytest.raises(Killed):
                again(w, source, **wishes)
        result = again(w, source, **wishes)
        now = w.oci.object_info("backups", source.name)
        assert result.headers["etag"] == now.etag != older
        assert now.metadata["owner"] == "b"
        assert w.oci.uploads("backups") == [], "nothing is left that is billed"
        assert result.bytes_sent == 0
        assert "only its answer was lost" not in notices(w)


def test_another_file_of_the_same_size_and_time_is_told_apart(tmp_path: Path) -> None:
    import os  # noqa: PLC0415  for utime

    with world(tmp_path) as w:
        source = w.file(3 * PART)
        status = source.stat()
        interrupted_after(w, source, 2)
        other = w.file(3 * PART, "other")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(source)
        with pytest.raises(SourceError, match="another file of the same size"):
            again(w, source)


def test_attributes_of_an_upload_that_was_adopted_are_not_known(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 2, storage_tier="Archive")
        (left,) = w.oci.uploads("backups")
        (w.home / "state" / "journal.sqlite3").unlink()
        interrupted_after(w, source, 1, upload_id=left.upload_id)
        with Journal(w.home / "state") as journal:
            (entry,) = journal.entries()
            assert entry.attributes is None
        again(w, source)
        assert w.arrived_whole(source)
