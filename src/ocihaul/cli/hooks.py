"""Commands that run beside a transfer: `--on-park` at a pause, `--on-finish`, `--on-failure`.

A hook of the end has a minute, then it is ended with all it has started. What it does wrong is
said in the log and does not change the exit status. A login (`--login auto`)
begins at a pause, too.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.process import environment_and_home
from ocihaul.cli.run_result import RunResult
from ocihaul.cli.session.login_offer import LoginOffer
from ocihaul.config import Settings
from ocihaul.events import Event, Listener, Notice, SessionPaused
from ocihaul.printing import shown
from ocihaul.threads import started

#: How long a command that is being ended is waited for, seconds.
_PATIENCE = 3.0


@contextmanager
def pause_listeners(
    settings: Settings, say: Listener, stop: threading.Event
) -> Iterator[list[Listener]]:
    """Those that the settings' session_options ask for; they report through `say`.

    What they have started ends with `stop`, and with the context.
    """
    session_options = settings.session_options
    listeners: list[Listener] = []
    hook = PauseHook(session_options.on_park, say, stop) if session_options.on_park else None
    if hook is not None:
        listeners.append(hook)
    if session_options.login:
        environ, home = environment_and_home()
        listeners.append(LoginOffer(settings, say, stop, environ=environ, home=home))
    try:
        yield listeners
    finally:
        if hook is not None:
            hook.close()


class PauseHook:
    """A listener that runs `command` once for each pause, without waiting for it."""

    def __init__(self, command: str, say: Listener, stop: threading.Event) -> None:
        self._command = command
        self._say = say
        self._stop = stop
        self._over = threading.Event()
        self._until: float | None = None
        self._running: list[threading.Thread] = []

    def __call__(self, event: Event) -> None:
        """Run the command when a pause begins; its events have one deadline."""
        if not isinstance(event, SessionPaused) or event.until == self._until:
            return
        self._until = event.until
        thread = threading.Thread(target=self._run, args=[event], name="on-park", daemon=True)
        if started(thread):
            self._running.append(thread)
        else:
            self._say(Notice("--on-park could not be run: there may be no more threads"))

    def close(self) -> None:
        """End what is still running, and wait for its end."""
        self._over.set()
        for thread in self._running:
            thread.join(_PATIENCE)

    def _run(self, event: SessionPaused) -> None:
        environ = {
            **os.environ,
            "OCIHAUL_PARK_REASON": environment_value(in_flags(event.reason)),
            "OCIHAUL_PARK_UNTIL": datetime.fromtimestamp(event.until, UTC).isoformat(),
        }
        try:
            ran = run_hook(
                self._command, environ, lambda: self._over.is_set() or self._stop.is_set()
            )
        except (OSError, ValueError) as error:
            self._say(Notice(f"--on-park could not be run: {error}"))
            return
        if ran is not None and ran[0]:
            self._say(Notice(f"--on-park ended with status {ran[0]}: {ran[1]}"))


#: Bytes of its stderr that are kept.
_TAIL = 4096
#: Bytes read at full speed, and at a time; a command that prints on and on has to wait for us,
#: not we for it: seconds between two reads.
_BURST = 2**20
_READ = 64 * 1024
_PACE = 0.01
#: Seconds between two looks at the command and at whether to end it.
_GLANCE = 0.1
#: Seconds between SIGTERM and SIGKILL.
_GRACE = 1.0
#: Bytes of a value in its environment: the system has a limit on all of them together.
_LONGEST_VALUE = 1024


def environment_value(text: str) -> str:
    """Foreign text as a value for an environment: one line, without secrets, 1 KiB at most."""
    return shown(text).encode()[:_LONGEST_VALUE].decode(errors="ignore")


def run_hook(
    command: str, environ: Mapping[str, str], ended: Callable[[], bool]
) -> tuple[int, str] | None:
    """Run a shell command to its end: its exit status, and the last line of its stderr.

    None when `ended` became true first: then the command and all it started were ended. Raises
    OSError and ValueError when it cannot be started.
    """
    with subprocess.Popen(  # noqa: S602  the user's own command, as it was written
        command,
        shell=True,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as child:
        tail = _follow(child, ended)
        if child.returncode is None:
            _end(child)
            return None
    lines = tail.decode("utf-8", "replace").strip().splitlines()
    return child.returncode, lines[-1] if lines else "without a word"


def _follow(child: "subprocess.Popen[bytes]", ended: Callable[[], bool]) -> bytes:
    """The last of what it says; returns when it has exited, or `ended` is true."""
    assert child.stderr is not None  # noqa: S101  it was asked for
    pipe, tail, read, is_open = child.stderr.fileno(), b"", 0, True
    while not ended():
        exited = child.poll() is not None
        # What it started may hold the pipe open: after its exit only what is there is read.
        if is_open and select.select([pipe], [], [], 0 if exited else _GLANCE)[0]:
            block = os.read(pipe, _READ)
            is_open = block != b""
            tail, read = (tail + block)[-_TAIL:], read + len(block)
            if read > _BURST:
                time.sleep(_PACE)  # one that prints without end shall not cost a core
            continue
        if exited:
            break
        if not is_open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GLANCE)
    return tail


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):  # the last for those that did not hear, too
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)


#: Seconds that a hook may take.
HOOK_TIMEOUT = 60.0


def hook_environment(result: RunResult, log: Path | None) -> Mapping[str, str]:
    """The variables that a hook gets; what there is none of is empty."""
    return {
        "OCIHAUL_STATE": result.state,
        "OCIHAUL_OBJECT": environment_value(result.object),
        "OCIHAUL_BYTES": str(result.bytes),
        "OCIHAUL_EXIT": str(result.exit),
        "OCIHAUL_REASON": environment_value(result.reason or ""),
        "OCIHAUL_RECEIPT": environment_value(result.receipt or ""),
        "OCIHAUL_LOG": environment_value("" if log is None else str(log)),
    }


def run_finish_hooks(
    result: RunResult,
    *,
    on_finish: str | None,
    on_failure: str | None,
    log: Path | None,
    say: Callable[[str], None],
    monotonic: Callable[[], float] = time.monotonic,
    longest: float = HOOK_TIMEOUT,
) -> None:
    """Run those that are asked for, one after the other; what goes wrong is said through `say`."""
    hooks = [("--on-finish", on_finish)]
    if result.exit:
        hooks.append(("--on-failure", on_failure))
    environ = {**os.environ, **hook_environment(result, log)}
    for flag, command in hooks:
        if not command:
            continue
        until = monotonic() + longest
        try:
            ran = run_hook(command, environ, lambda until=until: monotonic() >= until)  # type: ignore[misc]
        except (OSError, ValueError) as error:
            say(f"{flag} could not be run: {error}")
            continue
        if ran is None:
            say(f"{flag} was ended after {longest:.0f} s")
        elif ran[0]:
            say(f"{flag} ended with status {ran[0]}: {ran[1]}")
