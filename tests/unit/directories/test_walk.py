"""A walk in the order of the service's lists."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocihaul.directories.listing import Kind, WalkEntry, check_root, walk
from ocihaul.errors import SourceError, UsageError


def paths(root: Path, **wishes: Any) -> list[str]:
    return [found.path for found in walk(str(root), **wishes)]


def one(root: Path, path: str, **wishes: Any) -> WalkEntry:
    (found,) = [each for each in walk(str(root), **wishes) if each.path == path]
    return found


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_directories_stand_where_their_names_with_a_slash_do(tmp_path: Path) -> None:
    make(tmp_path, "a/x", "a-b", "a.txt", "a0", "a!", "b/c/d", "b/c.d")
    assert paths(tmp_path) == ["a!", "a-b", "a.txt", "a/x", "a0", "b/c.d", "b/c/d"]


NAMES = st.text(st.sampled_from("ab-.0é\U00010000"), min_size=1, max_size=3).filter(
    lambda name: name not in {".", ".."}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=12))
def test_any_tree_comes_in_the_order_of_its_names(
    tmp_path_factory: pytest.TempPathFactory, tree: set[tuple[str, ...]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    made = set()
    for parts in sorted(tree, key=len, reverse=True):
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        except OSError:
            continue  # a directory of another path
        made.add("/".join(parts))
    found = paths(root)
    assert found == sorted(made, key=lambda name: name.encode())


def test_size_and_time_are_told(tmp_path: Path) -> None:
    make(tmp_path, "x")
    os.utime(tmp_path / "x", ns=(5, 1_700_000_000_123_456_789))
    found = one(tmp_path, "x")
    assert (found.kind, found.size, found.mtime_ns) == (Kind.FILE, 1, 1_700_000_000_123_456_789)


def test_empty_directories_are_told_if_wished(tmp_path: Path) -> None:
    make(tmp_path, "full/x")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    assert paths(tmp_path) == ["full/x"]
    assert paths(tmp_path, empty=True) == ["empty/below/", "full/x"]
    assert one(tmp_path, "empty/below/", empty=True).kind is Kind.EMPTY


def test_what_has_no_bytes_is_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        assert one(tmp_path, "pipe").reason == "a pipe"
        assert one(tmp_path, "sock").reason == "a socket"
    (tmp_path / "null").symlink_to("/dev/null")
    assert one(tmp_path, "null").reason == "a device"
    assert one(tmp_path, "null").kind is Kind.SPECIAL


def test_links_are_followed_or_not_there(tmp_path: Path) -> None:
    make(tmp_path, "real/x", "file")
    (tmp_path / "to-dir").symlink_to("real")
    (tmp_path / "to-file").symlink_to("file")
    assert paths(tmp_path) == ["file", "real/x", "to-dir/x", "to-file"]
    assert paths(tmp_path, follow_links=False) == ["file", "real/x"]


def test_a_loop_ends(tmp_path: Path) -> None:
    make(tmp_path, "a/b/x")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to(".")
    assert paths(tmp_path) == ["a/b/up/", "a/b/x", "self/"]
    assert one(tmp_path, "self/").kind is Kind.SPECIAL
    assert "above" in one(tmp_path, "a/b/up/").reason


def test_a_link_into_the_unknown_is_broken(tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    assert one(tmp_path, "lost").kind is Kind.BROKEN
    assert "leads nowhere" in one(tmp_path, "lost").reason
    assert one(tmp_path, "round").kind is Kind.BROKEN


def test_a_directory_that_vanishes_is_closed_and_the_walk_goes_on(tmp_path: Path) -> None:
    make(tmp_path, "a", "b/x", "c")
    found = []
    for each in walk(str(tmp_path)):
        if each.path == "a":
            (tmp_path / "b" / "x").unlink()
            (tmp_path / "b").rmdir()
        found.append((each.path, each.kind))
    assert found == [("a", Kind.FILE), ("b/", Kind.CLOSED), ("c", Kind.FILE)]


def test_a_file_that_vanishes_is_broken(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    stream = walk(str(tmp_path))
    next(stream)
    (tmp_path / "b").unlink()
    assert next(stream).kind is Kind.BROKEN


def test_names_in_no_encoding_come_where_their_bytes_do(tmp_path: Path) -> None:
    make(tmp_path, "a", "é")
    (tmp_path / os.fsdecode(b"b\xff")).write_text("")
    assert [os.fsencode(path) for path in paths(tmp_path)] == [b"a", b"b\xff", "é".encode()]


def test_deep_trees_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 600)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    assert len(paths(tmp_path)) == 1


def test_a_root_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        list(walk(str(tmp_path / "nowhere")))
    with pytest.raises(UsageError, match="`src_dir`"):
        check_root(str(tmp_path / "nowhere"), parameter="src_dir")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Not a directory"):
        check_root(str(tmp_path / "file"), parameter="src_dir")
