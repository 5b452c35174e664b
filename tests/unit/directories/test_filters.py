"""--include and --exclude as the official CLI has them."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.directories.request import make_filter
from ocihaul.errors import UsageError

TEXT = st.text(st.sampled_from("ab/.*?[]!\n"), max_size=6)


@given(TEXT, st.lists(TEXT.filter(lambda text: not text.startswith("/")), min_size=1, max_size=3))
def test_a_pattern_means_what_fnmatch_says(path: str, patterns: list[str]) -> None:
    found = any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    assert make_filter(patterns, (), root="/r")(path) is found
    assert make_filter((), patterns, root="/r")(path) is not found


def test_a_star_reaches_into_directories() -> None:
    accept = make_filter(["*.txt"], (), root="/r")
    assert accept("a/b.txt")
    assert not accept("a/b.tar")


def test_the_root_is_no_pattern() -> None:
    assert make_filter(["x*"], (), root="/odd[name]")("x1")


def test_an_absolute_pattern_is_for_the_absolute_path() -> None:
    accept = make_filter(["/r/a/*"], (), root="/r")
    assert accept("a/x")
    assert not accept("b/x")


def test_a_pattern_also_counts_behind_a_prefix_with_a_slash() -> None:
    assert make_filter(["x*"], (), root="b", prefix="p/")("p/x1")
    assert not make_filter(["x*"], (), root="b", prefix="p")("px1")


def test_without_patterns_everything_belongs() -> None:
    assert make_filter((), (), root="/r")("any")


def test_both_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        make_filter(["a"], ["b"], root="/r")


def test_what_a_directory_may_hold() -> None:
    assert make_filter(["*.txt"], (), root="/r").may_hold("d/")
    assert not make_filter((), ["d/*"], root="/r").may_hold("d/")
    assert make_filter((), ["e/*"], root="/r").may_hold("d/")
