"""What the scenarios of trees share: making trees, running the command, reading its answer."""

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ocihaul.cli import app
from tests.world import Ran, World

OLD = 1_700_000_000


@dataclass(frozen=True)
class Answer:
    """Exit code, the JSON on stdout (None for none), stdout and stderr."""

    code: int
    json: Any
    out: str
    err: str


def command(*args: str) -> tuple[str, ...]:
    """A command on objects, with a profile and a bucket of ours."""
    name, *rest = args
    place = ("--bucket-name", "backups", "--namespace", "ns1", "--auth", "security_token")
    wait = ("--session-wait", "0", "--region", "us-ashburn-1")
    return ("os", "object", name, *place, *wait, *rest)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(w: World, *args: str, terminal: bool = False) -> Answer:
    """Run it to its end, in this process: what is about processes starts its own."""
    out, err = io.StringIO(), _Terminal() if terminal else io.StringIO()
    with (
        mock.patch.dict(os.environ, w.environ(), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = app.run(command(*args))
    ran = w.checked(Ran(code, out.getvalue(), err.getvalue()))
    try:
        document = json.loads(ran.out) if ran.out else None
    except ValueError:
        document = None
    return Answer(ran.code, document, ran.out, ran.err)


def make(root: Path, *names: str | bytes, old: bool = True) -> Path:
    """Files that hold their own names, old enough for every rule."""
    for name in names:
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
        if old:
            os.utime(path, (OLD, OLD))
    root.mkdir(exist_ok=True)
    return root


def content(root: Path) -> dict[str, bytes]:
    """All files below, by their paths; directories end with "/"."""
    return {
        str(path.relative_to(root)) + ("/" if path.is_dir() else ""): b""
        if path.is_dir()
        else path.read_bytes()
        for path in root.rglob("*")
    }


def operations(w: World) -> dict[str, int]:
    """How often each operation was called."""
    counts: dict[str, int] = {}
    for entry in w.oci.log.entries():
        operation = str(entry.operation)
        counts[operation] = counts.get(operation, 0) + 1
    return counts
