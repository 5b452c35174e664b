"""Man pages and Markdown pages: made from the commands, and judged by mandoc."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.command_pages import index, man, markdown, pages

PAGES = {page.name: page for page in pages()}


def test_every_command_has_a_page_with_its_options_and_examples() -> None:
    assert len(PAGES) > 70
    put = PAGES["ocihaul-os-object-put"]
    flags = [flags for _, records in put.options for flags, _ in records]
    assert "--part-size SIZE" in flags
    assert "-h, -?, --help" in flags
    assert all(page.examples for page in PAGES.values() if not page.commands)
    assert all(page.summary for page in PAGES.values())


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_to_pages_and_tables_have_two_columns(name: str) -> None:
    text = markdown(PAGES[name])
    for target in re.findall(r"\]\(([^)]*)\.md\)", text):
        assert target in {*PAGES, "index"}
    for row in text.splitlines():
        if row.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", row)) == 3, row
    assert text.startswith(f"[Commands](index.md)\n\n# {' '.join(PAGES[name].words)}\n")


def test_the_index_lists_all() -> None:
    assert index(list(PAGES.values())).count("](ocihaul") == len(PAGES)


def test_mandoc_finds_nothing(tmp_path: Path) -> None:
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("there is no mandoc here")
    for name, page in PAGES.items():
        (tmp_path / f"{name}.1").write_text(man(page, date="2026-11-27"))
    files = sorted(map(str, tmp_path.glob("*.1")))
    done = subprocess.run(
        [mandoc, "-Tlint", "-W", "warning", *files], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""
    shown = subprocess.run(
        [mandoc, "-Tascii", str(tmp_path / "ocihaul-os-object-put.1")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    plain = re.sub(".\b", "", shown)
    assert "--part-size SIZE" in plain
    assert "ocihaul os object put -bn backups --file db-20261127.tar\n" in plain
    assert "session's token" in plain


def test_they_are_written_and_pages_of_commands_that_are_gone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "ocihaul-gone.1").touch()
    subprocess.run(
        [
            *(sys.executable, "-m", "tools.command_pages"),
            *("--man", str(tmp_path / "man"), "--markdown", str(tmp_path / "md")),
        ],
        check=True,
        env={"SOURCE_DATE_EPOCH": "1795737600", "PATH": "/usr/bin"},
        cwd=Path(__file__).parents[3],
    )
    assert {path.stem for path in (tmp_path / "man").iterdir()} == set(PAGES)
    assert {path.stem for path in (tmp_path / "md").iterdir()} == {"index", *PAGES}
    assert '"2026-11-27"' in (tmp_path / "man" / "ocihaul.1").read_text().splitlines()[0]
