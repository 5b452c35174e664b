"""What the keeper tells others: the service manager (sd_notify) and Prometheus (a textfile)."""

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.printable import cut, one_line

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
    """The two lines before the samples of one metric, whose name begins with ocihaul_."""
    yield f"# HELP ocihaul_{name} {text}"
    yield f"# TYPE ocihaul_{name} {kind}"


def labels(**texts: str) -> str:
    """Labels by their names, in braces."""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in texts.items()) + "}"


def _escaped(text: str) -> str:
    return one_line(text).replace("\\", r"\\").replace('"', r"\"")


def number(value: float) -> str:
    """A value: whole numbers without a point."""
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
