"""The table of findings names the tests of each by its number, all of them and no others."""

import pytest

from tests import tables

NUMBERS = [f"{letter}{number}" for letter in "AB" for number in range(1, 22)]
NUMBERS += [f"C{number}" for number in range(1, 12)]
NUMBERS += [f"E{number}" for number in range(1, 10)]
NUMBERS += [f"D{number}" for number in range(1, 19)]


def rows() -> dict[str, str]:
    return tables.rows(tables.page("findings.md"))


def test_every_finding_is_in_the_table() -> None:
    assert list(rows()) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_finding_names_all_tests_of_its_number_and_no_others(number: str) -> None:
    shown = rows()[number]
    assert tables.UNFILLED not in shown, "python -m tests.tables --write"
    assert tables.not_there(shown) == []
    named = {name for _, name in tables.named(shown)}
    assert named, f"no test is called {tables.finding_prefix(number)}…"
    assert named == set(tables.called(tables.finding_prefix(number)))


@pytest.mark.slow
def test_every_test_that_is_called_by_a_number_has_a_finding() -> None:
    of_a_row = {name for number in NUMBERS for name in tables.called(tables.finding_prefix(number))}
    assert of_a_row == set(tables.called("test_finding_"))


def test_the_program_fills_in_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"test_finding_a01_one": "tests/x.py", "test_finding_a01_two": "tests/x.py"}

    def called(prefix: str) -> dict[str, str]:
        return {name: file for name, file in there.items() if name.startswith(prefix)}

    monkeypatch.setattr(tables, "called", called)
    shown = "`tests/x.py`: `test_finding_a01_one`, `test_finding_a01_two`"
    text = "| A1 | fault | right | an older one |\nA line.\n| A2 | fault | right | old |"
    assert list(tables.filled(text)) == [
        f"| A1 | fault | right | {shown} |",
        "A line.",
        f"| A2 | fault | right | {tables.UNFILLED} |",
    ]
    promises = "TO BE FILLED: test_finding_a01\nTO BE FILLED: test_finding_a02\nTO BE FILLED"
    filled = f"{shown}\nTO BE FILLED: test_finding_a02\nTO BE FILLED"
    assert tables.promises_filled(promises) == filled
