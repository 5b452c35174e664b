"""Every command and flag of `oci os` and `oci session`, and what becomes of it here.

    python -m tools.compatibility [--python PYTHON] [--write]

The commands come from the official CLI's own click tree (`tools/official_tree.py`, in the
environment of PYTHON), so a new release shows what is new. `--write` puts the table into
docs/compatibility.md, between its marks; without it the table is printed. The exit status is 1
where the page has another table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ocihaul.cli.app import app

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- commands: begin -->", "<!-- commands: end -->"

#: Flags of every command, which are told once.
_COMMON = {"--help", "-h", "-?", "--from-json"}
_REFUSED = {"--generate-full-command-json-input", "--generate-param-json-input"}
#: Flags that do something else on purpose, by command: the page's table of differences has why.
DIFFERENT: Mapping[str, frozenset[str]] = {
    "os object bulk-delete": frozenset({"--force"}),
    "os object put": frozenset({"--file", "--verify-checksum"}),
    "os object sync": frozenset({"--dest-dir", "--src-dir"}),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--python",
        type=Path,
        default=ROOT / ".venv-official" / "bin" / "python",
        help="the Python that has the official CLI [.venv-official]",
    )
    parser.add_argument("--write", action="store_true", help="write it into docs/compatibility.md")
    options = parser.parse_args(argv)
    told = official_commands(options.python)
    text = "\n".join(table(told["version"], told["commands"]))
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    now, after = rest.split(END)
    if options.write:
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
        return 0
    print(text)
    return int(now.strip() != text.strip())


def official_commands(python: Path) -> Any:
    """The official CLI's commands, as `official_tree` tells them."""
    done = subprocess.run(
        [
            str(python.absolute()),
            str(Path(__file__).with_name("official_tree.py")),
            "os",
            "session",
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def table(version: str, commands: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table's lines, for a page in Markdown."""
    native = sum(ours(each["path"]) is not None for each in commands)
    yield f"Made by `make compatibility` from oci-cli {version}: {native} of {len(commands)}"
    yield "commands are ocihaul's own, the others run through the official CLI. `*` is different on"
    yield "purpose (see above), `!` is a flag that ocihaul's own command does not take."
    yield ""
    yield "| command | how | flags |"
    yield "|---|---|---|"
    for each in commands:
        yield _row(each["path"], each["flags"])


def _row(path: Sequence[str], flags: Sequence[Sequence[str]]) -> str:
    name = " ".join(path)
    command = ours(path)
    wanted = [names for names in flags if not set(names) & (_COMMON | _REFUSED)]
    if command is None:
        return f"| `{name}` | official CLI | {_shown(_longest(names) for names in wanted)} |"
    known = {option for parameter in command.params for option in parameter.opts}
    marked = []
    for names in wanted:
        shown = _longest(names)
        if not set(names) <= known:
            shown += "!" if not set(names) & known else f" ({', '.join(set(names) - known)}!)"
        marked.append(shown + ("*" if _longest(names) in DIFFERENT.get(name, ()) else ""))
    return f"| `{name}` | native | {_shown(marked)} |"


def ours(path: Sequence[str]) -> click.Command | None:
    """Our own command of that path; None where there is none."""
    command: click.Command | None = app
    context = click.Context(app)
    for name in path:
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(context, name)
    return command


def _longest(names: Sequence[str]) -> str:
    return max(names, key=len)


def _shown(flags: Any) -> str:
    return " ".join(f"`{flag.rstrip('!*')}`{flag[len(flag.rstrip('!*')) :]}" for flag in flags)


if __name__ == "__main__":
    sys.exit(main())
