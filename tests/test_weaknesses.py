"""The table of weaknesses names a test for each, and each of these tests is there."""

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
