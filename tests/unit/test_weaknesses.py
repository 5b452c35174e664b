"""The table of weaknesses names a test for each, and each of these tests is there.

At least one of a weakness's tests is called by its number.
"""

import re

from tests import tables


def rows() -> dict[str, str]:
    return tables.rows(tables.page("weaknesses.md"))


def test_every_weakness_is_in_the_table() -> None:
    assert sorted(map(int, rows())) == list(range(1, 31))


def test_the_tests_that_are_named_are_there() -> None:
    for number, shown in rows().items():
        assert tables.named(shown), f"{number}: no test"
        assert tables.not_there(shown) == []


def test_each_weakness_has_a_test_of_its_number_and_only_its_own() -> None:
    for number, shown in rows().items():
        numbers = re.findall(r"`test_weakness_([0-9]+)_\w+`", shown)
        assert numbers, f"{number}: no test is called test_weakness_{int(number):02}_…"
        assert set(numbers) == {f"{int(number):02}"}, f"{number}: a test of another weakness"


def test_all_tests_that_are_called_by_a_number_are_in_the_table() -> None:
    in_the_table = {name for shown in rows().values() for _, name in tables.named(shown)}
    called = tables.called("test_weakness_")
    assert {name for name in in_the_table if name.startswith("test_weakness_")} == set(called)
