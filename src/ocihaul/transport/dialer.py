"""Opening a socket to an origin: TCP, through a proxy where there is one, TLS on top."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h11

from ocihaul.errors import ConfigError
from ocihaul.hosts import refused
from ocihaul.transport.message import Answer, Request, StopSign, Unreachable, WireError, excerpt
from ocihaul.transport.origin import Origin
from ocihaul.transport.poller import READ, WRITE, Watch, wait_for
from ocihaul.transport.proxies import Proxy, proxy_for
from ocihaul.transport.race import Racer
from ocihaul.transport.tunnel import PROXY_WANTS_USER, open_tunnel, refusal


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
        except (OSError, h11.RemoteProtocolError) as error:
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
