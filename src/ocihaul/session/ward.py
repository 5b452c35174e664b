"""One profile in a keeper's care: its session, opened when it can be, and what happened to it.

A session that cannot be opened (no login yet, a torn file, a profile that comes later) is tried
again: in a pod or at boot the keeper is often there first.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.config.sources import login_command
from ocihaul.errors import OcihaulError, RenewalUnavailable, SessionError
from ocihaul.events import Event, Listener, Notice, RenewalFailed, TokenAdopted
from ocihaul.session.metrics import Sample
from ocihaul.session.moments import moment
from ocihaul.session.presence import Sign
from ocihaul.session.session import Session
from ocihaul.session.store import replaceable

#: Seconds between two tries to open a session.
_TRY_EVERY = 1.0


class Ward:
    """Keeps the session of one profile open. `load` reads the configuration; it may raise.

    `tend` and the rest are called by one thread; events come from the session's own.
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
        self._sign: Sign | None = None
        self._clock = ServerClock()
        self._stop = threading.Event()
        self._try_at = 0.0
        self._said: str | None = None
        self._lock = threading.Lock()  # guards the figures below, which events change
        self._renewals: Counter[str] = Counter()
        self._failures = 0
        self._last_renewal: float | None = None
        self._generation: int | None = None

    # Keeping

    def tend(self) -> None:
        """Open the session if it is not; say when it cannot be kept any more. Never raises."""
        if self._session is None:
            self._try_to_open()
        if self._session is not None:
            trouble = self._trouble(self._session)
            self._say(trouble and f"{trouble}; the files are watched")
        if self._sign is not None:
            self._sign.give()

    def reload(self) -> None:
        """Read the configuration again; a session whose settings are the same goes on."""
        try:
            settings = self._load()
        except OcihaulError as error:
            self._listener(Notice(f"the configuration cannot be used: {error.message}"))
            return
        if settings != self._settings and self._session is not None:
            self._listener(Notice("the configuration has changed: the session is opened anew"))
            self.close(grace=1.0)
        self._try_at = 0.0
        self.tend()

    def close(self, *, grace: float) -> None:
        """Let a renewal that is under way finish, for `grace` seconds at the most."""
        session, self._session = self._session, None
        sign, self._sign = self._sign, None
        if sign is not None:
            sign.take_back()
        if session is not None:
            close_gently(session, self._stop, grace=grace)

    def once(self, stop: threading.Event) -> None:
        """Renew if that is due. Raises OcihaulError when it was due and did not succeed."""
        settings = self._load()
        session = self._open(settings, stop)
        failures = self._failures
        token = session.credential().token
        over = token is None or token.expires_at <= self._clock.now()
        if over or self._failures > failures:
            if (trouble := self._trouble(session)) is not None:
                raise SessionError(trouble)
            if over:
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
            self._say(f"there is no session to keep: {error.message}{hint}; waiting for one")
            return
        self._session = session.start()
        self._sign = None if settings.token_file is None else Sign(settings.token_file)

    def _open(self, settings: Settings, stop: threading.Event) -> Session:
        file = settings.token_file
        if file is not None and replaceable(file) is None:
            raise SessionError(
                f"{file} cannot be written, and a renewed token that nobody can read may end it",
                hint="Run the keeper as the user whose file it is, or make the file writable",
            )
        self._clock = ServerClock(listener=self._hear)
        return Session.from_settings(settings, clock=self._clock, listener=self._hear, stop=stop)

    def _trouble(self, session: Session) -> str | None:
        if session.refusal is None:
            return None
        end = session.token.expires_at
        if end <= self._clock.now():
            return f"the session is over ({session.refusal}); {self._cure}"
        return (
            f"the session cannot be renewed any more ({session.refusal}); its token ends at "
            f"{moment(end)}; before that, {self._cure}"
        )

    def _say(self, text: str | None) -> None:
        """Say it when it is news."""
        if text is not None and text != self._said:
            self._listener(Notice(text))
        self._said = text

    # What happened

    def _hear(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, TokenAdopted):
                self._generation = event.generation
                if event.rung != "start":
                    self._renewals[event.rung] += 1
                    self._last_renewal = self._now()
            elif isinstance(event, RenewalFailed):
                self._failures += 1
        self._listener(event)

    @property
    def is_up(self) -> bool:
        """Whether requests can be signed right now."""
        return self._session is not None and self._session.token.expires_at > self._clock.now()

    def sample(self) -> Sample:
        """The figures of the moment."""
        session = self._session
        token = session.token if session else None
        with self._lock:
            return Sample(
                profile=self.profile,
                up=self.is_up,
                renewable=session is not None and session.refusal is None,
                issued_at=token.issued_at if token else None,
                expires_at=token.expires_at if token else None,
                session_ends_at=token.session_ends_at if token else None,
                generation=self._generation,
                last_renewal=self._last_renewal,
                failures=self._failures,
                renewals=dict(self._renewals),
            )


def close_gently(session: Session, stop: threading.Event, *, grace: float) -> None:
    """Close a session; a renewal under way may finish, for `grace` seconds at the most.

    A token that the service has given but that did not reach the disk is lost, and with it perhaps
    the session: so the wire is cut only when the time is up.
    """
    closing = threading.Thread(target=session.close, name="ocihaul-closing", daemon=True)
    closing.start()
    closing.join(grace)
    stop.set()
    closing.join(0.1)
