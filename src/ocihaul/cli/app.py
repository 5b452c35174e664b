"""The tree of commands, and the one place where an error becomes text and an exit status."""

from collections.abc import Sequence

import click

from ocihaul import __version__
from ocihaul.cli.elsewhere import NotOurs, Tree, run_elsewhere
from ocihaul.cli.exit_codes import DONE, FAILED, INTERRUPTED, UNREAD, USAGE, exit_code
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.objects import os_commands

SETTINGS = {"help_option_names": ["-h", "-?", "--help"]}


@click.group(cls=Tree, context_settings=SETTINGS)
@click.version_option(__version__, "-v", "--version", message="%(prog)s %(version)s")
@global_options()
def app() -> None:
    """Oracle Cloud (OCI) transfers on sessions that do not die.

    The commands take the flags of the stock `oci` CLI as they are. The options below may stand
    before or after the command; the last one wins. Every other command of the stock CLI works
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
os_commands.add_to(object_storage, objects)
app.add_places(
    {
        "session": "session.group:session",
        "exec": "exec_command:exec_command",
        "doctor": "doctor:doctor",
        "receipts": "receipts:receipts",
        "uploads": "uploads:uploads",
        "verify": "verify:verify",
    }
)


@app.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def emulator(args: tuple[str, ...]) -> None:
    """A small OCI on this machine, to develop and test against (see: emulator --help)."""
    from ocihaul.cli.core import run_emulator

    raise click.exceptions.Exit(run_emulator(list(args)))


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit status; errors are told on stderr."""
    given = Given()
    try:
        outcome = app.main(list(argv), prog_name="ocihaul", standalone_mode=False, obj=given)
    except NotOurs as command:
        return run_elsewhere(argv, command.name)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return DONE
    except click.ClickException as error:
        _tell(_usage_text(error))
        return USAGE
    except click.Abort as error:
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else FAILED
    except SystemExit:
        return UNREAD  # out of click this comes only when a write says EPIPE
    except BrokenPipeError:
        return UNREAD  # whoever read our output has gone; there is nobody to tell
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  nothing may end in a traceback
        from ocihaul.cli.complain import error_text

        _tell(error_text(error, debug=given.debug))
        return exit_code(error)
    return outcome if isinstance(outcome, int) else DONE


def _usage_text(error: click.ClickException) -> str:
    text = f"Error: {error.format_message()}"
    context = getattr(error, "ctx", None)
    if context is not None:
        text = f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n{text}"
    return text


def _tell(text: str) -> None:
    from ocihaul.redaction import redact

    click.echo(redact(text), err=True)
