"""Small files and objects where things happen under one's hands."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import crc32c
import pytest

from ocihaul.directories.file_sender import SMALL, SmallFiles
from ocihaul.errors import (
    LocalFileError,
    SourceChangedError,
    SourceError,
)
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import checksum
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.transport.message import Answer
from tests.support import write_small


class Service:
    """Stores what it gets; `during` is called with the number of each request, from 1."""

    def __init__(self, during: Callable[[int], None] = lambda _: None) -> None:
        self.during = during
        self.bodies: list[bytes] = []
        self.conditions: list[dict[str, str]] = []

    def put_object(self, _ns: str, _bucket: str, _name: str, data: bytes, headers: Any) -> Answer:
        self.bodies.append(data)
        self.conditions.append({name: v for name, v in headers.items() if name.startswith("if-")})
        self.during(len(self.bodies))
        value = checksum.encoded(crc32c.crc32c(data).to_bytes(4))
        told = {"etag": f"e{len(self.bodies)}", "opc-content-crc32c": value}
        return Answer(200, told, b"", len(data))


def put(service: Service, path: Path) -> Any:
    request = UploadRequest(source=path, namespace="ns", bucket="b", name="-")
    files = SmallFiles(cast("StorageClient", service), request)
    return files.put(str(path), "x", {"if-none-match": "*"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x"
    path.write_bytes(b"first")
    return path


def test_a_file_that_changes_while_it_is_sent_is_sent_again(path: Path) -> None:
    """Weakness 28."""

    def during(number: int) -> None:
        if number == 1:
            path.write_bytes(b"second, longer")

    service = Service(during)
    assert put(service, path)["etag"] == "e2"
    assert service.bodies == [b"first", b"second, longer"]
    assert service.conditions == [{"if-none-match": "*"}, {"if-match": "e1"}]


def test_a_file_that_never_rests_is_told(path: Path) -> None:
    def during(number: int) -> None:
        path.write_bytes(b"x" * number)

    service = Service(during)
    with pytest.raises(SourceChangedError, match="each time"):
        put(service, path)
    assert len(service.bodies) == 3


def test_a_file_that_changes_while_it_is_read_stores_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, size = os.read, 5

    def read(file: int, count: int) -> bytes:
        nonlocal size
        size += 1
        path.write_bytes(b"x" * size)
        return real(file, count)

    monkeypatch.setattr(os, "read", read)
    service = Service()
    with pytest.raises(SourceChangedError, match="Nothing was stored"):
        put(service, path)
    assert not service.bodies


def test_a_file_that_has_become_large_a_pipe_or_nothing_is_told(path: Path) -> None:
    service = Service()
    with path.open("wb") as file:
        file.truncate(2 * SMALL + 1)
    with pytest.raises(SourceChangedError):
        put(service, path)
    path.unlink()
    with pytest.raises(SourceError, match="still there"):
        put(service, path)
    os.mkfifo(path)
    with pytest.raises(SourceError):  # and does not wait for a writer
        put(service, path)
    assert not service.bodies


def test_a_disk_that_cannot_be_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(SourceError, match="Input/output error"):
        put(Service(), path)


@pytest.mark.parametrize("size", [0, 1, 65_536, SMALL])
def test_every_size_goes_whole(path: Path, size: int) -> None:
    path.write_bytes(os.urandom(size))
    service = Service()
    put(service, path)
    assert service.bodies == [path.read_bytes()]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LocalFileError, match="No space left"):
        write_small(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"first"
    assert [each.name for each in path.parent.iterdir()] == ["x"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_takes_files(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    write_small(path, b"new")
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == ["x"]


def test_a_temporary_file_in_another_process_hands_is_left_alone(path: Path) -> None:
    name = hashlib.sha256(b"x").hexdigest()[:16]
    temporary = path.with_name(f".{name}.ocihaul")
    with temporary.open("wb") as other:
        other.write(b"half")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LocalFileError, match="another process downloads"):
            write_small(path, b"new")
    assert (path.read_bytes(), temporary.read_bytes()) == (b"first", b"half")
