"""`exec`: any program, with the session kept alive underneath it.

The program runs in our place: its signals, its exit status, its streams. It stays in our process
group. What the terminal sends (Ctrl-C, a new size) the kernel gives to the whole group, so it has
the child already and is not passed on; what is sent to our process alone is. So is a hang-up that
finds us leading the session (`ssh -t host ocihaul exec …`): the kernel tells the leader only. The
two are told apart by the signal's origin, which a handler does not learn and `sigtimedwait` does.
So the signals are blocked in every thread of ours and waited for in the main one, and the child
starts with none blocked.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session import (
    chosen_profiles,
    session_settings,
)

if TYPE_CHECKING:
    from ocihaul.config import Settings
    from ocihaul.events import Event, Listener


_EXEC = ("exec",)
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
    settings = session_settings(given, profile, command=_EXEC)
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
    from ocihaul.cli.hooks import pause_listeners
    from ocihaul.cli.signals import stopping
    from ocihaul.errors import TransferCancelled
    from ocihaul.events import audience
    from ocihaul.printing import say
    from ocihaul.session.keeper import close_gently
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


NOT_EXECUTABLE = 126
NOT_FOUND = 127

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGUSR1", "SIGUSR2")
_PASSED = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
#: `si_code` of a signal that the kernel sent by itself, such as for a key pressed (Linux: 0x80).
_FROM_KERNEL = 0x80
#: How often the child is looked at although nothing was heard of it, seconds.
_LOOK_EVERY = 1.0


class CannotRun(Exception):
    """The program was not started; `code` is what a shell would exit with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def has_signal_waits() -> bool:
    """Whether this system can tell who sent a signal."""
    return hasattr(signal, "sigtimedwait") and hasattr(os, "posix_spawnp")


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Keep the signals for `run_child`. Enter it before any thread is started."""
    if not has_signal_waits():
        yield
        return
    waited = {*_PASSED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_child(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end, inside `blocked_signals`; its exit status, 128+n for a signal.

    Raises CannotRun when it cannot be started.
    """
    try:
        if not has_signal_waits():
            return _run_plainly(argv, environ)
        # Python ignores these two; the child is to find them as every program does.
        undone = [signal.SIGPIPE, signal.SIGXFSZ]
        child = os.posix_spawnp(argv[0], list(argv), environ, setsigmask=[], setsigdef=undone)
    except (FileNotFoundError, NotADirectoryError):
        raise CannotRun(NOT_FOUND, f"{argv[0]}: command not found") from None
    except OSError as error:
        raise CannotRun(NOT_EXECUTABLE, f"{argv[0]}: {error.strerror}") from None
    except ValueError as error:  # a NUL in an argument or in the environment
        raise CannotRun(NOT_EXECUTABLE, f"{argv[0]}: {error}") from None
    return _wait_for(child)


def _wait_for(child: int) -> int:
    waited = {*_PASSED, signal.SIGCHLD}
    while True:
        heard = signal.sigtimedwait(waited, _LOOK_EVERY)
        if heard is not None and heard.si_signo in _PASSED and not _has_reached_all(heard):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, heard.si_signo)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _has_reached_all(heard: signal.struct_siginfo) -> bool:
    """Whether the kernel has given it to the child as well."""
    told_alone = heard.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
    return heard.si_code == _FROM_KERNEL and not told_alone


def _run_plainly(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Without signal waits: Ctrl-C reaches the child by itself, and is not ours to act on."""
    with subprocess.Popen(list(argv), env=dict(environ)) as child:  # noqa: S603  what was asked for
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                code = child.wait()
                return code if code >= 0 else 128 - code
