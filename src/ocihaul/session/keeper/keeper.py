"""Keep the sessions of several profiles alive, for all programs that read their files.

`Keeper` makes the rounds; each profile has a `ProfileSupervisor`. Signals, options and output
belong to the command line.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ocihaul.events import Listener, Notice
from ocihaul.session.keeper.metrics import exposition, write_metrics
from ocihaul.session.keeper.supervisor import ProfileSupervisor
from ocihaul.session.keeper.systemd import Notifier

#: Seconds between two rounds.
_ROUND = 0.5
#: How long renewals under way may take when the keeper is told to stop, seconds.
_GRACE = 0.5

#: Waits the given seconds, or less; returns what ended the wait: "stop", "reload", or None.
Wait = Callable[[float], str | None]


class Keeper:
    """Polls supervisors until it is told to stop."""

    def __init__(
        self,
        supervisors: Sequence[ProfileSupervisor],
        *,
        notifier: Notifier,
        listener: Listener,
        metrics_file: Path | None = None,
    ) -> None:
        self._supervisors = supervisors
        self._notifier = notifier
        self._listener = listener
        self._metrics_file = metrics_file
        self._written: str | None = None
        self._failed: str | None = None

    def run(self, wait: Wait) -> None:
        """Keep all sessions until `wait` says "stop"."""
        woken = self._round(wait)
        self._notifier.ready()
        while woken != "stop":
            if woken == "reload":
                self._notifier.reloading()
                for supervisor in self._supervisors:
                    supervisor.reload()
                self._notifier.ready()
            woken = self._round(wait) or wait(_ROUND)
        self._notifier.stopping()
        self._close()

    def _round(self, wait: Wait) -> str | None:
        """Poll every supervisor, and check for signals after each; return the signal that came."""
        for supervisor in self._supervisors:
            supervisor.poll()
            woken = wait(0)
            if woken is not None:
                return woken
        self.publish(keeper_up=True)
        up = [supervisor.profile for supervisor in self._supervisors if supervisor.is_usable]
        down = [supervisor.profile for supervisor in self._supervisors if not supervisor.is_usable]
        parts = [f"alive: {', '.join(up)}"] if up else []
        parts += [f"without a usable token: {', '.join(down)}"] if down else []
        self._notifier.status("; ".join(parts))
        self._notifier.alive()
        return None

    def publish(self, *, keeper_up: bool) -> None:
        """Write the metrics file, if anything has changed."""
        if self._metrics_file is None:
            return
        text = exposition(
            (supervisor.sample() for supervisor in self._supervisors), keeper_up=keeper_up
        )
        if text == self._written:
            return
        try:
            write_metrics(self._metrics_file, text)
        except OSError as error:
            reason = f"the metrics file {self._metrics_file} cannot be written: {error.strerror}"
            if reason != self._failed:
                self._listener(Notice(reason))
            self._failed = reason
        else:
            self._written, self._failed = text, None

    def _close(self) -> None:
        self.publish(keeper_up=False)
        closing = [
            threading.Thread(target=supervisor.close, kwargs={"grace": _GRACE}, daemon=True)
            for supervisor in self._supervisors
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(_GRACE + 0.2)
