"""The tutorials of docs/, run from their first command to their last."""

import shutil
from pathlib import Path

import pytest

from tests.pages import DOCS, blocks, try_page

PAGES = ["operator", "terminal", "platform", "python"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, tmp_path: Path) -> None:
    tried = try_page(DOCS / "tutorials" / f"{page}.md", tmp_path)
    assert tried.ran >= 6


def test_the_japanese_way_is_the_english_one_which_is_run() -> None:
    """Prose and comments are translated; commands and what they say are the same."""

    def commands(page: str) -> list[str]:
        found = [f"{block.language} {block.needs}\n{block.text}" for block in blocks(DOCS / page)]
        return ["\n".join(line.partition("  #")[0] for line in text.split("\n")) for text in found]

    assert commands("ja/operator.md") == commands("tutorials/operator.md")
