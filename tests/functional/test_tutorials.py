"""The tutorials of docs/, run from their first command to their last."""

import shutil
from pathlib import Path

import pytest

from tests.pages import DOCS, blocks, try_page

PAGES = ["tutorials/operator.md", "tutorials/terminal.md", "tutorials/platform.md"]
PAGES += ["tutorials/python.md", "ja/operator.md"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, tmp_path: Path) -> None:
    tried = try_page(DOCS / page, tmp_path)
    assert tried.ran >= 6


def test_the_japanese_way_has_the_commands_of_the_english_one() -> None:
    """Comments and prose are translated, commands are not."""

    def commands(page: str) -> list[str]:
        kinds = {"sh", "cron", "console"}
        found = [block.text for block in blocks(DOCS / page) if block.language in kinds]
        return ["\n".join(line.partition("  #")[0] for line in text.split("\n")) for text in found]

    assert commands("ja/operator.md") == commands("tutorials/operator.md")
