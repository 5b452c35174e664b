"""`exec`: any program, with the session kept alive underneath it."""

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocihaul.cli.flags import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session.profiles import (
    chosen_profiles,
    session_settings,
)

if TYPE_CHECKING:
    from ocihaul.config import Settings
    from ocihaul.events import Event, Listener

COMMAND = ("exec",)
#: How long a renewal under way may take when the program has ended, seconds.
_GRACE = 2.0


@click.command("exec", context_settings={"allow_interspersed_args": False})
@global_options(hidden=True)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND …")
@click.pass_context
def exec_command(
    context: click.Context,
    /,
    *,
    command: tuple[str, ...],
) -> None:
    """Run a program with the session kept alive underneath it.

    The token's file is renewed before it expires, and the environment names the profile
    (OCI_CLI_PROFILE, OCI_CLI_CONFIG_FILE, OCI_CONFIG_FILE, OCI_CLI_AUTH). Signals, streams and
    the exit status are the program's own; 127 if it is not found, 126 if it cannot be run.
    """
    given = context.ensure_object(Given)
    (profile,) = chosen_profiles(given, ())
    settings = session_settings(given, profile, command=COMMAND)
    listener = _listener(debug=given.debug)
    _say_all([*map(in_flags, settings.notices), *given.notices()], listener)
    code = _exec(settings, on_our_session(command), given=given, listener=listener)
    raise click.exceptions.Exit(code)


def _exec(
    settings: "Settings",
    command: Sequence[str],
    *,
    given: Given,
    listener: "Listener",
) -> int:
    from ocihaul.cli.child import CannotRun, blocked_signals, run_child
    from ocihaul.cli.park_hooks import pause_listeners
    from ocihaul.cli.signals import stopping
    from ocihaul.errors import TransferCancelled
    from ocihaul.events import audience
    from ocihaul.printing import say
    from ocihaul.session.keeper.keeper import close_gently
    from ocihaul.session.session import Session

    environ = child_environment(os.environ, settings, given)
    with ExitStack() as stack:
        with stopping() as stopper:
            others = stack.enter_context(pause_listeners(settings, listener, stopper.stop))
            session = Session.from_settings(
                settings,
                listener=audience(listener, *others),
                stop=stopper.stop,
                session_wait=settings.session_options.session_wait,
            )
            session.ensure_valid()  # renews what is due: the program begins with the longest life
            if stopper.stop.is_set():
                raise TransferCancelled("stopped before the program was started")
        # From here on signals are the program's business; the session's thread inherits the mask.
        stack.enter_context(blocked_signals())
        session.start()
        try:
            return run_child(command, environ)
        except CannotRun as error:
            say(sys.stderr, f"ocihaul exec: {error}")
            return error.code
        finally:
            close_gently(session, stopper.stop, grace=_GRACE)


def on_our_session(command: Sequence[str]) -> Sequence[str]:
    """The official CLI reads its token once: where it can be, it is run in-process on a session."""
    if Path(command[0]).name not in {"oci", "oci.exe"}:
        return command
    from ocihaul.integrations import oci_cli

    if not oci_cli.is_installed():
        return command
    return [sys.executable, "-m", oci_cli.__name__, *command[1:]]


def child_environment(
    environ: Mapping[str, str], settings: "Settings", given: Given
) -> dict[str, str]:
    """The environment that leads the OCI tools to this session: documented variables only."""
    ours = {"OCI_CLI_PROFILE": settings.profile, "OCI_CLI_AUTH": "security_token"}
    if settings.config_file is not None:
        path = str(settings.config_file.absolute())
        ours |= {"OCI_CLI_CONFIG_FILE": path, "OCI_CONFIG_FILE": path}
    if region := given.values.get("region"):
        ours["OCI_CLI_REGION"] = region
    return {**environ, **ours}


def _listener(*, debug: bool) -> "Listener":
    """Lines on stderr when something is wrong; with `--debug`, everything."""
    from ocihaul.cli.event_text import EventFormatter, is_public
    from ocihaul.cli.progress import PlainOutput
    from ocihaul.events import (
        ClockCorrected,
        LoginOffered,
        Notice,
        RenewalFailed,
        SessionPaused,
        SessionResumed,
    )

    wrong = (ClockCorrected, LoginOffered, Notice, SessionPaused, RenewalFailed, SessionResumed)
    screen, speaker = PlainOutput(sys.stderr), EventFormatter(label="ocihaul: ")
    lock = threading.Lock()  # guards the speaker's memory

    def hear(event: "Event") -> None:
        if not debug and not isinstance(event, wrong):
            return
        with lock:
            lines = speaker.lines(event, at=time.monotonic(), now=time.time())
        for line in lines:
            screen.say(line, public=is_public(event))

    return hear


def _say_all(texts: Sequence[str], listener: "Listener") -> None:
    from ocihaul.events import Notice

    for text in texts:
        listener(Notice(text))
