"""Open a socket to an origin: TCP, through a proxy where there is one, TLS on top.

A host's addresses are raced as in RFC 8305 (Happy Eyeballs): families take turns, attempts begin
250 ms apart, the first that succeeds wins. An address that failed or was overtaken is tried last
from then on: a broken IPv6 costs its quarter of a second once. The others keep the resolver's
order, which spreads the connections of a run over them.
"""

import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path

from ocihaul.endpoints import Origin, host_and_port, refused
from ocihaul.errors import ConfigError
from ocihaul.threads import StopSign
from ocihaul.transport.channel import READ, SLICE, WRITE, Watch, wait_for
from ocihaul.transport.message import Answer, Request, Stopped, Unreachable, WireError, excerpt
from ocihaul.transport.proxies import PROXY_WANTS_USER, Proxy, open_tunnel, proxy_for, refusal

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


class Dialer:
    """Knows the timeouts, the trusted certificates and the proxy; opens connected sockets.

    `connect_timeout` is seconds for each of: TCP, the proxy's answer, the TLS handshake. Without
    `plain_http` nothing is sent over plain HTTP but to this machine: requests carry credentials.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        ca_file: Path | None = None,
        proxy: str | None = None,
        plain_http: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._ca_file = ca_file
        self._proxy = proxy
        self._plain_http = plain_http
        self._environ = environ
        self._racer = Racer()
        self._tls: ssl.SSLContext | None = None
        # Every request asks, and reading the whole environment takes a while.
        self._proxies: dict[Origin, Proxy | None] = {}

    def route(self, origin: Origin, request: Request) -> Request:
        """The request as it goes to the next hop.

        Plain HTTP passes a proxy in absolute form; TLS has a tunnel and stays as it is.
        """
        proxy = self._open_proxy(origin)
        if proxy is None:
            return request
        headers = dict(request.headers)
        if proxy.authorization:
            headers["proxy-authorization"] = proxy.authorization
        return replace(request, target=f"{origin}{request.target}", headers=headers)

    def check(self, origin: Origin, answer: Answer) -> None:
        """Raise ConfigError for an answer of a proxy that wants a user and a password."""
        if answer.status == PROXY_WANTS_USER and (proxy := self._open_proxy(origin)) is not None:
            raise refusal(answer.status, origin, proxy)

    def open(
        self, origin: Origin, *, timeout: float | None = None, stop: StopSign | None = None
    ) -> socket.socket:
        """A connected, non-blocking socket, TLS done where the scheme asks for it.

        `timeout` lowers the connect timeout. Raises WireError when there is no connection to be
        had, ConfigError when a setting is the reason (certificate, trust store, proxy), UsageError
        for plain HTTP to another machine, Stopped.
        """
        if origin.is_exposed and not self._plain_http:
            raise refused(str(origin))
        proxy = self._proxy_for(origin)
        limit = min(self._connect_timeout, timeout or self._connect_timeout)
        stop = stop or threading.Event()
        sock = self._connect(origin, proxy, limit, stop)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if origin.scheme == "http":
                return sock
            if proxy:
                open_tunnel(sock, origin, proxy, until=time.monotonic() + limit, stop=stop)
            return self._with_tls(sock, origin, time.monotonic() + limit, stop)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise ConfigError(
                f"the certificate of {origin} is not trusted: {error.verify_message}",
                hint="Name the CA that signed it with `cert_bundle` (or REQUESTS_CA_BUNDLE).",
            ) from error
        except OSError as error:
            sock.close()
            via = f" through the proxy {proxy}" if proxy else ""
            what = excerpt(error, 200)
            raise WireError(f"cannot open a connection to {origin}{via}: {what}") from error
        except BaseException:
            sock.close()
            raise

    def _connect(
        self, origin: Origin, proxy: Proxy | None, limit: float, stop: StopSign
    ) -> socket.socket:
        if proxy is None:
            return self._racer.connect(origin.host, origin.port, limit=limit, stop=stop)
        try:
            return self._racer.connect(proxy.host, proxy.port, limit=limit, stop=stop)
        except Unreachable as error:
            raise Unreachable(f"{error} (proxy for {origin})") from error

    def _with_tls(
        self, sock: socket.socket, origin: Origin, until: float, stop: StopSign
    ) -> socket.socket:
        tls = self._tls_context().wrap_socket(
            sock, server_hostname=origin.host, do_handshake_on_connect=False
        )
        try:
            watch = Watch(tls)
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    wait_for(watch, READ, until=until, stop=stop)
                except ssl.SSLWantWriteError:
                    wait_for(watch, WRITE, until=until, stop=stop)
                else:
                    return tls
        except BaseException:
            tls.close()
            raise

    def _open_proxy(self, origin: Origin) -> Proxy | None:
        """The proxy that sees the requests themselves: of plain HTTP."""
        return self._proxy_for(origin) if origin.scheme == "http" else None

    def _proxy_for(self, origin: Origin) -> Proxy | None:
        if origin not in self._proxies:  # two threads find the same
            found = proxy_for(origin, explicit=self._proxy, environ=self._environ)
            self._proxies[origin] = found
        return self._proxies[origin]

    def _tls_context(self) -> ssl.SSLContext:
        # Two threads that meet here first make two equal contexts; one is dropped.
        if self._tls is None:
            try:
                self._tls = _trusting(self._ca_file)
            except OSError as error:
                raise ConfigError(
                    f"the certificate bundle {self._ca_file} cannot be used: {error}",
                    hint="It has to be a readable file of PEM certificates.",
                ) from error
        return self._tls


def _trusting(path: Path | None) -> ssl.SSLContext:
    """A context that trusts a file or directory of certificates, or what the system trusts."""
    if path is not None and path.is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
