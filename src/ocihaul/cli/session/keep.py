"""`session keep`: the keeper in the foreground, for systemd, sidecars and supervisors."""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ocihaul.cli.exit_codes import DONE, FAILED, INTERRUPTED, exit_code, worst
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.session import (
    chosen_profiles,
    session_settings,
    several_profiles,
)

if TYPE_CHECKING:
    from ocihaul.config import Settings
    from ocihaul.events import Event, Listener
    from ocihaul.session.keeper import ProfileSupervisor

_KEEP = ("session", "keep")
#: How long `--once` may wait for an auth service that does not answer, seconds.
_ONCE_TIMEOUT = 60.0


@click.command("keep")
@several_profiles
@click.option("--once", is_flag=True, help="Renew what is due, and exit.")
@click.option(
    "--metrics-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write figures in Prometheus' text format there, such as …/textfile/ocihaul.prom.",
)
@global_options(hidden=True, without=("profile", "metrics_file"))
@click.pass_context
def keep(
    context: click.Context,
    /,
    *,
    profiles: tuple[str, ...],
    once: bool,
    metrics_file: Path | None,
) -> None:
    """Keep sessions alive, for every program that reads their files.

    Runs until SIGTERM or SIGINT, and then exits with 0; SIGHUP reads the configuration again.
    An expired session does not end the others: its files are watched, and a new login is
    taken up. With --once the exit status is 1 when a session cannot be renewed any more, and 75
    when its renewal failed for now.
    """
    given = context.ensure_object(Given)

    def load(profile: str) -> "Settings":
        return session_settings(given, profile, command=_KEEP)

    names = chosen_profiles(given, profiles)
    log = KeeperLog(names, debug=given.debug)
    for text in given.notices():
        log.say(text)
    run = _once if once else _keep
    raise click.exceptions.Exit(run(names, load, log, metrics_file))


def _keep(
    names: Sequence[str],
    load: "Callable[[str], Settings]",
    log: "KeeperLog",
    metrics_file: Path | None,
) -> int:
    with signals() as wait:
        from ocihaul.session.keeper import Keeper, Notifier

        keeper = Keeper(
            _supervisors(names, load, log),
            notifier=Notifier.from_environment(os.environ),
            listener=log.listener(""),
            metrics_file=metrics_file,
        )
        keeper.run(wait)
    return DONE


def _once(
    names: Sequence[str],
    load: "Callable[[str], Settings]",
    log: "KeeperLog",
    metrics_file: Path | None,
) -> int:
    from ocihaul.cli.signals import stopping
    from ocihaul.errors import OcihaulError, SessionExpiredError

    codes = {DONE}
    with stopping() as stopper:
        timeout = threading.Timer(_ONCE_TIMEOUT, stopper.stop.set)
        timeout.daemon = True
        timeout.start()
        supervisors = _supervisors(names, load, log)
        for supervisor in supervisors:
            try:
                supervisor.renew_once(stopper.stop)
            except OcihaulError as error:
                if stopper.stop.is_set() and timeout.is_alive():
                    return INTERRUPTED
                log.say(str(error).replace("\n", " "), profile=supervisor.profile)
                codes.add(FAILED if isinstance(error, SessionExpiredError) else exit_code(error))
        timeout.cancel()
    if metrics_file is not None:
        from ocihaul.session.keeper import exposition, write_metrics

        text = exposition((supervisor.sample() for supervisor in supervisors), keeper_up=False)
        write_metrics(metrics_file, text)
    return worst(codes)


def _supervisors(
    names: Sequence[str], load: "Callable[[str], Settings]", log: "KeeperLog"
) -> "list[ProfileSupervisor]":
    from ocihaul.session.keeper import ProfileSupervisor

    return [ProfileSupervisor(name, partial(load, name), log.listener(name)) for name in names]


class KeeperLog:
    """Lines on stderr, with the time and, where there are several, the profile."""

    def __init__(self, profiles: Sequence[str], *, debug: bool) -> None:
        from ocihaul.cli.event_text import EventFormatter
        from ocihaul.cli.progress import PlainOutput

        self._screen = PlainOutput(sys.stderr)
        self._debug = debug
        self._lock = threading.Lock()  # guards the memory of the speakers
        self._speakers = {name: EventFormatter(label=f"{name}: ") for name in profiles}
        self._speakers[""] = EventFormatter()

    def listener(self, profile: str) -> "Listener":
        """What the core tells of one profile."""

        def hear(event: "Event") -> None:
            now = time.time()
            speaker = self._speakers[profile]
            with self._lock:
                lines = speaker.lines(event, at=time.monotonic(), now=now)
            if self._debug:
                lines.append(speaker.stamped(f"DEBUG {event!r}", now))
            for line in lines:
                self._screen.say(line)

        return hear

    def say(self, text: str, *, profile: str = "") -> None:
        """One line of the command's own."""
        from ocihaul.events import Notice

        self.listener(profile)(Notice(text))


@contextlib.contextmanager
def signals() -> Iterator[Callable[[float], str | None]]:
    """Waits that end with a signal: SIGTERM and SIGINT are "stop", SIGHUP is "reload".

    The handlers only leave a note and the kernel wakes the wait through a socket: to set an Event
    in a handler can deadlock with the thread that waits for it.
    """
    notes: list[str] = []
    wakes = {"SIGTERM": "stop", "SIGINT": "stop", "SIGHUP": "reload"}
    ours = {getattr(signal, name): what for name, what in wakes.items() if hasattr(signal, name)}

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a signal handler
        notes.append(ours[signal.Signals(number)])

    def wait(seconds: float) -> str | None:
        if not notes and seconds > 0:
            select.select([reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            reader.recv(4096)
        if "stop" in notes:
            return "stop"
        return notes.pop() if notes else None

    reader, writer = socket.socketpair()
    reader.settimeout(0.0)
    writer.settimeout(0.0)
    before = {number: signal.signal(number, handle) for number in ours}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield wait
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        reader.close()
        writer.close()
