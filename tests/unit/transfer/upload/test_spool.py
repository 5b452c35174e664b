"""Room for parts: how much is in memory, what is on disk, and what a full disk does."""

import errno
import os
import stat
import tempfile
from pathlib import Path
from threading import Event, Thread

import pytest

from ocihaul.errors import SpoolError
from ocihaul.transfer.upload import stream_reader as module
from ocihaul.transfer.upload.stream_reader import (
    Spool,
    SpooledPart,
    check_directory,
    default_directory,
)


def kinds(parts: list[SpooledPart | None]) -> list[str]:
    return [type(part).__name__.strip("_") for part in parts]


def test_memory_first_then_disk_and_memory_again_when_it_is_free(tmp_path: Path) -> None:
    with Spool(20, tmp_path, gone=lambda: False) as spool:
        parts = [spool.take(10), spool.take(10), spool.take(10)]
        assert kinds(parts) == ["InMemory", "InMemory", "OnDisk"]
        assert parts[0] is not None
        spool.release(parts[0])
        assert kinds([spool.take(10), spool.take(1)]) == ["InMemory", "OnDisk"]


@pytest.mark.parametrize("limit", [0, 100])
def test_what_was_put_in_comes_out_anywhere(tmp_path: Path, limit: int) -> None:
    with Spool(limit, tmp_path, gone=lambda: False) as spool:
        part = spool.take(11)
        assert part is not None
        part.write(memoryview(b"hello "), 0)
        part.write(memoryview(b"world"), 6)
        view = bytearray(5)
        part.read_into(memoryview(view), 6)
        assert view == b"world"


def test_a_spool_file_has_no_name_and_is_for_us_alone(tmp_path: Path) -> None:
    with Spool(0, tmp_path, gone=lambda: False) as spool:
        part = spool.take(10)
        assert isinstance(part, module._OnDisk)
        status = os.fstat(part._file.fileno())
        assert (status.st_nlink, stat.S_IMODE(status.st_mode)) == (0, 0o600)
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Event:
    """A disk that has no room left while this is set."""
    is_full, made = Event(), module._OnDisk.__init__

    def make(self: module._OnDisk, size: int, directory: Path) -> None:
        if is_full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        made(self, size, directory)

    monkeypatch.setattr(module._OnDisk, "__init__", make)
    return is_full


def test_a_full_disk_is_an_error_when_no_part_is_to_leave_it(tmp_path: Path, full: Event) -> None:
    full.set()
    with (
        Spool(0, tmp_path, gone=lambda: False) as spool,
        pytest.raises(SpoolError, match="No space left on device"),
    ):
        spool.take(10)


def test_a_full_disk_is_waited_for_while_parts_are_sent(tmp_path: Path, full: Event) -> None:
    with Spool(0, tmp_path, gone=lambda: False) as spool:
        first = spool.take(10)
        assert first is not None
        full.set()
        taken: list[SpooledPart | None] = []
        waiting = Thread(target=lambda: taken.append(spool.take(10)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        full.clear()
        spool.release(first)
        waiting.join(5)
        assert kinds(taken) == ["OnDisk"]


def test_nobody_waits_for_a_disk_when_the_upload_is_over(tmp_path: Path, full: Event) -> None:
    over = Event()
    with Spool(0, tmp_path, gone=over.is_set) as spool:
        spool.take(10)
        full.set()
        over.set()
        assert spool.take(10) is None


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    check_directory(tmp_path)
    with pytest.raises(SpoolError, match=f"{tmp_path}/none cannot keep a part"):
        check_directory(tmp_path / "none")


def test_the_directory_of_choice_is_on_disk_unless_told_otherwise() -> None:
    large = Path("/var/tmp")  # noqa: S108  nothing is written there
    assert default_directory({}) == large
    assert default_directory({"TMPDIR": "/x"}) == Path(tempfile.gettempdir())
