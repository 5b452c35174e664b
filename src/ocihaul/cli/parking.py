"""What a person wants to happen when the session parks: a command (`--on-park`), a login."""

import os
import subprocess
import threading
from datetime import UTC, datetime

from ocihaul.cli.foretelling import Say
from ocihaul.cli.session.login_offer import LoginOffer
from ocihaul.cli.surroundings import surroundings
from ocihaul.config import Settings
from ocihaul.events import Event, Listener, Notice, Parked


def park_listeners(settings: Settings, say: Say, stop: threading.Event) -> list[Listener]:
    """Those that the settings' wishes ask for; they report through `say`."""
    wishes = settings.wishes
    listeners: list[Listener] = []
    if wishes.on_park:
        listeners.append(ParkHook(wishes.on_park, say))
    if wishes.login:
        environ, home = surroundings()
        listeners.append(LoginOffer(settings, say, stop, environ=environ, home=home))
    return listeners


class ParkHook:
    """A listener that runs `command` once for each park, without waiting for it."""

    def __init__(self, command: str, say: Say) -> None:
        self._command = command
        self._say = say
        self._until: float | None = None

    def __call__(self, event: Event) -> None:
        """Run the command when a park begins; Parked events of one park have one deadline."""
        if isinstance(event, Parked) and event.until != self._until:
            self._until = event.until
            threading.Thread(target=self._run, args=[event], name="on-park", daemon=True).start()

    def _run(self, event: Parked) -> None:
        environ = {
            **os.environ,
            "OCIHAUL_PARK_REASON": event.reason,
            "OCIHAUL_PARK_UNTIL": datetime.fromtimestamp(event.until, UTC).isoformat(),
        }
        try:
            # The person's own command, through the shell, as they wrote it.
            done = subprocess.run(  # noqa: S602
                self._command,
                shell=True,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                text=True,
            )
        except OSError as error:
            self._say(Notice(f"--on-park could not be run: {error}"))
            return
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
            self._say(Notice(f"--on-park ended with status {done.returncode}: {last}"))
