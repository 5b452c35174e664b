"""Paths to names and back."""

import os
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.directories.names import (
    ancestors,
    disk_path,
    folded,
    is_text,
    object_name,
    printable,
    readable_part,
    relative_path,
    sort_key,
)
from ocihaul.errors import UsageError
from ocihaul.filesystem import from_disk, on_disk


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "a/..", "..", ".", "a/./b", "a//b", "//a", "a\0b", "a//", "/../x"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        relative_path(name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b", "a/b"),
        ("/a", "a"),
        ("a/", "a/"),
        ("", ""),
        ("/", ""),
        ("new\nline", "new\nline"),
        ("-rf", "-rf"),
        ("back\\slash", "back\\slash"),
        ("...", "..."),
        ("e\u0301", "e\u0301"),
        ("\u00e9", "\u00e9"),
    ],
)
def test_an_odd_name_stays_as_it_is(name: str, path: str) -> None:
    assert relative_path(name) == path


def test_a_prefix_is_taken_away_and_what_is_left_is_judged() -> None:
    assert relative_path("p/a", prefix="p/") == "a"
    assert relative_path("p/", prefix="p/") == ""
    assert relative_path("p/a", prefix="p") == "a"
    with pytest.raises(UsageError):
        relative_path("p../x", prefix="p")


@given(st.text())
def test_no_path_ever_leaves_the_directory(name: str) -> None:
    try:
        path = relative_path(name)
    except UsageError:
        return
    whole = posixpath.normpath(posixpath.join("/dest", path))
    assert whole == "/dest" or whole.startswith("/dest/")
    assert not path.startswith("/")


def test_a_file_name_that_is_no_utf8_has_no_object() -> None:
    with pytest.raises(UsageError, match="not valid UTF-8"):
        object_name("p/", os.fsdecode(b"bad\xff"))
    assert printable(os.fsdecode(b"bad\xff")) == "bad\\udcff"


def test_a_name_has_at_most_1024_bytes() -> None:
    assert len(object_name("p/", "x" * 1022)) == 1024
    with pytest.raises(UsageError, match="1024"):
        object_name("p/", "x" * 1023)
    with pytest.raises(UsageError, match="1024"):
        object_name("", "ü" * 513)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_the_order_is_that_of_the_bytes(names: list[str]) -> None:
    assert sorted(names, key=sort_key) == sorted(names, key=lambda name: name.encode())


def test_what_differs_in_case_or_form_only_is_the_same_folded() -> None:
    assert folded("Ä") == folded("a\u0308") == folded("ä")
    assert folded("a") != folded("b")


@given(st.binary(min_size=1, max_size=8))
def test_finding_b01_any_bytes_on_disk_are_a_name_and_come_back(raw: bytes) -> None:
    name = from_disk(raw)
    assert on_disk(name) == raw == sort_key(name)
    assert is_text(name) is _is_utf8(raw)
    assert os.fsencode(disk_path("/d", name)) == b"/d/" + raw.lstrip(b"/") or raw[:1] == b"/"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_finding_b01_a_name_that_no_disk_can_have_is_sorted_all_the_same() -> None:
    assert sort_key("a\ud800") > sort_key("a")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a", ""),
        ("a/b", "a/"),
        ("a/\udcff", "a/"),
        ("a/\udcff/b/c", "a/"),
        ("a/b\udcff/", "a/"),
        ("\udcff", ""),
        ("a/b/c/d\udcffe/f", "a/b/c/"),
    ],
)
def test_finding_b01_what_of_a_path_an_object_can_have(path: str, part: str) -> None:
    assert readable_part(path) == part


def test_finding_b01_the_directories_above_a_path() -> None:
    assert list(ancestors("a")) == [""]
    assert list(ancestors("a/b/c")) == ["", "a/", "a/b/"]
    assert list(ancestors("a/b/")) == ["", "a/", "a/b/"]
