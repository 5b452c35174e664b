"""The command line: it reads options and prints; the decisions are made elsewhere.

Only click is imported at the top of these modules. Everything else that is not small is imported
by the function that needs it, so that `ocihaul --version` answers at once.
"""

import sys

TYPE_CHECKING = False  # typing is worth a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

#: As in `process`, whose import may be what is interrupted.
_INTERRUPTED = 130


def main(argv: "Sequence[str] | None" = None) -> "NoReturn":
    """Run the command line `argv` (default: the process's own) and exit with its status."""
    try:
        if argv is None:
            _begin()
        from ocihaul.cli.standard_streams import settle

        settle()
        import threading

        from ocihaul.cli.app import run, tell_of_dead_thread

        threading.excepthook = tell_of_dead_thread
        code = run(sys.argv[1:] if argv is None else argv)
        if argv is None:
            _end()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


def _begin() -> None:
    from ocihaul.cli import process

    process.hear_interrupts()
    process.use_utf8()


def _end() -> None:
    from ocihaul.cli import process

    process.end_silently()
