"""How far a transfer is, as text: in the log, and in a line that fits a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.cli.progress_text import (
    STALLED,
    TokenLife,
    directory_text,
    planned_progress,
    status_line,
    transfer_text,
)
from ocihaul.events import (
    ClockCorrected,
    DirectoryProgress,
    TokenChanged,
    TransferProgress,
    UploadPlanned,
)

MIB = 2**20
GIB = 2**30
HALF = TransferProgress(10 * MIB, 40 * MIB, 0.25, 1.0 * MIB, 30.0, 1, 4)
STREAM = TransferProgress(6 * MIB, None, None, 2.0 * MIB, None, 1, None)
TREE = DirectoryProgress(
    27 * GIB, 60 * GIB, 0.45, 11.9 * MIB, 2901.0, 1200, 34, 2, 5678, complete=True
)


def line(progress: TransferProgress | DirectoryProgress, columns: int, still: float = 0.0) -> str:
    pieces = status_line(progress, columns, token="token 58 min 00 s", still=still)
    return "".join(text for text, _ in pieces)


def test_bytes_time_left_parts_and_token_are_in_one_sentence() -> None:
    assert transfer_text(HALF, token="token 10 min 00 s", still=0.0) == (
        "25% (10.0 MiB of 40.0 MiB), 1.0 MiB/s, 30 s left, parts 1/4, token 10 min 00 s"
    )


def test_before_anything_is_sent_no_time_is_promised() -> None:
    planned = planned_progress(UploadPlanned("x", 40 * MIB, 10 * MIB, 4, 2, multipart=True))
    assert transfer_text(planned, token="", still=0.0) == (
        "0% (0 bytes of 40.0 MiB), starting, time left unknown, parts 0/4"
    )


def test_of_a_stream_nothing_says_how_much_is_left() -> None:
    text = transfer_text(STREAM, token="", still=0.0)
    assert text == "6.0 MiB sent, 2.0 MiB/s, time left unknown, parts 1"


def test_a_transfer_that_stands_still_has_no_rate() -> None:
    assert transfer_text(HALF, token="", still=90.0) == (
        "25% (10.0 MiB of 40.0 MiB), nothing moved for 1 min 30 s, time left unknown, parts 1/4"
    )
    assert "nothing moved for 12 s" in directory_text(TREE, still=12.0)


def test_finding_b18_the_life_of_a_token_is_reckoned_by_the_clock_of_the_service() -> None:
    life = TokenLife()
    assert life.text(0.0) == ""
    life.add(TokenChanged("start", 1, expires_at=1000.0, session_ends_at=None))
    assert life.text(8000.0) == "token expired"
    life.add(ClockCorrected(-7600.0))
    assert life.text(8000.0) == "token 10 min 00 s"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            119,
            (
                "[#######.....................]  25%  10.0 MiB of 40.0 MiB  1.0 MiB/s  30 s left  "
                "parts 1/4  token 58 min 00 s"
            ),
        ),
        (79, "[####.............]  25%  10.0 MiB of 40.0 MiB  1.0 MiB/s  30 s left  parts 1/4"),
        (39, "[##.........]  25%  1.0 MiB/s  30s left"),
        (20, "[###..........]  25%"),
        (4, " 25%"),
    ],
)
def test_what_matters_less_goes_first(columns: int, expected: str) -> None:
    assert line(HALF, columns) == expected


@pytest.mark.parametrize("columns", [119, 79, 39, 20])
def test_a_directory_shows_files_bytes_rate_time_left_and_failures(columns: int) -> None:
    assert "2 failed" in line(TREE, columns)


def test_a_stream_and_a_directory_that_is_still_listed_have_no_bar() -> None:
    assert line(STREAM, 79).startswith("6.0 MiB  2.0 MiB/s")
    listed = DirectoryProgress(MIB, 9 * MIB, None, 1.0, None, 5, 0, 0, 70, complete=False)
    assert line(listed, 79) == "5 files  1.0 MiB  1 bytes/s"


def test_standing_still_is_said_where_the_rate_was() -> None:
    assert "nothing moved for 25 s" in line(HALF, 79, still=25.0)
    assert "left" not in line(HALF, 79, still=STALLED)


sizes = st.integers(0, 10 * 2**40)
rates = st.none() | st.floats(0, 1e12)
lefts = st.none() | st.floats(0, 1e9)


@given(
    st.builds(
        TransferProgress, sizes, sizes, st.none() | st.floats(0, 1), rates, lefts,
        st.integers(0, 10_000), st.none() | st.integers(1, 10_000),
    )
    | st.builds(
        DirectoryProgress, sizes, sizes, st.none() | st.floats(0, 1), rates, lefts,
        st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9),
        complete=st.booleans(),
    ),
    st.integers(1, 200),
    st.floats(0, 1e7),
)  # fmt: skip
def test_it_never_is_wider_than_the_terminal(
    progress: TransferProgress | DirectoryProgress, columns: int, still: float
) -> None:
    text = line(progress, columns, still)
    assert len(text) <= columns
    assert text
    assert text.isascii()
