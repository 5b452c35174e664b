"""What a person wants to happen when the session parks: a command (`--on-park`), a login."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ocihaul.cli.foretelling import Say
from ocihaul.cli.session.login_offer import LoginOffer
from ocihaul.cli.surroundings import surroundings
from ocihaul.config import Settings
from ocihaul.events import Event, Listener, Notice, SessionPaused
from ocihaul.threads import started

#: How long a command that is being ended is waited for, seconds.
_PATIENCE = 3.0


@contextmanager
def pause_listeners(
    settings: Settings, say: Say, stop: threading.Event
) -> Iterator[list[Listener]]:
    """Those that the settings' wishes ask for; they report through `say`.

    What they have started ends with `stop`, and with the context.
    """
    wishes = settings.wishes
    listeners: list[Listener] = []
    hook = PauseHook(wishes.on_park, say, stop) if wishes.on_park else None
    if hook is not None:
        listeners.append(hook)
    if wishes.login:
        environ, home = surroundings()
        listeners.append(LoginOffer(settings, say, stop, environ=environ, home=home))
    try:
        yield listeners
    finally:
        if hook is not None:
            hook.close()


class PauseHook:
    """A listener that runs `command` once for each pause, without waiting for it."""

    def __init__(self, command: str, say: Say, stop: threading.Event) -> None:
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
        from ocihaul.cli.hook import environment_value, run_hook

        environ = {
            **os.environ,
            "OCIHAUL_PARK_REASON": environment_value(event.reason),
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
