"""README.md and README.ja.md say the same, and what examples everybody copies are right."""

import re
from collections import Counter
from itertools import zip_longest

import pytest

from tests.tables import ROOT

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The page for one language where the other has its own, and what only one has to say.
_COUNTERPARTS = {
    "docs/ja/operator.md": "docs/tutorials/operator.md",
    "README.ja.md": "README.md",
    "<このリポジトリ>": "<this repository>",
}
#: Words that were wrong in Japanese: money for cost, the printer's edition, an umpire, a floor
#: plan, a murder; and a lot where cars are parked.
_WRONG = ("CPU の費用", "CPU 費用", "旧版", "新版", "審判", "部屋割り", "殺され", "駐車")


def sections(text: str) -> list[str]:
    for other, one in _COUNTERPARTS.items():
        text = text.replace(other, one)
    return re.split(r"^## ", text, flags=re.MULTILINE)


def commands(section: str) -> list[list[str]]:
    """The blocks of code, without what is said in comments."""
    found = [re.sub(r" *#.*", "", text).splitlines() for _, text in _BLOCK.findall(section)]
    return [[line for line in lines if line.strip()] for lines in found]


def words(section: str) -> Counter[str]:
    """What is code in the text, and where links lead."""
    text = _BLOCK.sub("", section)
    code = (re.sub(r"\s+", "", each) for each in re.findall(r"`([^`]+)`", text))
    return Counter(code) + Counter(set(re.findall(r"\]\(([^)]+)\)", text)))


def shape(section: str) -> tuple[int, int]:
    """How many items its lists have, and its tables rows."""
    text = _BLOCK.sub("", section)
    return len(re.findall(r"^\* ", text, re.MULTILINE)), len(re.findall(r"^\|", text, re.MULTILINE))


@pytest.mark.parametrize("number", range(1, 10))
def test_finding_d17_each_section_of_both_readmes_says_the_same(number: int) -> None:
    english, japanese = sections(ENGLISH)[number], sections(JAPANESE)[number]
    for one, other in zip_longest(commands(english), commands(japanese)):
        assert one == other
    assert words(english) == words(japanese)
    assert shape(english) == shape(japanese)


def test_finding_d17_the_readmes_have_the_same_sections_and_say_what_is_translated() -> None:
    assert len(sections(ENGLISH)) == len(sections(JAPANESE)) == 10
    assert commands(sections(ENGLISH)[0]) == commands(sections(JAPANESE)[0])
    assert "docs/ja/operator.md" in ENGLISH.partition("\n## ")[0]
    assert "docs/ja/operator.md" in JAPANESE.partition("\n## ")[0]


@pytest.mark.parametrize("page", ["README.ja.md", "docs/ja/operator.md"])
def test_finding_d17_no_word_is_the_wrong_one(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [word for word in _WRONG if word in text] == []


def test_finding_d01_each_example_that_keeps_an_object_has_a_date_in_its_name() -> None:
    pages = [ROOT / "README.md", ROOT / "README.ja.md", *(ROOT / "docs").rglob("*.md")]
    pages += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    pages.append(ROOT / "src/ocihaul/cli/examples.txt")
    found = 0
    for path in pages:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            keeps = re.search(r"--no-overwrite|--if-exists keep", line)
            if keeps is None or "os object put -" not in line:
                continue
            found += 1
            dated = re.search(r"\$\(date |-20\d{6}|\$NAME|\$name|\$\{?OBJECT", line)
            assert dated, f"{path}: {line}"
    assert found >= 5


def test_finding_d16_what_takes_long_stands_behind_a_marker() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    quick = makefile.partition("\ntest: ")[2].partition("\n\n")[0]
    everything = makefile.partition("\ntest-all: ")[2].partition("\n\n")[0]
    assert '-m "not slow"' in quick
    assert "slow" not in everything
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (limit,) = re.findall(r"^timeout = (\d+)$", settings, re.MULTILINE)
    assert int(limit) >= 120, "a busy machine takes its time"
