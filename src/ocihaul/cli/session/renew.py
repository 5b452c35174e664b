"""`session keep`, `refresh` and `mint`: a session kept alive, or renewed once by hand."""

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
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import DONE, FAILED, INTERRUPTED, environment_and_home, exit_code, worst
from ocihaul.cli.session import (
    Say,
    chosen_profiles,
    for_each,
    say_notice,
    session_settings,
    several_profiles,
)
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    from ocihaul.config import Settings
    from ocihaul.events import Event, Listener
    from ocihaul.session.keeper import Keeper, ProfileSupervisor


_REFRESH = ("session", "refresh")


@click.command("refresh")
@several_profiles
@global_options(hidden=True, without=("profile",))
@click.pass_context
def refresh(context: click.Context, /, *, profiles: tuple[str, ...]) -> None:
    """Refresh the tokens of sessions, for every program that reads their files.

    The exit status is 1 when a session has expired or a token's end did not move, and 75 when the
    auth service gave no usable answer: then the same command may work later.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    for text in given.notices():
        say_notice(text)
    code = for_each(names, lambda name, say: _refresh(given, name, say), debug=given.debug)
    raise click.exceptions.Exit(code)


def _refresh(given: Given, profile: str, say: Say) -> int:
    from ocihaul.cli.signals import stopping
    from ocihaul.clock import ServerClock
    from ocihaul.errors import RenewalUnavailable, SessionExpiredError, TransferCancelled
    from ocihaul.filesystem import UNSYNCED
    from ocihaul.quantities import utc_text
    from ocihaul.session.providers import ATTEMPTS, refresh_once
    from ocihaul.session.session import dialer_for, refresh_for, store_for

    settings = session_settings(given, profile, command=_REFRESH)
    for text in map(in_flags, settings.notices):
        say(f"Notice: {text}")
    if settings.auth_endpoint:
        url = f"{settings.auth_endpoint}/v1/authentication/refresh"
        say(f"Attempting to refresh token from {url}")
    store = store_for(settings)
    with stopping() as stopper:
        try:
            refreshed = refresh_once(
                store,
                refresh_for(settings, dialer_for(settings), ServerClock(), stopper.stop),
                timeout=settings.read_timeout,
                attempts=settings.max_attempts or ATTEMPTS,
                stop=stopper.stop,
            )
        except SessionExpiredError as error:
            say(in_flags(str(error)))
            return FAILED  # as the official CLI: no later run of this command will succeed
        except RenewalUnavailable:
            if stopper.stop.is_set():
                raise TransferCancelled("stopped before the token was refreshed") from None
            raise
    if refreshed.by_another:
        say("Another process has just refreshed it")
    if not store.durable:
        say(f"Notice: {UNSYNCED}")
    say("Successfully refreshed token")
    say(f"It is valid until {utc_text(refreshed.token.expires_at)}")
    return DONE


_MINT = ("session", "mint")


@click.command("mint")
@global_options(hidden=True)
@click.pass_context
def mint(context: click.Context, /, **_: Any) -> None:
    """Mint a new token for the profile's own key, with the API key of --renew-with.

    The key stays, so every copy of it stays good: only the token is replaced.
    """
    raise click.exceptions.Exit(_mint(context.ensure_object(Given)))


def _mint(given: Given) -> int:
    from dataclasses import replace

    from ocihaul.cli.session.login import lasting, run_mint, say_event
    from ocihaul.cli.signals import stopping
    from ocihaul.config import resolve
    from ocihaul.printing import say
    from ocihaul.session.login.profile_files import write_token
    from ocihaul.session.session import public_key_of, store_for

    environ, home = environment_and_home()
    flags = replace(given.flags(), auth="security_token")
    settings = resolve(flags, environ, home, command=_MINT)
    for text in [*map(in_flags, settings.notices), *given.notices()]:
        say_notice(text)
    if settings.minting is None or settings.token_file is None:
        raise UsageError(
            "--renew-with is missing",
            hint="Name the profile of the config file whose API key signs, or set "
            "OCIHAUL_RENEW_WITH.",
        )
    with stopping() as stopper:
        token = run_mint(
            settings.minting,
            public_key_of(settings),
            minutes=settings.session_options.minutes,
            listener=say_event,
            stop=stopper.stop,
        )
    write_token(store_for(settings), token)
    say(sys.stderr, lasting(token), f"Token written to: {settings.token_file}")
    return 0


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
        _keeper(_supervisors(names, load, log), log, metrics_file).run(wait)
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
    _keeper(supervisors, log, metrics_file).publish(keeper_up=False)
    return worst(codes)


def _supervisors(
    names: Sequence[str], load: "Callable[[str], Settings]", log: "KeeperLog"
) -> "list[ProfileSupervisor]":
    from ocihaul.session.keeper import ProfileSupervisor

    return [ProfileSupervisor(name, partial(load, name), log.listener(name)) for name in names]


def _keeper(
    supervisors: "Sequence[ProfileSupervisor]", log: "KeeperLog", metrics_file: Path | None
) -> "Keeper":
    from ocihaul.session.keeper import Keeper, Notifier

    return Keeper(
        supervisors,
        notifier=Notifier.from_environment(os.environ),
        listener=log.listener(""),
        metrics_file=metrics_file,
    )


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
