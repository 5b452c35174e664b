"""Where the system allows few threads (a container's pids limit): slower, and nothing else."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.errors import OcihaulError, TooManyThreads
from ocihaul.trees.compare import Mode
from ocihaul.trees.request import TreeUpload
from ocihaul.trees.results import FAILED, UPLOADED, Results
from ocihaul.trees.upload import upload_tree
from ocihaul.trees.work import Work
from tests.world import MIB, World, world

#: The threads that move bytes, by their names.
_OURS = re.compile(r"ocihaul-[0-9]+|tree")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


class Limit:
    """Lets so many of our threads start, and counts those that were refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.refused = 0
        self.began = 0
        really = threading.Thread.start
        limit = self

        def start(thread: threading.Thread) -> None:
            if _OURS.fullmatch(thread.name):
                if limit.began >= most:
                    limit.refused += 1
                    raise RuntimeError("can't start new thread")
                limit.began += 1
            really(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_large_file_goes_up_and_down_with_as_many_as_there_may_be(
    w: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    source = w.file(41 * MIB)
    limit = Limit(monkeypatch, most)
    w.upload(source)
    assert (limit.began, limit.refused) == (most, 1)
    assert w.arrived_whole(source)
    limit.began = 0
    target = w.home / "back"
    w.fetch(source.name, target, parallel=5)
    assert (limit.began, limit.refused) == (most, 2)
    assert target.read_bytes() == source.read_bytes()


def test_without_a_single_thread_it_says_so_and_can_be_run_again(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = w.file(21 * MIB)
    limit = Limit(monkeypatch, 0)
    with pytest.raises(OcihaulError) as caught:
        w.upload(source)
    error = caught.value
    assert isinstance(error.__cause__, TooManyThreads)
    assert "ulimit -u" in (error.__cause__.hint or "")
    assert error.resumable
    assert limit.refused == 1
    monkeypatch.undo()
    w.upload(source)
    assert w.arrived_whole(source)


def test_a_session_without_its_thread_does_not_begin(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "ocihaul-session":
            raise RuntimeError("can't start new thread")
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(TooManyThreads, match="no thread"):
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
    each = w.request(root, name="", parallel=10)
    request = TreeUpload(root=str(root), each=each, mode=Mode.REPLACE)
    with w.storage() as storage, Results() as results:
        upload_tree(request, Work(storage, results, w.heard, w.stop, directory=w.home))
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
    request = TreeUpload(root=str(root), each=w.request(root, name=""), mode=Mode.REPLACE)
    with w.storage() as storage, Results() as results:
        upload_tree(request, Work(storage, results, w.heard, w.stop, directory=w.home))
        assert results.count(UPLOADED) == 3, list(results.items(FAILED))
    assert (limit.began, limit.refused) == (12, 1)
