"""Where the system allows few threads (a container's pids limit): slower, and nothing else."""

import io
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.directories.compare import SyncMode
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.results import FAILED, UPLOADED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.emulator import Fault
from ocihaul.errors import TooManyThreadsError, UploadIncompleteError
from tests.world import MIB, World, world

#: The threads that move bytes, by their names.
_OURS = re.compile(r"ocihaul-[0-9]+|tree")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


class Limit:
    """Lets so many of our threads start, and counts those that were refused.

    `at_a_time`: those that have ended do not count.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        most: int,
        *,
        at_a_time: bool = False,
        others: str = "-",
    ) -> None:
        self.refused = 0
        self.threads: list[threading.Thread] = []
        really = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if _OURS.fullmatch(thread.name) or re.fullmatch(others, thread.name):
                counting = [one for one in self.threads if one.is_alive() or not at_a_time]
                if len(counting) >= most:
                    self.refused += 1
                    raise RuntimeError("can't start new thread")
                self.threads.append(thread)
            really(thread)

        monkeypatch.setattr(threading.Thread, "start", start)

    @property
    def began(self) -> int:
        return len(self.threads)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_large_file_goes_up_and_down_with_as_many_as_there_may_be(
    w: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    source = w.file(41 * MIB)
    limit = Limit(monkeypatch, most)
    w.upload(source)
    assert (limit.began, limit.refused) == (most, 1)
    assert w.arrived_whole(source)
    limit.threads.clear()
    target = w.home / "back"
    w.fetch(source.name, target, parallel=5)
    assert (limit.began, limit.refused) == (most, 2)
    assert target.read_bytes() == source.read_bytes()


def test_without_a_single_thread_the_one_that_is_there_does_it(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = w.file(21 * MIB), w.home / "back"
    limit = Limit(monkeypatch, 0)
    w.upload(source)
    w.fetch(source.name, target)
    assert (limit.began, limit.refused) == (0, 2)
    assert w.arrived_whole(source)
    assert target.read_bytes() == source.read_bytes()


def test_a_stream_down_needs_one_thread_and_says_so(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = w.file(2 * MIB), io.BytesIO()
    w.upload(source)
    Limit(monkeypatch, 0)
    with pytest.raises(TooManyThreadsError) as caught:
        w.fetch(source.name, out)
    assert "ulimit -u" in (caught.value.hint or "")
    assert caught.value.resumable
    assert not out.getvalue()


def test_a_stream_that_failed_is_aborted_without_another_thread(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    w.oci.faults.add(Fault(operation="UploadPart", status=403, code="NotNow", times=99))
    really = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if isinstance(thread, threading.Timer):
            raise RuntimeError("can't start new thread")  # noqa: TRY004  as it says
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(UploadIncompleteError, match="nothing was stored"):
        w.upload(w.home / "-", name="dump", stream=io.BytesIO(bytes(21 * MIB)))
    assert not w.oci.uploads("backups")


def test_the_parts_of_an_adopted_upload_are_read_with_as_many_as_there_may_be(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = w.file(41 * MIB)
    fault = Fault(operation="UploadPart", part_number=5, status=403, code="NotNow")
    w.oci.faults.add(fault)
    with pytest.raises(UploadIncompleteError) as caught:
        w.upload(source, parallel=1)
    limit = Limit(monkeypatch, 2, others=r"ocihaul-digest_[0-9]+")
    w.upload(source, upload_id=caught.value.upload_id)
    assert limit.refused
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="UploadPart", status=200) == 5


def test_a_session_without_its_thread_does_not_begin(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "ocihaul-session":
            raise RuntimeError("can't start new thread")
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(TooManyThreadsError, match="no thread"):
        w.upload(w.file(1))
    assert not w.oci.log.entries()


def test_a_tree_goes_up_with_as_many_as_there_may_be(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = w.home / "tree"
    root.mkdir()
    for number in range(50):
        (root / str(number)).write_bytes(bytes(number))
    limit = Limit(monkeypatch, 3)
    each = w.request(root, name="-", parallel=10)
    request = DirectoryUpload(root=str(root), each=each, mode=SyncMode.REPLACE)
    with w.storage() as storage, Results() as results:
        upload_all(request, DirectoryContext(storage, results, w.heard, w.stop, directory=w.home))
        assert results.count(UPLOADED) == 50
    assert (limit.began, limit.refused) == (3, 1)


def test_the_large_files_of_a_tree_go_up_with_fewer_threads(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = w.home / "tree"
    root.mkdir()
    for number in range(3):
        (root / str(number)).write_bytes(bytes(21 * MIB + number))
    limit = Limit(monkeypatch, 12)  # of 13: one that hands out, and for each file 1 + 3
    request = DirectoryUpload(root=str(root), each=w.request(root, name="-"), mode=SyncMode.REPLACE)
    with w.storage() as storage, Results() as results:
        upload_all(request, DirectoryContext(storage, results, w.heard, w.stop, directory=w.home))
        assert results.count(UPLOADED) == 3, list(results.items(FAILED))
    assert (limit.began, limit.refused) == (12, 1)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("large_first", [True, False])
def test_small_and_large_files_do_not_take_each_others_threads_away(
    w: World, monkeypatch: pytest.MonkeyPatch, most: int, large_first: bool
) -> None:
    root = w.home / "tree"
    root.mkdir()
    for number in range(2):
        w.file(11 * MIB + number, f"tree/{'a' if large_first else 'z'}{number}")
    for number in range(40):
        (root / f"m{number:02}").write_bytes(bytes(number))
    limit = Limit(monkeypatch, most, at_a_time=True)
    request = DirectoryUpload(root=str(root), each=w.request(root, name="-"), mode=SyncMode.REPLACE)
    with w.storage() as storage, Results() as results:
        upload_all(request, DirectoryContext(storage, results, w.heard, w.stop, directory=w.home))
        assert results.count(UPLOADED) == 42, list(results.items(FAILED))
    assert limit.refused
    assert all(w.arrived_whole(path) for path in root.iterdir())
