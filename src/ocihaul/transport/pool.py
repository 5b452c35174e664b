"""Connections kept for the next request, per origin, shared by threads."""

import contextlib
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Self

from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError, OcihaulError
from ocihaul.threads import StopSign, started
from ocihaul.transport.channel import SLICE, Timeouts
from ocihaul.transport.congestion import Congestion
from ocihaul.transport.connection import Connection
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.flows import Flows, Limiter, Turns
from ocihaul.transport.message import Answer, Request, Stopped, WireError
from ocihaul.transport.proxies import PROXY_WANTS_USER

#: An idle connection older than this is not tried again, seconds. Load balancers close theirs
#: after a minute or more, and an early goodbye costs less than a lost request.
_MAX_IDLE = 30.0


class _Line:
    """What a pool has to one origin: idle connections, how many are being opened ahead of their
    requests, how many requests wait for one of these, and whether it has ever answered.
    """

    __slots__ = ("answered", "idle", "opening", "waiting")

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.opening = self.waiting = 0
        self.answered = False


class Shared:
    """What pools share: their connections, by origin, and the bodies on the way."""

    def __init__(self, limiter: Limiter | None, congestion: Congestion | None) -> None:
        self.congestion = congestion or Congestion()
        self.flows = Flows(limiter)
        self.turns = Turns(self.flows.limiter)
        self.numbers = itertools.count(1)  # of connections; next() is atomic
        self.lock = threading.Lock()  # guards all below
        self.opened = threading.Condition(self.lock)
        self.lines: defaultdict[Origin, _Line] = defaultdict(_Line)
        self.closed = False


class Pool:
    """Carries requests to origins over kept connections. Close it, or use it as a context.

    `shared` is that of another pool, to go over its connections. `congestion` says which congestion
    control they have; without one that is the system's, or BBR once packets were lost at random.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        timeouts: Timeouts | None = None,
        stop: threading.Event | None = None,
        limiter: Limiter | None = None,
        shared: Shared | None = None,
        congestion: Congestion | None = None,
    ) -> None:
        self._dialer = dialer
        self._limiter = limiter
        self._timeouts = timeouts or Timeouts()
        self._stop = stop or threading.Event()
        self._shared = shared or Shared(limiter, congestion)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def twin(self, stop: threading.Event) -> "Pool":
        """Connections of its own to the same places, under another stop."""
        return Pool(self._dialer, timeouts=self._timeouts, stop=stop, limiter=self._limiter)

    def sharing(self, stop: threading.Event) -> "Pool":
        """The same connections under another stop; closing this pool closes them."""
        return Pool(
            self._dialer,
            timeouts=self._timeouts,
            stop=stop,
            limiter=self._limiter,
            shared=self._shared,
        )

    def close(self) -> None:
        """Close the idle connections, and each of the others when it comes back."""
        with self._shared.lock:
            self._shared.closed = True
        self.drop_idle()

    def drop_idle(self) -> None:
        """Close the connections that nobody is using."""
        with self._shared.lock:
            idle = [each for line in self._shared.lines.values() for each in line.idle]
            for line in self._shared.lines.values():
                line.idle.clear()
        for connection in idle:
            connection.close()

    def open_ahead(self, origin: Origin, count: int) -> None:
        """Begin to open `count` connections for requests that are to come; returns at once.

        A request that finds no idle connection waits for one of them instead of opening its own.
        One that cannot be opened is no error here: its request opens another, and hears why.
        """
        for _ in range(count):
            with self._shared.lock:
                if self._shared.closed:
                    return
                self._shared.lines[origin].opening += 1
            opener = threading.Thread(target=self._open_one, args=[origin], daemon=True)
            if not started(opener):
                self._opened(origin, None)
                return

    def _open_one(self, origin: Origin) -> None:
        connection = None
        try:
            connection = self._open(origin)
        except (OcihaulError, WireError, Stopped):
            connection = None  # the request that waits for it meets the same, and reports it
        finally:
            self._opened(origin, connection)

    def _opened(self, origin: Origin, connection: Connection | None) -> None:
        shared = self._shared
        with shared.opened:
            line, closed = shared.lines[origin], shared.closed
            line.opening -= 1
            if connection is not None and not closed:
                connection.idle_since = time.monotonic()
                line.idle.append(connection)
            shared.opened.notify_all()
        if connection is not None and closed:
            connection.close()

    def turn(self) -> AbstractContextManager[None]:
        """The turn of a large body under a limit; to be waited for before it is signed."""
        return self._shared.turns.turn(self._stop)

    @contextlib.contextmanager
    def connection(self, origin: Origin, *, new: bool = False) -> Iterator[Connection]:
        """A connection to the origin for one request, kept for the next one where it can be.

        It is an idle one where there is one, and may so be closed by the server already: its
        WireError is `stale` then. `new` opens one.

        Raises WireError when none can be opened, Stopped when the stop event is set, ConfigError
        when a proxy refuses or the origin's certificate is not trusted, and never was; UsageError
        for plain HTTP that is not allowed.
        """
        connection = (None if new else self._take_idle(origin)) or self._open(origin)
        try:
            yield connection
        finally:
            self._give_back(origin, connection)

    def routed(self, origin: Origin, request: Request) -> Request:
        """The request as it goes over a connection of this pool: with what a proxy wants to see."""
        return self._dialer.route(origin, request)

    def checked(self, origin: Origin, answer: Answer) -> Answer:
        """The answer, unless it is a proxy's 407: raises ConfigError or WireError then."""
        if answer.status == PROXY_WANTS_USER:
            with self._settings_were_right(origin):
                self._dialer.check(origin, answer)
        # Without the lock: a connection was taken from this line, so it is there, and stays.
        self._shared.lines[origin].answered = True
        return answer

    def _open(self, origin: Origin) -> Connection:
        with self._settings_were_right(origin):
            sock = self._dialer.open(origin, stop=self._stop)
        self._shared.congestion.apply(sock)
        return Connection(
            sock,
            timeouts=self._timeouts,
            stop=self._stop,
            limiter=self._limiter,
            flows=self._shared.flows,
            congestion=self._shared.congestion,
            number=next(self._shared.numbers),
        )

    @contextlib.contextmanager
    def _settings_were_right(self, origin: Origin) -> Iterator[None]:
        """A ConfigError about an origin that has answered is a passing WireError.

        Something has come between, such as a captive portal.
        """
        try:
            yield
        except ConfigError as error:
            if self._shared.lines[origin].answered:
                raise WireError(error.message) from error
            raise

    def _take_idle(self, origin: Origin) -> Connection | None:
        while True:
            with self._shared.lock:
                line = self._shared.lines[origin]
                self._await_opening(line)
                if not line.idle:
                    return None
                connection = line.idle.pop()
            connection.heed(self._stop)
            if time.monotonic() - connection.idle_since < _MAX_IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _await_opening(self, line: _Line) -> None:
        """Under the lock: wait for a connection that is opened ahead, one for each that waits."""
        if line.opening <= line.waiting:
            return
        line.waiting += 1
        try:
            while not line.idle and line.opening > 0:
                if self._stop.is_set():
                    raise Stopped
                self._shared.opened.wait(SLICE)
        finally:
            line.waiting -= 1

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if connection.reusable:
            connection.idle_since = time.monotonic()
            with self._shared.lock:
                if not self._shared.closed:
                    self._shared.lines[origin].idle.append(connection)
                    self._shared.opened.notify()
                    return
        connection.close()


def exchange_once(
    dialer: Dialer, origin: Origin, request: Request, *, timeout: float, stop: StopSign
) -> Answer:
    """One request on a connection of its own; each step of it may take `timeout` seconds."""
    sock = dialer.open(origin, timeout=timeout, stop=stop)
    connection = Connection(sock, timeouts=Timeouts(read=timeout), stop=stop)
    try:
        answer = connection.exchange(dialer.route(origin, request))
        dialer.check(origin, answer)
        return answer
    finally:
        connection.close()
