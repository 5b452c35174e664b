"""TCP to a host with several addresses, the next one tried while the one before still waits.

This is RFC 8305 (Happy Eyeballs): families take turns, attempts begin 250 ms apart, the first that
succeeds wins. An address that failed or was overtaken is tried last from then on: a broken IPv6
costs its quarter of a second once. The others keep the resolver's order, which spreads the
connections of a run over them.
"""

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from ocihaul.transport.message import Stopped, StopSign, Unreachable
from ocihaul.transport.origin import host_and_port
from ocihaul.transport.poller import SLICE

#: How long an address is waited for before the next one is tried as well, seconds (RFC 8305, 5).
STAGGER = 0.25
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR})


@dataclass(frozen=True, slots=True)
class Address:
    """One entry of `getaddrinfo`."""

    family: int
    sockaddr: tuple[str | int, ...] | tuple[int, bytes]


class Racer:
    """Opens TCP connections, and remembers the addresses that were of no use. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _bad
        self._bad: set[Address] = set()

    def connect(self, host: str, port: int, *, limit: float, stop: StopSign) -> socket.socket:
        """A connected, non-blocking socket; each address has `limit` seconds.

        Raises Unreachable when no address can be reached, Stopped.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"cannot connect to {host_and_port(host, port)}: {error}") from error
        addresses = [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
        with self._lock:
            order = in_order(addresses, self._bad)
        race = _Race(order, limit, stop)
        try:
            winner = race.run()
        except OSError as error:
            raise Unreachable(f"cannot connect to {host_and_port(host, port)}: {error}") from error
        finally:
            race.close()
        with self._lock:
            self._bad |= race.beaten(winner.address)
            self._bad.discard(winner.address)
        return winner.sock


def in_order(addresses: Sequence[Address], bad: set[Address]) -> list[Address]:
    """Families by turns, the resolver's first choice first; what was of no use comes last."""
    first = addresses[0].family if addresses else 0
    own = [each for each in addresses if each.family == first]
    others = [each for each in addresses if each.family != first]
    turns = [each for each in chain.from_iterable(zip_longest(own, others)) if each is not None]
    return sorted(dict.fromkeys(turns), key=lambda each: each in bad)


@dataclass(frozen=True, slots=True)
class _Attempt:
    address: Address
    sock: socket.socket
    until: float


@dataclass(slots=True)
class _Race:
    """One race among the addresses in `order`."""

    order: list[Address]
    limit: float
    stop: StopSign
    _failed: set[Address] = field(default_factory=set)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _error: OSError | None = None

    def run(self) -> _Attempt:
        """The attempt that wins. Raises the first OSError when none does, Stopped."""
        waiting = list(self.order)
        next_at = time.monotonic()
        while waiting or self._selector.get_map():
            if self.stop.is_set():
                raise Stopped
            now = time.monotonic()
            if waiting and (now >= next_at or not self._selector.get_map()):
                self._begin(waiting.pop(0), now)
                next_at = now + STAGGER
                continue
            wait = min(SLICE, next_at - now) if waiting else SLICE
            if (winner := self._wait(wait)) is not None:
                return winner
        raise self._error or OSError("the host has no address")

    def beaten(self, winner: Address) -> set[Address]:
        """The addresses that failed, or began before the winner and did not come in."""
        return self._failed | set(self.order[: self.order.index(winner)])

    def close(self) -> None:
        """End all attempts but the winner."""
        for key in list(self._selector.get_map().values()):
            self._end(key.data)
        self._selector.close()

    def _begin(self, address: Address, now: float) -> None:
        sock = None
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.settimeout(0.0)
            code = sock.connect_ex(address.sockaddr)
            if code and code not in _UNDER_WAY:
                raise OSError(code, os.strerror(code))
        except OSError as error:
            self._note(address, error)
            if sock is not None:
                sock.close()
            return
        attempt = _Attempt(address, sock, now + self.limit)
        self._selector.register(sock, selectors.EVENT_WRITE, attempt)

    def _wait(self, seconds: float) -> _Attempt | None:
        for key, _ in self._selector.select(max(seconds, 0.001)):
            attempt: _Attempt = key.data
            code = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                self._selector.unregister(attempt.sock)
                return attempt
            self._fail(attempt, OSError(code, os.strerror(code)))
        now = time.monotonic()
        for key in list(self._selector.get_map().values()):
            if now > key.data.until:
                self._fail(key.data, TimeoutError("timed out"))
        return None

    def _fail(self, attempt: _Attempt, error: OSError) -> None:
        self._note(attempt.address, error)
        self._end(attempt)

    def _note(self, address: Address, error: OSError) -> None:
        self._failed.add(address)
        self._error = self._error or error

    def _end(self, attempt: _Attempt) -> None:
        self._selector.unregister(attempt.sock)
        attempt.sock.close()
