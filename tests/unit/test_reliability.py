"""Each promise in docs/reliability.md names tests that exist, and no figure is missing."""

import re

from tests import tables

_PROMISE = re.compile(r"^### .+$", re.MULTILINE)


def promises() -> dict[str, str]:
    """The text below each promise, by its heading."""
    section = tables.page("reliability.md").split("\n## Promises\n")[1].split("\n## ")[0]
    titles = _PROMISE.findall(section)
    return dict(zip(titles, _PROMISE.split(section)[1:], strict=True))


def test_every_promise_is_shown_by_a_test() -> None:
    assert promises()
    for title, text in promises().items():
        assert tables.named(text), f"{title}: no test"


def test_the_tests_that_are_named_are_there() -> None:
    assert tables.not_there(tables.page("reliability.md")) == []


def test_nothing_is_left_to_be_filled_in() -> None:
    text = tables.page("reliability.md")
    assert [line for line in text.splitlines() if tables.UNFILLED in line] == []
