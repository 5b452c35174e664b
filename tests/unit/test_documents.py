"""JSON that others wrote: within limits, and never an error that is not ours."""

import json
import sys
import threading
from pathlib import Path

import pytest

from ocihaul.documents import (
    MOST_LEVELS,
    DocumentError,
    read_json,
    read_object,
    read_text,
    text,
    whole_number,
    whole_object,
)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("levels", [100_000, 3_000_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', "[[", '[{"a":'])
def test_finding_a21_json_of_any_depth_is_an_error_of_ours(opening: str, levels: int) -> None:
    with pytest.raises(DocumentError, match="deeper than 64 levels"):
        read_json(opening * levels)


def test_finding_a21_what_is_kept_whole_can_be_written_again() -> None:
    assert json.dumps(read_object(nested(MOST_LEVELS)), indent=2)
    for levels in (MOST_LEVELS + 1, 500, 900):
        with pytest.raises(DocumentError, match="deeper"):
            read_object(nested(levels))


def test_depth_is_told_however_much_of_the_stack_is_used_already() -> None:
    found: list[str] = []

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
            return
        try:
            read_json("[" * 100_000)
        except DocumentError as error:
            found.append(str(error))

    thread = threading.Thread(target=deep, args=(sys.getrecursionlimit() - 60,))
    thread.start()
    thread.join()
    assert found == ["nested deeper than 64 levels"]


@pytest.mark.parametrize("given", ["NaN", "-Infinity", "1e999", "[1, -1e400]", "9" * 5000])
def test_numbers_that_cannot_be_are_no_json(given: str) -> None:
    with pytest.raises(DocumentError, match="not JSON"):
        read_json(given)


def test_a_longer_text_is_not_even_looked_at() -> None:
    with pytest.raises(DocumentError, match="longer than 10 bytes"):
        read_json("[" * 11, most=10)


def test_a_byte_that_is_no_utf8_costs_its_own_text_alone() -> None:
    document = whole_object(read_json(b'{"one": "\xff", "two": "\\ud800", "three": "\xc3\xa9"}'))
    assert text(document, "three") == "é"
    for key in ("one", "two"):
        with pytest.raises(DocumentError, match=f"{key} is not text in UTF-8"):
            text(document, key)


@pytest.mark.parametrize("given", [-1, 10**18, 1.0, True, "5", None, [5], 10**400])
def test_whole_numbers_have_a_range(given: object) -> None:
    with pytest.raises(DocumentError, match=r"n is .*, not a whole number from 0 to"):
        whole_number({"n": given}, "n")


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="longer than"):
        read_text(Path("/dev/zero"), most=2**20)
    with pytest.raises(DocumentError, match="not the name of a file"):
        read_text(tmp_path / "a\0b")
