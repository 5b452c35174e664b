"""The table of findings names the tests of each by its number, all of them and no others."""

import pytest

from tests import tables

NUMBERS = [f"{letter}{number}" for letter in "AB" for number in range(1, 22)]


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


def test_every_test_that_is_called_by_a_number_has_a_finding() -> None:
    of_a_row = {name for number in NUMBERS for name in tables.called(tables.finding_prefix(number))}
    assert of_a_row == set(tables.called("test_finding_"))
