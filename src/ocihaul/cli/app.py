"""The tree of commands, and the one place where an error becomes text and an exit status."""

import os
import re
import shutil
import sys
import threading
from collections.abc import Sequence

import click

from ocihaul import __version__
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.groups import Tree, UnknownCommand, run_elsewhere
from ocihaul.cli.objects import add_commands
from ocihaul.cli.process import DONE, FAILED, INTERRUPTED, UNREAD, USAGE, exit_code
from ocihaul.errors import UsageError

#: Options whose values look like keys, and are none.
_CHECKSUMS = re.compile(r"sha|md5|crc|checksum|match")
#: Characters of the shortest secret that is known by its looks: 32 bytes in base64.
_SHORTEST_KEY = 44
#: Columns of help that click writes at least, and what is readable at all.
_CLICKS_NARROWEST, _NARROWEST = 50, 30
#: The variable by which a shell asks what may stand in a line (see completion.py).
SHELL_ASKS = "_OCIHAUL_COMPLETE"
SETTINGS = {"help_option_names": ["-h", "-?", "--help"]}


@click.group(cls=Tree, context_settings=SETTINGS)
@click.version_option(__version__, "-v", "--version", message="%(prog)s %(version)s")
@global_options()
def app() -> None:
    """Oracle Cloud (OCI) transfers on sessions that do not die.

    The commands take the flags of the official `oci` CLI as they are. The options below may stand
    before or after the command; the last one wins. Every other command of the official CLI works
    here too, on the same session, where it is installed: pip install oci-cli
    """


@click.group("os", cls=Tree)
@global_options(hidden=True)
def object_storage() -> None:
    """Object Storage."""


@click.group("object", cls=Tree)
@global_options(hidden=True)
def objects() -> None:
    """Objects in a bucket."""


app.add_command(object_storage)
object_storage.add_command(objects)
add_commands(object_storage, objects)
app.add_places(
    {
        "session": "session:session",
        "completion": "completion:completion",
        "exec": "exec_command:exec_command",
        "cp": "shell.cp:cp",
        "doctor": "doctor:doctor",
        "du": "shell.ls:du",
        "ls": "shell.ls:ls",
        "receipts": "receipts:receipts",
        "report": "report:report",
        "rm": "shell.ls:rm",
        "uploads": "uploads:uploads",
        "verify": "receipts:verify",
    }
)


@app.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def emulator(args: tuple[str, ...]) -> None:
    """A small OCI on this machine, to develop and test against (see: emulator --help)."""
    raise click.exceptions.Exit(run_emulator(list(args)))


@app.command("help", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def help_command(command: tuple[str, ...]) -> None:
    """Help for a command: ocihaul help os object put."""
    words = [word for word in command if word not in {"-h", "-?", "--help"}]
    raise click.exceptions.Exit(run([*words, "--help"]))


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status.

    Raises UsageError when what it is made of is not installed.
    """
    from ocihaul.integrations.extras import EMULATOR, require

    require(EMULATOR, by="the emulator")
    from ocihaul.emulator.cli import main

    try:
        return main(args)
    except SystemExit as ended:  # argparse, after its help or a wrong option
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status; errors are told on stderr."""
    if os.environ.get(SHELL_ASKS):
        from ocihaul.cli.completion import answer

        return answer(app, argv)
    given = Given()
    _hold_misplaced(argv)
    try:
        outcome = app.main(
            list(argv),
            prog_name="ocihaul",
            standalone_mode=False,
            obj=given,
            terminal_width=_narrow_width(),
        )
    except UnknownCommand as command:
        return run_elsewhere(argv, command)
    except click.exceptions.NoArgsIsHelpError as error:
        _help(error.format_message())
        return DONE
    except click.ClickException as error:
        _tell(_usage_text(error))
        return USAGE
    except click.Abort as error:
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else FAILED
    except SystemExit:
        return UNREAD  # out of click this comes only when a write says EPIPE
    except BrokenPipeError:
        return UNREAD  # the reader of our output has gone: there is no one to tell
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  nothing may end in a traceback
        _tell_error(error, given)
        return _code(error)
    return outcome if isinstance(outcome, int) else DONE


def _tell_error(error: Exception, given: Given) -> None:
    if given.errors_as_json:
        return  # it is a line of the log, before the result
    from ocihaul.cli.error_text import error_text

    _tell(error_text(error, debug=given.debug))


def _code(error: Exception) -> int:
    from ocihaul.cli.process import mimics_official_cli, official_code

    code = exit_code(error)
    try:
        return official_code(code) if mimics_official_cli() else code
    except UsageError:
        return code


def tell_of_dead_thread(ended: threading.ExceptHookArgs) -> None:
    """A thread has ended with an error that nothing waits for; set as `threading.excepthook`."""
    from ocihaul.cli.error_text import traceback_text
    from ocihaul.printing import shown

    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    name = ended.thread.name if ended.thread is not None else "?"
    _tell(f"Error in thread {shown(name)}:\n{traceback_text(ended.exc_value)}")


def _help(text: str) -> None:
    from ocihaul.printing import write_answer

    write_answer(sys.stdout, [text, "\n"])


def _hold_misplaced(argv: Sequence[str]) -> None:
    """Keep secrets that stand where a path or a name belongs from being repeated by an error."""
    known = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("OCI_", "OCIHAUL_")) or name.lower().endswith("_proxy")
    }
    if max(map(len, [*argv, *known.values()]), default=0) < _SHORTEST_KEY:
        return
    from ocihaul.redaction import hold_misplaced

    before = ""
    for word in argv:
        name, equals, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if not _CHECKSUMS.search(name):
            hold_misplaced(value if equals else word)
        before = word
    for value in known.values():
        hold_misplaced(value)


def _narrow_width() -> int | None:
    """The columns of a terminal that is narrower than what click writes at least."""
    columns = shutil.get_terminal_size().columns - 2
    return max(columns, _NARROWEST) if columns < _CLICKS_NARROWEST else None


def _usage_text(error: click.ClickException) -> str:
    from ocihaul.printing import shown

    message = error.format_message()
    if isinstance(error, click.MissingParameter):
        message = " ".join(message.split())  # choices stand on lines of their own
    text = f"Error: {shown(message)}"  # it quotes the command line
    context = getattr(error, "ctx", None)
    if context is not None:
        text = f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n{text}"
    return text


def _tell(text: str) -> None:
    from ocihaul.printing import say_text

    say_text(sys.stderr, text)
