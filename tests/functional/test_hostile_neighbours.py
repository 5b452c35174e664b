"""Others may write where a download goes: they get no bytes of it, and redirect none of it."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ocihaul.directories import file_fetcher
from ocihaul.directories.delete import _Tidying
from ocihaul.directories.file_fetcher import SmallObjects
from ocihaul.emulator import Fault
from ocihaul.errors import LocalFileError, ServiceError, TransferCancelled
from ocihaul.events import Event, PartFinished
from ocihaul.transfer.download.local_file import DownloadCheckpoint, LocalFile, Place
from tests.functional.directories import content, make, run
from tests.functional.test_download import left_behind, noise
from tests.support import another_user, needs_root
from tests.world import MIB, World, world

FILES = 40


def names_of_an_interrupted_get(w: World, target: Path) -> list[Path]:
    fault = w.oci.faults.add(Fault(operation="GetObject", after=1, status=403, times=None))
    with pytest.raises(ServiceError):
        w.fetch("x", target, parallel=1)
    assert fault.fired
    w.oci.faults.clear()
    return sorted(path for path in target.parent.iterdir() if ".ocihaul" in path.name)


# Files that others have made


@needs_root
def test_finding_a02_a_file_that_another_user_holds_open_never_becomes_the_target(
    tmp_path: Path,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with world(tmp_path) as w:
        data, target = noise(3 * MIB), shared / "target"
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        left = names_of_an_interrupted_get(w, target)
        assert len(left) == 2
        held = []
        directory = os.open(shared, os.O_RDONLY)
        for path in left:
            before = path.read_bytes()
            path.unlink()
            with another_user():
                held.append(os.open(path.name, os.O_RDWR | os.O_CREAT, 0o666, dir_fd=directory))
            os.fchmod(held[-1], 0o666)
            os.write(held[-1], before)

        def meddle(event: Event) -> None:
            if isinstance(event, PartFinished):
                for descriptor in held:
                    os.pwrite(descriptor, b"EVIL", 0)

        w.fetch("x", target, listener=meddle, parallel=1)
        for descriptor in held:
            os.pwrite(descriptor, b"EVIL", 0)
            os.close(descriptor)
        os.close(directory)
        assert target.read_bytes() == data
        assert target.stat().st_uid == 0
        assert left_behind(shared) == []


@needs_root
def test_finding_a02_a_small_file_of_a_tree_does_not_go_into_anothers_file(tmp_path: Path) -> None:
    dest = make(tmp_path / "dest")
    dest.chmod(0o777)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "f", b"right")
        with pytest.MonkeyPatch.context() as patch:
            seen: list[str] = []
            opened = Place.open

            def watched(at: Place, name: str, flags: int = 0) -> tuple[int, bool]:
                seen.append(name)
                return opened(at, name, flags)

            patch.setattr(Place, "open", watched)
            assert run(w, "bulk-download", "--dest-dir", str(dest)).code == 0
        (name,) = seen
        (dest / "f").unlink()
        directory = os.open(dest, os.O_RDONLY)
        with another_user():
            held = os.open(name, os.O_RDWR | os.O_CREAT, 0o666, dir_fd=directory)
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--overwrite")
        assert ran.code == 0, ran.err
        os.pwrite(held, b"EVIL", 0)
        os.close(held)
        os.close(directory)
        assert content(dest) == {"f": b"right"}


@pytest.mark.parametrize("size", [5, 3 * MIB], ids=["small", "large"])
def test_finding_a02_second_names_of_other_files_are_not_truncated(
    tmp_path: Path, size: int
) -> None:
    dest, victim = make(tmp_path / "dest"), tmp_path / "victim"
    victim.write_bytes(b"mine")
    with world(tmp_path) as w, ExitStack() as stack:
        right = noise(size)
        w.oci.put_object("backups", "f", right, algorithm="CRC32C")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        linked: list[str] = []
        opened = Place.open

        def meddled(at: Place, name: str, flags: int = 0) -> tuple[int, bool]:
            if name not in linked:
                linked.append(name)
                at.path.with_name(name).hardlink_to(victim)
            return opened(at, name, flags)

        patch.setattr(Place, "open", meddled)
        ran = run(w, "bulk-download", "--dest-dir", str(dest))
        assert ran.code == 0, ran.err
        assert len(linked) == (1 if size == 5 else 2), "the bytes, and what of them is there"
        assert victim.read_bytes() == b"mine"
        assert content(dest) == {"f": right}


# Directories that are swapped


class Swap:
    """Puts a link to `outside` in the place of a directory, once, when it is called."""

    def __init__(self, directory: Path, outside: Path, *, aside: Path | None = None) -> None:
        self._directory = directory
        self._outside = outside
        self._aside = aside or directory.with_name("aside")
        self.done = 0

    def __call__(self) -> None:
        if not self.done:
            self._directory.rename(self._aside)
            self._directory.symlink_to(self._outside)
            self.done += 1


def before_call(owner: object, name: str, act: Callable[[], None], *, after: int = 0) -> None:
    """Have `act` called before each call of a function but the first `after`."""
    function, calls = getattr(owner, name), 0

    def wrapped(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls > after:
            act()
        return function(*args, **kwargs)

    setattr(owner, name, wrapped)


@pytest.fixture
def hooks() -> Iterator[Callable[..., None]]:
    with pytest.MonkeyPatch.context() as patch:

        def hook(owner: object, name: str, act: Callable[[], None], *, after: int = 0) -> None:
            patch.setattr(owner, name, getattr(owner, name))  # to be set back at the end
            before_call(owner, name, act, after=after)

        yield hook


@pytest.mark.parametrize("level", ["tt/d", "tt"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(SmallObjects, "fetch"), (file_fetcher, "write")],
    ids=["before it is opened", "when it is open"],
)
def test_finding_a03_a_directory_swapped_for_a_link_gets_nothing_outside(
    tmp_path: Path, hooks: Callable[..., None], level: str, owner: object, name: str
) -> None:
    dest, outside = make(tmp_path / "dest"), make(tmp_path / "outside")
    (outside / "d").mkdir()
    with world(tmp_path) as w:
        for number in range(FILES):
            w.oci.put_object("backups", f"tt/d/f{number:03}", b"x")
        swap = Swap(dest / level, outside)
        hooks(owner, name, swap, after=4)
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--parallel-operations-count", "1")
        assert swap.done == 1
        assert content(outside) == {"d/": b""}, "nothing was written there"
        assert ran.code == 1
        failures = ran.json["download-failures"]
        assert all("leads out" in text for text in failures.values())
        came = len(ran.json["downloaded-objects"])
        assert came + len(failures) == FILES
        assert came == (4 if name == "fetch" else 5), "one was open: it went where it belonged"
        moved = dest / ("tt/aside" if level == "tt/d" else "aside/d")
        assert len(list(moved.iterdir())) == came


def test_finding_a03_a_directory_that_was_moved_out_gets_nothing_more(
    tmp_path: Path, hooks: Callable[..., None]
) -> None:
    """The link leads to the very directory, but that is outside now."""
    dest, outside = make(tmp_path / "dest"), make(tmp_path / "outside")
    with world(tmp_path) as w:
        for number in range(FILES):
            w.oci.put_object("backups", f"tt/d/f{number:03}", b"x")
        swap = Swap(dest / "tt", outside / "tt", aside=outside / "tt")
        hooks(SmallObjects, "fetch", swap, after=4)
        ran = run(w, "bulk-download", "--dest-dir", str(dest), "--parallel-operations-count", "1")
        assert swap.done == 1
        assert ran.code == 1
        assert len(list((outside / "tt" / "d").iterdir())) == 4, "those from before"


def test_finding_a03_a_large_file_does_not_follow_a_swapped_directory(
    tmp_path: Path, hooks: Callable[..., None]
) -> None:
    dest, outside = make(tmp_path / "dest"), make(tmp_path / "outside", "large")
    with world(tmp_path) as w:
        w.oci.put_object("backups", "d/large", noise(3 * MIB), algorithm="CRC32C")
        swap = Swap(dest / "d", outside)
        hooks(LocalFile, "reserve", swap)
        ran = run(w, "sync", "--dest-dir", str(dest))
        assert swap.done == 1
        assert ran.code == 1
        assert "cannot be put in place" in ran.json["download-failures"]["d/large"]
        assert content(outside) == {"large": b"large"}
        assert len(left_behind(dest / "aside")) == 2, "it can be gone on with"


def test_finding_a03_a_swapped_directory_of_get_is_told(tmp_path: Path) -> None:
    directory, outside = make(tmp_path / "d"), make(tmp_path / "outside")
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB))
        swap = Swap(directory, outside)

        def listen(event: Event) -> None:
            if isinstance(event, PartFinished):
                swap()

        with pytest.raises(LocalFileError, match="put in place"):
            w.fetch("x", directory / "target", listener=listen, parallel=1)
        assert swap.done == 1
        assert content(outside) == {}


def test_finding_a03_nothing_outside_is_deleted(tmp_path: Path, hooks: Callable[..., None]) -> None:
    names = [f"f{number}" for number in range(5)]
    dest = make(tmp_path / "dest", *(f"d/{name}" for name in names))
    outside = make(tmp_path / "outside", *names)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "kept", b"kept")
        swap = Swap(dest / "d", outside)
        hooks(_Tidying, "_delete_file", swap)
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert swap.done == 1
        assert ran.code == 0, ran.err
        assert content(outside) == {name: name.encode() for name in names}
        assert content(dest / "aside") == {}, "they were deleted where they were"
        assert (dest / "d").is_symlink()


@pytest.mark.slow
def test_finding_a03_a_tree_works_with_few_descriptors(tmp_path: Path) -> None:
    """None is kept for each directory."""
    with world(tmp_path) as w:
        for number in range(300):
            w.oci.put_object("backups", f"d{number}/a/b/c/f", b"x")
        dest = tmp_path / "dest"
        command = [
            *("os", "object", "bulk-download", "-ns", "ns1", "-bn", "backups"),
            *("--dest-dir", str(dest), "--auth", "security_token"),
        ]
        script = "import resource as r, runpy, sys; r.setrlimit(r.RLIMIT_NOFILE, (100, 100)); "
        script += "sys.argv[0] = 'ocihaul'; runpy.run_module('ocihaul', run_name='__main__')"
        ran = w.finish(w.start_python("-c", script, *command))
        assert ran.code == 0, ran.err
        assert len(list(dest.rglob("f"))) == 300


# Who may read it while it comes


def modes(directory: Path) -> set[int]:
    return {
        stat.S_IMODE(path.stat().st_mode)
        for path in directory.rglob("*")
        if ".ocihaul" in path.name
    }


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o664, 0o664), (None, 0o666)])
def test_finding_a11_a_file_is_private_until_it_is_whole(
    tmp_path: Path, before: int | None, after: int
) -> None:
    directory = make(tmp_path / "d")
    target = directory / "target"
    if before is not None:
        target.write_bytes(b"before")
        target.chmod(before)
    seen: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, PartFinished):
            seen.extend(modes(directory))
            if len(seen) == 1:
                w.stop.set()

    mask = os.umask(0)
    try:
        with world(tmp_path) as w:
            data = noise(4 * MIB)
            w.oci.put_object("backups", "x", data)
            with pytest.raises(TransferCancelled):
                w.fetch("x", target, listener=listen, parallel=1)
            w.stop.clear()
            assert modes(directory) == {0o600}, "and after it was stopped"
            w.fetch("x", target, listener=listen, parallel=1)
    finally:
        os.umask(mask)
    assert len(seen) >= 4
    assert set(seen) == {0o600}
    assert stat.S_IMODE(target.stat().st_mode) == after
    assert target.read_bytes() == data


@pytest.mark.parametrize("size", [5, 3 * MIB], ids=["small", "large"])
@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (None, 0o644)])
def test_finding_a11_so_are_the_files_of_a_tree(
    tmp_path: Path, size: int, before: int | None, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = make(tmp_path / "dest")
    if before is not None:
        (dest / "f").write_bytes(b"before")
        (dest / "f").chmod(before)
    seen: list[int] = []
    put = Place.put

    def watched(at: Place, descriptor: int, name: str) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        put(at, descriptor, name)

    monkeypatch.setattr(Place, "put", watched)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "f", noise(size))
        assert run(w, "bulk-download", "--dest-dir", str(dest), "--overwrite").code == 0
    assert seen == [0o600]
    assert stat.S_IMODE((dest / "f").stat().st_mode) == after


# What a kill between the last two steps leaves


def killed_before_the_last_step(w: World, target: Path) -> Path:
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(DownloadCheckpoint, "forget", DownloadCheckpoint.close)
        etag = w.oci.put_object("backups", "x", noise(3 * MIB)).etag
        w.fetch("x", target)
    (ranges,) = target.parent.glob(".*-ranges")
    assert etag
    return ranges


def test_finding_a20_the_next_run_that_has_nothing_to_do_removes_the_ranges(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        directory = make(tmp_path / "d")
        ranges = killed_before_the_last_step(w, directory / "target")
        etag = w.oci.object_info("backups", "x").headers["etag"]
        with pytest.raises(ServiceError, match="304"):
            w.fetch("x", directory / "target", if_none_match=etag)
        assert not ranges.exists()
        assert set(content(directory)) == {"target"}


@pytest.mark.parametrize("wish", ["--no-overwrite", "--overwrite", ""])
def test_finding_a20_so_does_a_tree(tmp_path: Path, wish: str) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "d/x", noise(3 * MIB), algorithm="CRC32C")
        dest = tmp_path / "dest"
        arguments = ["bulk-download", "--dest-dir", str(dest)]
        with pytest.MonkeyPatch.context() as killed:
            killed.setattr(DownloadCheckpoint, "forget", DownloadCheckpoint.close)
            assert run(w, *arguments).code == 0
        assert list(dest.rglob("*-ranges"))
        run(w, *arguments, *([wish] if wish else []))
        assert set(content(dest)) == {"d/", "d/x"}


def test_finding_a20_delete_takes_ranges_without_their_file_and_no_others(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", b"x")
        orphan, begun = ".a.0123456789abcdef.ocihaul-ranges", ".b.0123456789abcdef.ocihaul"
        dest = make(tmp_path / "dest", f"gone/{orphan}", begun, f"{begun}-ranges", "gone/y")
        assert run(w, "sync", "--dest-dir", str(dest), "--delete", "--dry-run").code == 0
        assert (dest / "gone" / orphan).exists()
        ran = run(w, "sync", "--dest-dir", str(dest), "--delete")
        assert ran.code == 0, ran.err
        assert set(content(dest)) == {"x", begun, f"{begun}-ranges"}
        assert ran.json["deleted-files"] == [f"{dest}/gone/", f"{dest}/gone/y"]
