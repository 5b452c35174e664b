"""The process's environment and home, as values: the one place where `cli/` looks at them."""

import os
from pathlib import Path


def surroundings() -> tuple[dict[str, str], Path]:
    """The environment variables and the home directory."""
    try:
        home = Path.home()
    except RuntimeError:  # a container's user without HOME and without an entry in passwd
        home = Path("~")
    return dict(os.environ), home
