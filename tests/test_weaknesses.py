"""The table of weaknesses names a test for each, and each of these tests is there.

At least one of a weakness's tests is called by its number.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"\| ([0-9]+) \| .+ \| (.+) \|")


def rows() -> dict[int, str]:
    lines = (ROOT / "docs" / "weaknesses.md").read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := ROW.fullmatch(line))]
    assert len(found) == len({match.group(1) for match in found}), "a number stands there twice"
    return {int(match.group(1)): match.group(2) for match in found}


def test_every_weakness_is_in_the_table() -> None:
    assert sorted(rows()) == list(range(1, 31))


def test_the_tests_that_are_named_are_there() -> None:
    for number, shown in rows().items():
        named = 0
        for file, names in re.findall(r"`(tests/\S+\.py)`: ((?:`test_\w+`(?:, )?)+)", shown):
            source = (ROOT / file).read_text(encoding="utf-8")
            for name in re.findall(r"\w+", names):
                assert re.search(rf"def {name}\(", source), f"{number}: {file} has no {name}"
                named += 1
        assert named == shown.count("`test_"), f"{number}: a test without its file"
        assert named, f"{number}: no test"


def test_each_weakness_has_a_test_of_its_number_and_only_its_own() -> None:
    for number, shown in rows().items():
        numbers = re.findall(r"`test_weakness_([0-9]+)_\w+`", shown)
        assert numbers, f"{number}: no test is called test_weakness_{number:02}_…"
        assert set(numbers) == {f"{number:02}"}, f"{number}: a test of another weakness"


def test_all_tests_that_are_called_by_a_number_are_in_the_table() -> None:
    called = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(
            r"^ *def (test_weakness_[0-9]\w*)\(", file.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert called == set(re.findall(r"test_weakness_[0-9]\w*", " ".join(rows().values())))
