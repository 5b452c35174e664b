"""Connections kept for the next request, per origin, shared by threads."""

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Self

from ocihaul.errors import ConfigError
from ocihaul.wire.connection import Connection, Patience
from ocihaul.wire.dial import Dialer
from ocihaul.wire.limiter import Limiter
from ocihaul.wire.message import Answer, Request, StopSign, WireError
from ocihaul.wire.origin import Origin

#: An idle connection older than this is not tried again, seconds. Load balancers close theirs
#: after a minute or more, and an early goodbye costs less than a lost request.
_MAX_IDLE = 30.0


@dataclass(slots=True)
class IdleConnections:
    """Those that wait for the next request. `answered`: origins that ever gave an answer."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # guards all below
    idle: dict[Origin, list[Connection]] = field(default_factory=dict)
    answered: set[Origin] = field(default_factory=set)
    closed: bool = False


class Pool:
    """Carries requests to origins over kept connections. Close it, or use it as a context.

    `kept` are the connections of another pool, to share them with it.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        patience: Patience | None = None,
        stop: threading.Event | None = None,
        limiter: Limiter | None = None,
        kept: IdleConnections | None = None,
    ) -> None:
        self._dialer = dialer
        self._limiter = limiter
        self._patience = patience or Patience()
        self._stop = stop or threading.Event()
        self._kept = kept or IdleConnections()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def twin(self, stop: threading.Event) -> "Pool":
        """Connections of its own to the same places, under another stop."""
        return Pool(self._dialer, patience=self._patience, stop=stop, limiter=self._limiter)

    def sharing(self, stop: threading.Event) -> "Pool":
        """The same connections under another stop; whoever closes this pool closes them."""
        return Pool(
            self._dialer,
            patience=self._patience,
            stop=stop,
            limiter=self._limiter,
            kept=self._kept,
        )

    def close(self) -> None:
        """Close the idle connections, and each of the others when it comes back."""
        with self._kept.lock:
            self._kept.closed = True
        self.drop_idle()

    def drop_idle(self) -> None:
        """Close the connections that nobody is using."""
        with self._kept.lock:
            idle = [connection for kept in self._kept.idle.values() for connection in kept]
            self._kept.idle.clear()
        for connection in idle:
            connection.close()

    def exchange(self, origin: Origin, request: Request) -> Answer:
        """Send the request once and return its answer.

        An idle connection that the server had closed does not count as a try: the request goes
        out again at once on a new one, and its answer says so. Raises WireError when there is no
        answer, Stopped when the stop event is set, ConfigError when the origin's certificate is
        not trusted and never was.
        """
        request = self._dialer.route(origin, request)
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                return self._exchange_on(connection, origin, request)
            except WireError as error:
                if not error.stale:
                    raise
                answer = self._exchange_on(self._open(origin), origin, request)
                return replace(answer, resent=True)
        return self._exchange_on(self._open(origin), origin, request)

    def _open(self, origin: Origin) -> Connection:
        try:
            sock = self._dialer.open(origin)
        except ConfigError as error:
            # The settings were right before: something has come between (a captive portal).
            if origin in self._kept.answered:
                raise WireError(error.message) from error
            raise
        return Connection(sock, patience=self._patience, stop=self._stop, limiter=self._limiter)

    def _exchange_on(self, connection: Connection, origin: Origin, request: Request) -> Answer:
        try:
            answer = connection.exchange(request)
            with self._kept.lock:
                self._kept.answered.add(origin)
            return answer
        finally:
            self._give_back(origin, connection)

    def _take_idle(self, origin: Origin) -> Connection | None:
        while True:
            with self._kept.lock:
                waiting = self._kept.idle.get(origin)
                if not waiting:
                    return None
                connection = waiting.pop()
            connection.stop = self._stop
            if time.monotonic() - connection.idle_since < _MAX_IDLE and connection.is_quiet():
                return connection
            connection.close()

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if connection.reusable:
            connection.idle_since = time.monotonic()
            with self._kept.lock:
                if not self._kept.closed:
                    self._kept.idle.setdefault(origin, []).append(connection)
                    return
        connection.close()


def exchange_once(
    dialer: Dialer, origin: Origin, request: Request, *, timeout: float, stop: StopSign
) -> Answer:
    """One request on a connection of its own; each step of it may take `timeout` seconds."""
    connection = Connection(
        dialer.open(origin, timeout=timeout), patience=Patience(read=timeout), stop=stop
    )
    try:
        return connection.exchange(dialer.route(origin, request))
    finally:
        connection.close()
