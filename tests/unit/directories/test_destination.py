"""Nothing is written outside of the directory."""

import os
from pathlib import Path

import pytest

from ocihaul.directories.destination import Destination, check_root
from ocihaul.errors import LocalFileError, UsageError
from tests.support import write_small


def path_of(destination: Destination, path: str) -> Path:
    with destination.place(path) as place:
        assert os.path.samestat(os.fstat(place.directory), place.path.parent.stat())
        return place.path


def test_directories_are_made_on_the_way(tmp_path: Path) -> None:
    root = tmp_path / "new" / "dest"
    destination = Destination(str(root))
    assert path_of(destination, "a/b/c") == root / "a" / "b" / "c"
    assert (root / "a" / "b").is_dir()
    destination.directory("d/e/")
    assert (root / "d" / "e").is_dir()
    assert sorted(os.listdir(root)) == ["a", "d"], "no probe stays behind"  # noqa: PTH208


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "dest"
    destination = Destination(str(root))
    (root / "dir").symlink_to(outside)
    (root / "file").symlink_to(outside / "victim")
    for path in ("dir/x", "dir/deep/x", "file"):
        with pytest.raises(LocalFileError, match="leads out"):
            destination.place(path)
    assert not list(outside.iterdir())


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert path_of(destination, "link/x") == tmp_path / "real" / "x"


def test_a_root_that_is_a_link_itself_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    place = path_of(Destination(str(tmp_path / "link")), "a/b")
    assert place == tmp_path / "real" / "a" / "b"
    assert (tmp_path / "real" / "a").is_dir()


def test_a_file_where_a_directory_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(LocalFileError, match="nothing can be below it"):
        Destination(str(tmp_path)).place("a/b")


def test_a_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="`dest_dir`"):
        check_root(str(tmp_path / "a"), parameter="dest_dir")


def test_where_case_does_not_count_two_names_are_one(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path))
    assert destination.key("A") != destination.key("a")
    destination._folds = True
    assert destination.key("A") == destination.key("a")


def test_what_a_killed_run_has_left_of_its_look_at_the_file_system_is_removed(
    tmp_path: Path,
) -> None:
    (tmp_path / ".ocihaul-É").mkdir()
    destination = Destination(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert destination.key("A") != destination.key("a")


def test_another_run_that_looks_at_the_same_time_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = os.path.exists, []

    def exists(path: str | bytes) -> bool:
        found = real(path)
        if b"OCIHAUL" in os.fsencode(path):
            seen.append(path)
            if len(seen) == 1:  # the other run is through, and another one begins
                probe = tmp_path / ".ocihaul-É"
                probe.rename(tmp_path / "kept")  # so that its number is not given out again
                probe.mkdir()
        return found

    monkeypatch.setattr(os.path, "exists", exists)
    Destination(str(tmp_path))
    assert len(seen) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    target.chmod(0o640)
    write_small(target, b"new", 1_700_000_000)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.stat().st_mtime == 1_700_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_dead_process_left_is_used_again(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_small(target, b"1")
    target.unlink()
    real = os.replace

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    os.replace = killed
    try:
        with pytest.raises(KeyboardInterrupt):
            write_small(target, b"longer than what comes")
    finally:
        os.replace = real
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".ocihaul")
    write_small(target, b"2")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert target.read_bytes() == b"2"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415  POSIX

    target = tmp_path / "x"
    real = os.replace
    os.replace = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_small(target, b"1")
    finally:
        os.replace = real
    (left,) = tmp_path.iterdir()
    with left.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LocalFileError, match="another process"):
            write_small(target, b"2")
    assert left.exists(), "it is somebody's"
