"""A man page and a Markdown page for each command, made from the commands themselves.

    python -m tools.command_pages --man build/man --markdown build/commands

The parts are those of --help: what a command does, its options in groups, examples.
"""

import argparse
import html
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ocihaul import __version__
from ocihaul.cli.app import app
from ocihaul.cli.help import examples_of, option_groups, path_of

_GLOBAL = "The global options of ocihaul(1) work here too, before or after the command."
_EXITS = (
    ("0", "Done."),
    ("1", "Failed; of a directory, some files failed."),
    ("2", "The command line is wrong."),
    ("75", "Interrupted by something that passes: run again, the same command resumes."),
    ("130", "Ended by a signal; run again, the same command resumes."),
)


@dataclass(frozen=True, slots=True)
class Page:
    """One command: `words` are its name in parts, `options` (flags, help) by group."""

    words: tuple[str, ...]
    usage: str
    summary: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    commands: tuple[tuple[str, str], ...]
    examples: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name of its file, without a suffix."""
        return "-".join(self.words)


def pages() -> Iterator[Page]:
    """All of them, groups before what is in them."""
    yield from _pages(app, click.Context(app, info_name="ocihaul", **app.context_settings))


def _pages(command: click.Command, context: click.Context) -> Iterator[Page]:
    below = []
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            if each is not None and not each.hidden:
                below.append((name, each))
    paragraphs = tuple(
        " ".join(text.split()) for text in (command.help or "").split("\n\n") if text.strip()
    )
    yield Page(
        words=tuple(context.command_path.split()),
        usage=" ".join(command.collect_usage_pieces(context)),
        summary=paragraphs[0].rstrip(".") if paragraphs else "",
        paragraphs=paragraphs,
        options=tuple(
            (title, tuple(_records(options, context)))
            for title, options in option_groups(command, context)
        ),
        commands=tuple((name, each.get_short_help_str(200)) for name, each in below),
        examples=tuple(examples_of(path_of(context))),
    )
    for name, each in below:
        yield from _pages(
            each, click.Context(each, info_name=name, parent=context, **each.context_settings)
        )


def _records(options: Sequence[click.Option], context: click.Context) -> Iterator[tuple[str, str]]:
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            yield record


# Man pages


def man(page: Page, *, date: str) -> str:
    """The page in the macros of man(7)."""
    title = _quoted(page.name.upper())
    lines = [f'.TH {title} 1 "{date}" "ocihaul {__version__}" "ocihaul"']
    lines += [".SH NAME", f"{_text(page.name)} \\- {_text(page.summary)}"]
    lines += [".SH SYNOPSIS", f".B {_text(' '.join(page.words))}", _text(page.usage)]
    paragraphs = [*page.paragraphs, _GLOBAL] if len(page.words) > 1 else page.paragraphs
    lines += [".SH DESCRIPTION", "\n.PP\n".join(map(_text, paragraphs))]
    lines += _man_commands(page)
    lines += _man_options(page)
    lines += [".SH EXIT STATUS"]
    lines += [line for code, text in _EXITS for line in (".TP", f".B {code}", _text(text))]
    lines += _man_examples(page)
    lines += [".SH SEE ALSO", _see_also(page), ""]
    return "\n".join(lines)


def _man_commands(page: Page) -> Iterator[str]:
    if page.commands:
        yield ".SH COMMANDS"
    for name, text in page.commands:
        yield from (".TP", f".BR {_text(f'{page.name}-{name}')} (1)", _text(text))


def _man_options(page: Page) -> Iterator[str]:
    if page.options:
        yield ".SH OPTIONS"
    for title, records in page.options:
        if len(page.options) > 1:
            yield f".SS {_quoted(title)}"
        for flags, text in records:
            yield from (".TP", f".B {_text(flags)}", _text(text) or "\\&")


def _man_examples(page: Page) -> Iterator[str]:
    if page.examples:
        yield ".SH EXAMPLES"
    for number, (what, line) in enumerate(page.examples):
        if number:
            yield ".PP"
        yield from (f"{_text(what)}:", ".PP", ".nf", ".RS", *map(_text, line.splitlines()))
        yield from (".RE", ".fi")


def _see_also(page: Page) -> str:
    above = ["-".join(page.words[:depth]) for depth in range(1, len(page.words))]
    if not above:
        return ".BR ocihaul-help (1)"
    last = len(above) - 1
    return "\n".join(
        f".BR {_text(name)} (1){',' * (number < last)}" for number, name in enumerate(above)
    )


def _text(text: str) -> str:
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


# Markdown


def markdown(page: Page) -> str:
    """The page in Markdown."""
    lines = ["[Commands](index.md)", "", f"# {' '.join(page.words)}", ""]
    lines += ["```sh", " ".join([*page.words, page.usage]), "```", ""]
    for paragraph in page.paragraphs:
        lines += [_escaped(paragraph), ""]
    if len(page.words) > 1:
        lines += [
            "The [global options](ocihaul.md) work here too, before or after the command.",
            "",
        ]
    if page.commands:
        lines += ["## Commands", "", "| command | what it does |", "|---|---|"]
        for name, text in page.commands:
            lines.append(f"| [{name}]({page.name}-{name}.md) | {_cell(text)} |")
        lines.append("")
    for title, records in page.options:
        lines += [f"## {title}", "", "| option | what it does |", "|---|---|"]
        lines += [f"| {_code(flags)} | {_cell(text)} |" for flags, text in records]
        lines.append("")
    if page.examples:
        lines += ["## Examples", ""]
        for what, line in page.examples:
            lines += [f"{what}:", "", "```sh", line, "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def index(all_pages: Sequence[Page]) -> str:
    """The page that lists them."""
    lines = ["# Commands", "", "| command | what it does |", "|---|---|"]
    lines += [
        f"| [{' '.join(page.words)}]({page.name}.md) | {_cell(page.summary)} |"
        for page in all_pages
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text outside of backticks, whose characters mean nothing."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<>\[\]|\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _cell(text: str) -> str:
    return _escaped(text).replace("\n", " ")


def _code(text: str) -> str:
    """Code in a table's cell, where a bar would end it."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>"


def write_markdown(place: Path) -> None:
    """Write a Markdown page for each command, and the one that lists them."""
    found = list(pages())
    texts = {f"{page.name}.md": markdown(page) for page in found}
    write(place, {"index.md": index(found), **texts})


def write(place: Path, files: dict[str, str]) -> None:
    """Write the files, and remove pages of commands that are gone."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    for old in place.glob("*.*"):
        if old.suffix in {".1", ".md"} and old.name not in files:
            old.unlink()


def main() -> None:
    """Write them where the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--man", type=Path, metavar="DIRECTORY")
    parser.add_argument("--markdown", type=Path, metavar="DIRECTORY")
    given = parser.parse_args()
    found = list(pages())
    if given.man is not None:
        moment = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
        date = time.strftime("%Y-%m-%d", time.gmtime(moment))
        write(given.man, {f"{page.name}.1": man(page, date=date) for page in found})
    if given.markdown is not None:
        write_markdown(given.markdown)


if __name__ == "__main__":
    main()
