"""The line below the log: drawn, cleared, hidden, and gone with its terminal."""

import io
from collections.abc import Sequence

import pytest

from ocihaul.cli import progress
from ocihaul.cli.progress import StatusBar, can_draw
from ocihaul.cli.progress_text import Piece

CLEAR = "\r\x1b[J"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def content(columns: int) -> Sequence[Piece]:
    return [("[##..]", "bar"), (" ", ""), (f"{columns}", "")]


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> tuple[StatusBar, Terminal]:
    """One without a thread of its own: it draws when a line is written."""
    monkeypatch.setattr(progress, "started", lambda _: False)
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    made = StatusBar(stream)
    made.start(content)
    return made, stream


def test_a_line_is_written_above_it_and_the_cursor_stays_at_its_beginning(
    bar: tuple[StatusBar, Terminal],
) -> None:
    made, stream = bar
    made.say("one")
    made.say("two")
    drawn = f"{CLEAR}[##..] 79\r"
    assert stream.getvalue() == f"one\n{drawn}{CLEAR}two\n{drawn}"


def test_its_text_drives_no_terminal_and_has_no_secret(
    bar: tuple[StatusBar, Terminal],
) -> None:
    made, stream = bar
    made.start(lambda _: [("\x1b[2Jtoken=abcdefgh", "failed")])
    made.say("one")
    assert "\x1b[2J" not in stream.getvalue()
    assert "abcdefgh" not in stream.getvalue()


def test_it_is_cleared_for_a_question_and_at_the_end(bar: tuple[StatusBar, Terminal]) -> None:
    made, stream = bar
    made.say("one")
    with made.hidden():
        assert stream.getvalue().endswith(CLEAR)
        before = len(stream.getvalue())
        made.say("asked meanwhile")
        assert stream.getvalue()[before:] == "asked meanwhile\n"
    made.say("two")
    made.close()
    made.close()
    assert stream.getvalue().endswith(CLEAR)
    made.say("three")
    assert stream.getvalue().endswith("three\n")


def test_a_terminal_that_has_gone_away_stops_nothing(bar: tuple[StatusBar, Terminal]) -> None:
    made, stream = bar
    stream.close()
    made.say("nobody reads this")
    with made.hidden():
        pass
    made.close()


@pytest.mark.parametrize(
    ("term", "draws"),
    [("xterm-256color", True), ("dumb", False), ("unknown", False), ("", False)],
)
def test_it_is_drawn_where_the_cursor_can_be_moved(
    term: str, draws: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    assert can_draw(Terminal()) is draws
    assert not can_draw(io.StringIO())
