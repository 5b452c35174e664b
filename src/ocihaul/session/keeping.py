"""The keeper: the sessions of several profiles kept alive, for everybody who reads their files.

What belongs here: the round that it makes. One session's care is in `ward`; signals, options and
words are the command line's.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ocihaul.events import Listener, Notice
from ocihaul.session.metrics import exposition, write_metrics
from ocihaul.session.notify import Notifier
from ocihaul.session.ward import Ward

#: Seconds between two rounds.
_ROUND = 0.5
#: How long renewals under way may take when the keeper is told to stop, seconds.
_GRACE = 0.5

#: Waits so many seconds, or less; says what woke it: "stop", "reload", or None.
Wait = Callable[[float], str | None]


class Keeper:
    """Tends wards until it is told to stop."""

    def __init__(
        self,
        wards: Sequence[Ward],
        *,
        notifier: Notifier,
        listener: Listener,
        metrics_file: Path | None = None,
    ) -> None:
        self._wards = wards
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
                for ward in self._wards:
                    ward.reload()
                self._notifier.ready()
            woken = self._round(wait) or wait(_ROUND)
        self._notifier.stopping()
        self._close()

    def _round(self, wait: Wait) -> str | None:
        """Tend every ward, and look for signals after each; returns what was seen."""
        for ward in self._wards:
            ward.tend()
            woken = wait(0)
            if woken is not None:
                return woken
        self.publish(keeper_up=True)
        up = [ward.profile for ward in self._wards if ward.is_up]
        down = [ward.profile for ward in self._wards if not ward.is_up]
        parts = [f"alive: {', '.join(up)}"] if up else []
        parts += [f"without a usable token: {', '.join(down)}"] if down else []
        self._notifier.status("; ".join(parts))
        self._notifier.alive()
        return None

    def publish(self, *, keeper_up: bool) -> None:
        """Write the metrics file, if there is news."""
        if self._metrics_file is None:
            return
        text = exposition((ward.sample() for ward in self._wards), keeper_up=keeper_up)
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
            threading.Thread(target=ward.close, kwargs={"grace": _GRACE}, daemon=True)
            for ward in self._wards
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(_GRACE + 0.2)
