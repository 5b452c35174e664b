"""Locales that are not UTF-8, for commands in processes of their own."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

#: Without any of Python's ways out of plain C: file names are ASCII then.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
#: What cron gives its commands.
CRON = {"LC_ALL": "C"}

_SOURCES = {"en_US.ISO-8859-1": ("en_US", "ISO-8859-1"), "ja_JP.eucJP": ("ja_JP", "EUC-JP")}
NAMES = ("C", "cron", *_SOURCES)


def locale(name: str) -> dict[str, str]:
    """The environment variables of one of NAMES; where it cannot be made, those of ASCII."""
    if name == "cron":
        return CRON
    return _made(name) or ASCII


@cache
def _made(name: str) -> dict[str, str] | None:
    program = shutil.which("localedef")
    if name not in _SOURCES or program is None:
        return None
    language, charmap = _SOURCES[name]
    folder = Path(mkdtemp(prefix="locale-"))
    command = [program, "-i", language, "-f", charmap, str(folder / name)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    return {"LOCPATH": str(folder), "LC_ALL": name}
