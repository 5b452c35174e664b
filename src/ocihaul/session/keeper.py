"""Keep the sessions of several profiles alive, for all programs that read their files.

`Keeper` makes the rounds; each profile has a `ProfileSupervisor`, which reopens its session when
needed. A session that cannot be opened yet (no login, a torn file, a missing profile) is tried
again: in a pod or at boot the keeper often starts first. Signals, options and output belong to the
command line. What it says of itself goes to the service manager (sd_notify) and to Prometheus (a
textfile).
"""

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.clock import ServerClock
from ocihaul.config import Settings
from ocihaul.config.sources import login_command
from ocihaul.errors import OcihaulError, RenewalUnavailable, SessionError
from ocihaul.events import AnyEvent, Listener, Notice, RenewalFailed, TokenChanged
from ocihaul.printable import cut, one_line
from ocihaul.quantities import utc_text
from ocihaul.session.lockfile import KeeperLock
from ocihaul.session.session import Session
from ocihaul.session.store import replaceable
from ocihaul.threads import started

#: Seconds between two rounds.
_ROUND = 0.5
#: How long renewals under way may take when the keeper stops, seconds.
_GRACE = 0.5

#: Waits the given seconds, or less; returns what ended the wait: "stop", "reload", or None.
Wait = Callable[[float], str | None]


class Keeper:
    """Polls supervisors until its `wait` says "stop"."""

    def __init__(
        self,
        supervisors: "Sequence[ProfileSupervisor]",
        *,
        notifier: "Notifier",
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
                    self._notifier.alive()
                self._notifier.ready()
            woken = self._round(wait) or wait(_ROUND)
        self._notifier.stopping()
        self._close()

    def _round(self, wait: Wait) -> str | None:
        """Poll every supervisor, and check for signals after each; return the signal that came."""
        for supervisor in self._supervisors:
            supervisor.poll()
            self._notifier.alive()  # a session that cannot be opened takes seconds
            woken = wait(0)
            if woken is not None:
                return woken
        self.publish(keeper_up=True)
        up = [supervisor.profile for supervisor in self._supervisors if supervisor.is_usable]
        down = [supervisor.profile for supervisor in self._supervisors if not supervisor.is_usable]
        parts = [f"alive: {', '.join(up)}"] if up else []
        parts += [f"without a usable token: {', '.join(down)}"] if down else []
        self._notifier.status("; ".join(parts))
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
        closing = []
        for supervisor in self._supervisors:
            thread = threading.Thread(
                target=supervisor.close, kwargs={"grace": _GRACE}, daemon=True
            )
            if started(thread):
                closing.append(thread)
            else:
                supervisor.close(grace=_GRACE)
        for thread in closing:
            thread.join(_GRACE + 0.2)


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
        """Renew if that is due. Raises OcihaulError when a renewal was due and did not succeed.

        The session stays open for `sample`; nothing renews it any more.
        """
        settings = self._load()
        session = self._session = self._open(settings, stop)
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
            self._session = self._open(settings, self._stop).start()
        except OcihaulError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self._report(f"there is no session to keep: {error.message}{hint}; waiting for one")
            return
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
            f"{utc_text(end)}; before that, {self._cure}"
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

    def sample(self) -> "Sample":
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
    if not started(closing):  # there may be no more threads: what is under way is cut
        stop.set()
        session.close()
        return
    closing.join(grace)
    stop.set()
    closing.join(0.1)


#: Characters of a status; datagrams have a limit.
_LONGEST_STATUS = 1024


class Notifier:
    """Sends messages where NOTIFY_SOCKET says; without it, nowhere."""

    def __init__(self, address: str | None, *, watchdog: float | None = None) -> None:
        self._address = address
        self._status: str | None = None
        self._watchdog = watchdog
        self._fed_at = 0.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Notifier":
        """Read the variables that the service manager has set for this process."""
        watchdog = None
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with contextlib.suppress(ValueError, OverflowError):
                watchdog = int(environ.get("WATCHDOG_USEC", "")) / 1e6
        return cls(environ.get("NOTIFY_SOCKET"), watchdog=watchdog)

    def ready(self) -> None:
        """Report that the service is up, or up again after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the configuration is being read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows, if it has changed."""
        if text != self._status:
            self._status = text
            # A line break in it would be another message to the manager.
            self._send(f"STATUS={cut(one_line(text), _LONGEST_STATUS)}")

    def alive(self) -> None:
        """Feed the watchdog twice per period."""
        if self._watchdog and time.monotonic() - self._fed_at >= self._watchdog / 2 - 0.5:
            self._fed_at = time.monotonic()
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if not self._address or family is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError, ValueError),
            socket.socket(family, socket.SOCK_DGRAM) as sock,
        ):
            sock.sendto(message.encode(), address)


#: Sources present from the start, so that the first renewal of each shows as an increase.
_SOURCES = ("file", "login", "mint", "refresh")


@dataclass(frozen=True, slots=True)
class Sample:
    """One profile's figures; times are epoch seconds, None where there is no value."""

    profile: str
    up: bool
    renewable: bool
    issued_at: float | None = None
    expires_at: float | None = None
    session_ends_at: float | None = None
    generation: int | None = None
    last_renewal: float | None = None
    failures: int = 0
    renewals: Mapping[str, int] = field(default_factory=dict)


#: Name, type, help and the value of a sample.
_GAUGES = (
    ("session_up", "1 when requests can be signed.", lambda s: float(s.up)),
    ("session_renewable", "1 until no renewal provider is left.", lambda s: float(s.renewable)),
    ("session_token_issued_timestamp_seconds", "Issue of the token.", lambda s: s.issued_at),
    ("session_token_expiry_timestamp_seconds", "End of the token.", lambda s: s.expires_at),
    ("session_end_timestamp_seconds", "End of the session.", lambda s: s.session_ends_at),
    ("session_generation", "Tokens held so far.", lambda s: s.generation),
    ("session_last_renewal_timestamp_seconds", "Last renewal.", lambda s: s.last_renewal),
)


def exposition(samples: Iterable[Sample], *, keeper_up: bool) -> str:
    """Return the whole metrics file."""
    return "".join(f"{line}\n" for line in _lines(list(samples), keeper_up=keeper_up))


def _lines(samples: list[Sample], *, keeper_up: bool) -> Iterator[str]:
    yield from head("keeper_up", "gauge", "1 while the keeper runs.")
    yield f"ocihaul_keeper_up {int(keeper_up)}"
    for name, text, value in _GAUGES:
        yield from head(name, "gauge", text)
        for sample in samples:
            found = value(sample)
            if found is not None:
                yield f"ocihaul_{name}{labels(profile=sample.profile)} {number(found)}"
    yield from head("session_renewals_total", "counter", "Tokens adopted, by source.")
    for sample in samples:
        for source in sorted({*_SOURCES, *sample.renewals}):
            of = labels(profile=sample.profile, source=source)
            yield f"ocihaul_session_renewals_total{of} {sample.renewals.get(source, 0)}"
    yield from head("session_renewal_failures_total", "counter", "Renewals that failed.")
    for sample in samples:
        of = labels(profile=sample.profile)
        yield f"ocihaul_session_renewal_failures_total{of} {sample.failures}"


def head(name: str, kind: str, text: str) -> Iterator[str]:
    """Yield the two lines before the samples of one metric, whose name begins with ocihaul_."""
    yield f"# HELP ocihaul_{name} {text}"
    yield f"# TYPE ocihaul_{name} {kind}"


def labels(**texts: str) -> str:
    """Return labels by their names, in braces."""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in texts.items()) + "}"


def _escaped(text: str) -> str:
    return one_line(text).replace("\\", r"\\").replace('"', r"\"")


def number(value: float) -> str:
    """Return a value as text: whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))


def write_metrics(path: Path, text: str) -> None:
    """Replace the file atomically, with mode 0644: it contains no secret. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
