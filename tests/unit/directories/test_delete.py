"""Deletions whose requests or directories are not as they should be."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocihaul.directories.delete import delete_files, delete_objects, holds_files
from ocihaul.directories.destination import Destination
from ocihaul.directories.request import DirectoryDownload
from ocihaul.directories.results import DELETED, NOT_DELETED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.errors import LocalFileError
from ocihaul.events import Notice
from ocihaul.storage.client import StorageClient
from tests.support import Recorder

UNREADABLE = PermissionError(13, "Permission denied")


def test_a_batch_without_a_name_that_can_be_sent_is_not_sent() -> None:
    asked: list[Mapping[str, str | None]] = []

    def batch_delete_objects(_: str, __: str, objects: Mapping[str, str | None]) -> Any:
        asked.append(objects)
        return SimpleNamespace(deleted=list(objects), failed=())

    storage = cast("StorageClient", SimpleNamespace(batch_delete_objects=batch_delete_objects))
    with Results() as results:
        work = DirectoryContext(storage, results)
        delete_objects(iter([("odd\udcff", None)]), work, "ns1", "backups", parallel=2)
        assert [name for name, _ in results.items(NOT_DELETED)] == ["odd\\udcff"]
        assert asked == []
        delete_objects(iter([("even", "e1")]), work, "ns1", "backups", parallel=2)
        assert asked == [{"even": "e1"}]
        assert results.has(DELETED, "even")


def test_whether_a_directory_holds_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not holds_files(str(tmp_path / "missing"))
    assert not holds_files(str(tmp_path))
    (tmp_path / "a").touch()
    assert holds_files(str(tmp_path))

    def listdir(path: str) -> list[str]:
        raise UNREADABLE

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(LocalFileError, match="cannot be read: Permission denied") as caught:
        holds_files(str(tmp_path))
    assert "Nothing in it was deleted" in str(caught.value.hint)


def test_a_directory_that_cannot_be_read_is_named_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "inside").touch()
    (tmp_path / "extra").touch()
    real = os.open

    def refusing(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if os.fsencode(path) == b"closed":
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    heard = Recorder()
    request = DirectoryDownload(root=str(tmp_path), namespace="ns1", bucket="backups")
    with Results() as results, Destination(str(tmp_path)) as destination:
        work = DirectoryContext(cast("StorageClient", None), results, heard)
        with work.crew(1):
            pass
        monkeypatch.setattr(os, "open", refusing)
        delete_files(request, work, destination)
    monkeypatch.undo()
    assert (tmp_path / "closed" / "inside").exists()
    assert not (tmp_path / "extra").exists()
    (notice,) = [each.text for each in heard.events if isinstance(each, Notice)]
    assert "the directory closed below" in notice
    assert "Permission denied" in notice
