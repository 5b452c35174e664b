"""Run a page of docs/ as a reader would: its blocks in order, in one shell.

* A block of `sh` is run. `console` shows what is done elsewhere, and is not.
* A block with a title (`python title="backup.py"`) is that file.
* A block of `cron` is a crontab: its command is run with cron's environment.
* A block of `text` behind one that was run is what it says: each line has to come, in that order,
  and `…` is anything.
* `<!-- needs docker -->` in front of a block: it is run where that is there.

The emulator's port 8080 becomes one that is free.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- needs (?P<needs>\w+) -->\n)?"
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = "=== block"


@dataclass(frozen=True)
class Block:
    """One block of code, and the line of the page on which it begins."""

    line: int
    language: str
    title: str | None
    needs: str | None
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """All of a page."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(line, found["language"], found["title"], found["needs"], found["text"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _crontab(text: str, environ: Mapping[str, str]) -> str:
    """The commands of a crontab, as shell: cron's own environment and nothing else."""
    given = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    given["PATH"] = f"{environ['PATH'].split(':', 1)[0]}:{given.get('PATH', '/usr/bin:/bin')}"
    words = " ".join(f"{name}='{value}'" for name, value in given.items())
    lines = re.findall(r"^(?:[\d*,/-]+ ){5}(.+)$", text, re.MULTILINE)
    assert lines, "a crontab without a command"
    return "".join(
        f"env -i HOME=\"$HOME\" {words} /bin/sh -c '{line}' < /dev/null\n" for line in lines
    )


@dataclass
class Tried:
    """What came of a page."""

    output: str
    ran: int


def try_page(page: Path, home: Path, *, having: Mapping[str, str] = {}) -> Tried:
    """Run a page in an empty home; `having` adds programs: their names and what they do, as shell.

    Raises AssertionError with what was said where a block fails or says something else.
    """
    environ = _environ(home, having)
    port = str(_free_port())
    script, expected = ["set -e\n"], dict[int, str]()
    last: int | None = None
    for number, block in enumerate(blocks(page)):
        text = block.text.replace("8080", port)
        if block.needs is not None and block.needs not in having:
            last = None
        elif block.language == "text":
            if last is not None:
                expected[last] = text
        elif block.title is not None:
            (home / block.title).parent.mkdir(parents=True, exist_ok=True)
            (home / block.title).write_text(text)
            last = None
        elif block.language in {"sh", "cron"}:
            run = text if block.language == "sh" else _crontab(text, environ)
            script.append(f"echo '{_MARK} {number} (line {block.line})'\n{run}\n")
            last = number
        else:
            last = None
    output = _run("".join(script), home, environ)
    for number, text in expected.items():
        _compare(page, output, number, text)
    return Tried(output, len(script) - 1)


def _environ(home: Path, having: Mapping[str, str]) -> dict[str, str]:
    programs = home / ".programs"
    programs.mkdir()
    ours = {"ocihaul": f'exec "{sys.executable}" -m ocihaul "$@"'}
    ours |= dict.fromkeys(("python3", "python"), f'exec "{sys.executable}" "$@"')
    # The page may be run at midnight, and has one day from its first command to its last.
    ours["date"] = f'exec "{shutil.which("date")}" --date=@{int(time.time())} "$@"'
    for name, text in {**ours, **having}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (home / "ocihaul").symlink_to(ROOT)
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {"PATH": f"{programs}:{path}", "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}


def _run(script: str, home: Path, environ: Mapping[str, str]) -> str:
    with (home / ".output").open("w+") as told:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=home,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(timeout=200)
        finally:
            # What the page has left running; nothing, where it tidies up.
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                left = False
            else:
                left = True
        told.seek(0)
        output = told.read()
    assert code == 0, f"exit {code}:\n{output}"
    assert not left, f"something still runs:\n{output}"
    return output


def _compare(page: Path, output: str, number: int, text: str) -> None:
    """Hold a block's output to the page."""
    _, _, rest = output.partition(f"{_MARK} {number} ")
    said = rest.partition("\n")[2].partition(f"{_MARK} ")[0]
    parts = (re.escape(part.strip()) for part in re.split(r"\n|…", text) if part.strip())
    pattern = ".*?".join(parts)
    assert re.search(pattern, said, re.DOTALL), f"{page.name}: wanted\n{text}\nin\n{said}"
