"""Keep the sessions of several profiles alive, for all programs that read their files.

`Keeper` makes the rounds; each profile has a `ProfileSupervisor`, which reopens its session when
needed. A session that cannot be opened yet (no login, a torn file, a missing profile) is tried
again: in a pod or at boot the keeper often starts first. Signals, options and output belong to the
command line.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ocihaul.clock import ServerClock, moment
from ocihaul.config import Settings
from ocihaul.config.sources import login_command
from ocihaul.errors import OcihaulError, RenewalUnavailable, SessionError
from ocihaul.events import AnyEvent, Listener, Notice, RenewalFailed, TokenChanged
from ocihaul.session.keeper.reporting import Notifier, Sample, exposition, write_metrics
from ocihaul.session.lockfile import KeeperLock
from ocihaul.session.session import Session
from ocihaul.session.store import replaceable

#: Seconds between two tries to open a session.
_TRY_EVERY = 1.0


class ProfileSupervisor:
    """Keeps the session of one profile open. `load` reads the configuration; it may raise.

    One thread calls `poll` and the rest; events come from the session's own thread.
    """

    def __init__(
        self,
        profile: str,
        load: Callable[[], Settings],
        listener: Listener,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.profile = profile
        self._cure = f"log in with: {login_command(profile)}"
        self._load = load
        self._listener = listener
        self._monotonic = monotonic
        self._now = now
        self._settings: Settings | None = None
        self._session: Session | None = None
        self._keeper_lock: KeeperLock | None = None
        self._clock = ServerClock()
        self._stop = threading.Event()
        self._try_at = 0.0
        self._reported: str | None = None
        self._lock = threading.Lock()  # guards the figures below, which events change
        self._renewals: Counter[str] = Counter()
        self._failures = 0
        self._last_renewal: float | None = None
        self._generation: int | None = None

    # Keeping

    def poll(self) -> None:
        """Open the session if it is not open; report when it cannot be kept alive. Never raises."""
        if self._session is None:
            self._try_to_open()
        if self._session is not None:
            trouble = self._trouble(self._session)
            self._report(trouble and f"{trouble}; the files are watched")
        if self._keeper_lock is not None:
            self._keeper_lock.acquire()

    def reload(self) -> None:
        """Read the configuration again; a session with the same settings stays open."""
        try:
            settings = self._load()
        except OcihaulError as error:
            self._listener(Notice(f"the configuration cannot be used: {error.message}"))
            return
        if settings != self._settings and self._session is not None:
            self._listener(Notice("the configuration has changed: the session is opened anew"))
            self.close(grace=1.0)
        self._try_at = 0.0
        self.poll()

    def close(self, *, grace: float) -> None:
        """Close the session; a renewal in flight may finish within `grace` seconds."""
        session, self._session = self._session, None
        lock, self._keeper_lock = self._keeper_lock, None
        if lock is not None:
            lock.release()
        if session is not None:
            close_gently(session, self._stop, grace=grace)

    def renew_once(self, stop: threading.Event) -> None:
        """Renew if that is due. Raises OcihaulError when a renewal was due and did not succeed."""
        settings = self._load()
        session = self._open(settings, stop)
        failures = self._failures
        token = session.credential().token
        expired = token is None or token.expires_at <= self._clock.now()
        if expired or self._failures > failures:
            if (trouble := self._trouble(session)) is not None:
                raise SessionError(trouble)
            if expired:
                raise RenewalUnavailable("the token could not be renewed in time")
            raise RenewalUnavailable("the renewal that was due failed; the token still stands")

    def _try_to_open(self) -> None:
        if self._monotonic() < self._try_at:
            return
        self._try_at = self._monotonic() + _TRY_EVERY
        self._stop = threading.Event()
        try:
            settings = self._settings = self._load()
            session = self._open(settings, self._stop)
        except OcihaulError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self._report(f"there is no session to keep: {error.message}{hint}; waiting for one")
            return
        self._session = session.start()
        self._keeper_lock = None if settings.token_file is None else KeeperLock(settings.token_file)

    def _open(self, settings: Settings, stop: threading.Event) -> Session:
        file = settings.token_file
        if file is not None and replaceable(file) is None:
            raise SessionError(
                f"{file} cannot be written, and a renewed token that is not on disk may end "
                "the one that is",
                hint="Run the keeper as the user whose file it is, or make the file writable",
            )
        self._clock = ServerClock(listener=self._hear)
        return Session.from_settings(settings, clock=self._clock, listener=self._hear, stop=stop)

    def _trouble(self, session: Session) -> str | None:
        if session.renewal_error is None:
            return None
        end = session.token.expires_at
        if end <= self._clock.now():
            return f"the session has expired ({session.renewal_error}); {self._cure}"
        return (
            f"the session cannot be renewed any more ({session.renewal_error}); its token ends at "
            f"{moment(end)}; before that, {self._cure}"
        )

    def _report(self, text: str | None) -> None:
        """Emit a notice when the text has changed."""
        if text is not None and text != self._reported:
            self._listener(Notice(text))
        self._reported = text

    # Events and figures

    def _hear(self, event: AnyEvent) -> None:
        with self._lock:
            if isinstance(event, TokenChanged):
                self._generation = event.generation
                if event.source != "start":
                    self._renewals[event.source] += 1
                    self._last_renewal = self._now()
            elif isinstance(event, RenewalFailed):
                self._failures += 1
        self._listener(event)

    @property
    def is_usable(self) -> bool:
        """Whether requests can be signed right now."""
        return self._session is not None and self._session.token.expires_at > self._clock.now()

    def sample(self) -> Sample:
        """Return the current figures for the metrics."""
        session = self._session
        token = session.token if session else None
        with self._lock:
            return Sample(
                profile=self.profile,
                up=self.is_usable,
                renewable=session is not None and session.renewal_error is None,
                issued_at=token.issued_at if token else None,
                expires_at=token.expires_at if token else None,
                session_ends_at=token.session_ends_at if token else None,
                generation=self._generation,
                last_renewal=self._last_renewal,
                failures=self._failures,
                renewals=dict(self._renewals),
            )


def close_gently(session: Session, stop: threading.Event, *, grace: float) -> None:
    """Close a session; a renewal in flight may finish within `grace` seconds.

    A token that the service has issued but that is not on disk yet is lost with the connection, and
    perhaps the session with it: so the connection is closed only when the time is up.
    """
    closing = threading.Thread(target=session.close, name="ocihaul-closing", daemon=True)
    closing.start()
    closing.join(grace)
    stop.set()
    closing.join(0.1)


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
