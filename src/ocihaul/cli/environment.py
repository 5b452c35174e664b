"""The process's environment, home and terminal, as values: where `cli/` looks at them."""

import contextlib
import os
import sys
from pathlib import Path


def environment_and_home() -> tuple[dict[str, str], Path]:
    """The environment variables and the home directory."""
    try:
        home = Path.home()
    except RuntimeError:  # a container's user without HOME and without an entry in passwd
        home = Path("~")
    return dict(os.environ), home


def at_terminal() -> bool:
    """Whether a person can read what is said on stderr, and answer on stdin."""
    with contextlib.suppress(ValueError, AttributeError):  # closed, or none at all
        return sys.stdin.isatty() and sys.stderr.isatty()
    return False
