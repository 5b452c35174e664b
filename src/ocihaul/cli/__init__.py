"""The command line: it reads options and prints; the decisions are made elsewhere.

Only click is imported at the top of these modules. Everything else that is not small is imported
by the function that needs it, so that `ocihaul --version` answers at once.
"""

import sys
import threading
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line `argv` (default: the process's own) and exit with its status."""
    from ocihaul.cli.standard_streams import settle

    settle()
    from ocihaul.cli.app import run, tell_of_dead_thread

    threading.excepthook = tell_of_dead_thread
    sys.exit(run(sys.argv[1:] if argv is None else argv))
