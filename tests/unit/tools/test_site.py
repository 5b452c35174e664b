"""The pages that are made for the site, and what is looked for in the site that came of them."""

import re
from pathlib import Path

import pytest

from tools import check_site, command_pages, site

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "docs"
    assert site.main([str(target)]) == 0
    return target


def test_each_command_of_ours_has_a_page(pages: Path) -> None:
    names = {f"{page.name}.md" for page in command_pages.pages()}
    assert len(names) > 50
    assert names | {"index.md"} == {page.name for page in (pages / "commands").iterdir()}
    put = (pages / "commands" / "ocihaul-os-object-put.md").read_text()
    assert put.startswith("[Commands](index.md)\n\n# ocihaul os object put\n")
    assert "<code>--if-exists [fail&#124;keep&#124;keep-same&#124;replace]</code>" in put
    assert "\\|" not in put


def test_a_link_to_a_file_in_deploy_leads_to_its_page(pages: Path) -> None:
    assert "](../deploy/index.md)" in (pages / "tutorials" / "operator.md").read_text()
    assert "](deploy/slurm/array.sbatch.md)" in (pages / "shards.md").read_text()
    page = (pages / "deploy" / "slurm" / "array.sbatch.md").read_text()
    assert (ROOT / "deploy" / "slurm" / "array.sbatch").read_text().strip() in page


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other.html#there">x</a>', None),
        ('<a href="https://example.com/gone">x</a>', None),
        ('<a href="gone.html">x</a>', "a.html: dead link gone.html"),
        ('<a href="../../etc/passwd">x</a>', "a.html: dead link ../../etc/passwd"),
        ('<a href="other.html#not">x</a>', "a.html: no such place other.html#not"),
        ('<a href="#not">x</a>', "a.html: no such place #not"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/css">', "loads //fonts.example/css"),
        ('<link rel="canonical" href="https://example.com/">', None),
    ],
)
def test_a_site_with_a_fault_is_refused(
    body: str, fault: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.html").write_text(f"<html><body>{body}</body></html>")
    (tmp_path / "other.html").write_text('<h2 id="there">x</h2>')
    assert check_site.main([str(tmp_path)]) == (0 if fault is None else 1)
    assert fault is None or fault in capsys.readouterr().out


def test_styles_are_looked_at_and_an_empty_site_is_none(tmp_path: Path) -> None:
    assert check_site.check(tmp_path) == [f"{tmp_path}: there is no page"]
    (tmp_path / "a.html").write_text("<p>x</p>")
    (tmp_path / "a.css").write_text("@font-face { src: url('https://fonts.example/x.woff2') }")
    assert check_site.check(tmp_path) == ["a.css: loads https://fonts.example/x.woff2"]


def test_every_page_of_docs_is_in_the_navigation(pages: Path) -> None:
    """But those of commands and files, which have a list of their own."""
    named = set(re.findall(r'"([^"]+\.md)"', (ROOT / "zensical.toml").read_text()))
    made = {str(path.relative_to(pages)) for path in pages.rglob("*.md")}
    left = {name for name in made - named if not name.startswith(("commands/", "deploy/"))}
    assert left == set()
    assert named <= made
