"""The pages of the site: docs/ as it is, and what is made of the code.

    python -m tools.site build/docs

The commands' pages come from the commands themselves: those in docs/commands/, where there are any,
else one page for each command of ours. The files of deploy/ become pages, too, so that a link to
one leads somewhere. zensical makes the site of it (`make docs`).
"""

import html
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ocihaul.cli.app import app

ROOT = Path(__file__).parents[1]
#: Files of the root that are pages of the site.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
LANGUAGES = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".sh": "sh",
    ".sbatch": "sh",
    ".hcl": "hcl",
}


def main(argv: list[str] | None = None) -> int:
    """Write all pages into the directory that is named; what was in it goes."""
    (target,) = map(Path, sys.argv[1:] if argv is None else argv)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target)
    for name, made in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        (target / made).write_text(text.replace("](docs/", "]("), encoding="utf-8")
    deploy_pages(target / "deploy")
    for page in target.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(_linked(text, page, target), encoding="utf-8")
    if not (target / "commands").exists():
        command_pages(target / "commands")
    print(f"{target}: {len(list(target.rglob('*.md')))} pages")
    return 0


def _linked(text: str, page: Path, target: Path) -> str:
    """Links to deploy/ and its files in the repository lead to their pages."""
    up = "../" * (len(page.relative_to(target).parts) - 1)

    def page_of(link: re.Match[str]) -> str:
        return f"]({up}deploy/{link[1]}.md)" if link[1] else f"]({up}deploy/index.md)"

    return re.sub(r"\]\((?:\.\./)+deploy/([^)#]*)\)", page_of, text)


def deploy_pages(place: Path) -> None:
    """A page for each file in deploy/, and one that lists them."""
    place.mkdir(parents=True)
    index = ["# Files to begin with", "", "All of deploy/: copy what you need.", ""]
    for file in sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()):
        name = file.relative_to(ROOT / "deploy")
        page = place / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        language = LANGUAGES.get(file.suffix, "ini" if "systemd" in name.parts else "text")
        text = file.read_text(encoding="utf-8").rstrip()
        page.write_text(f"# deploy/{name}\n\n````{language}\n{text}\n````\n", encoding="utf-8")
        index.append(f"* [{name}]({name}.md): {_first_sentence(text)}")
    (place / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")


def _first_sentence(text: str) -> str:
    """What a file's first comment says of it."""
    comment = next((line for line in text.splitlines() if re.match(r"# \S", line)), "")
    sentence = re.split(r"(?<=[.:;])\s|: ", comment[2:], maxsplit=1)[0]
    return sentence.rstrip(".:;,") or "a board for Grafana"


def commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it, with their contexts."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, click.Context(below, context, info_name=name))


def command_pages(place: Path) -> None:
    """A page for each command, and one that lists them."""
    place.mkdir(parents=True)
    index = ["# Commands", "", "| command | |", "|---|---|"]
    for command, context in commands(app, click.Context(app, info_name="ocihaul")):
        path = context.command_path
        file = f"{path.replace(' ', '-')}.md"
        usage = " ".join(command.collect_usage_pieces(context))
        text = [
            f"# {path}",
            "",
            *_paragraphs(command.help or ""),
            "",
            "```",
            f"{path} {usage}",
            "```",
        ]
        text += [*_options(command, context), ""]
        (place / file).write_text("\n".join(text), encoding="utf-8")
        index.append(f"| [{path}]({file}) | {_cell(command.get_short_help_str(200))} |")
    (place / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")


def _paragraphs(text: str) -> list[str]:
    """Help as Markdown: click's \\b keeps the lines of a paragraph."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in paragraph.splitlines()]
        kept = lines[0] == "\b"
        found += ["```", *lines[1:], "```", ""] if kept else [_plain(" ".join(lines)), ""]
    return found[:-1]


def _options(command: click.Command, context: click.Context) -> list[str]:
    records = [
        record
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None
    ]
    if not records:
        return []
    rows = [f"| {_code(names)} | {_cell(text)} |" for names, text in records]
    return ["", "| option | |", "|---|---|", *rows]


def _code(text: str) -> str:
    """Code in a table's cell, where a bar would end it."""
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


def _plain(text: str) -> str:
    return re.sub(r"([<>*_\[\]])", r"\\\1", text)


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
