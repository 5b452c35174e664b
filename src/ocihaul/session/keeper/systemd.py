"""Report to the service manager by sd_notify, without its library.

One datagram per message, to the socket that systemd names in NOTIFY_SOCKET (sd_notify(3)); an
address that begins with @ is in Linux's abstract namespace. A manager that does not listen is not
an error.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

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
