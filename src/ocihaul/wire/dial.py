"""Opening a socket to an origin: TCP, through a proxy where there is one, TLS on top."""

import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h11

from ocihaul.errors import ConfigError
from ocihaul.wire.message import Request, WireError
from ocihaul.wire.origin import Origin, Proxy, proxy_for


class Dialer:
    """Knows the timeouts, the trusted certificates and the proxy; opens connected sockets.

    `connect_timeout` is seconds for each of: TCP, the proxy's answer, the TLS handshake.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 10.0,
        ca_file: Path | None = None,
        proxy: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._connect_timeout = connect_timeout
        self._ca_file = ca_file
        self._proxy = proxy
        self._environ = environ
        self._tls: ssl.SSLContext | None = None
        # Every request asks, and reading the whole environment takes a while.
        self._proxies: dict[Origin, Proxy | None] = {}

    def route(self, origin: Origin, request: Request) -> Request:
        """The request as it goes to the next hop.

        Plain HTTP passes a proxy in absolute form; TLS has a tunnel and stays as it is.
        """
        if origin.scheme != "http" or (proxy := self._proxy_for(origin)) is None:
            return request
        headers = dict(request.headers)
        if proxy.authorization:
            headers["proxy-authorization"] = proxy.authorization
        return replace(request, target=f"{origin}{request.target}", headers=headers)

    def open(self, origin: Origin, *, timeout: float | None = None) -> socket.socket:
        """A connected socket, TLS done where the scheme asks for it, still in blocking mode.

        `timeout` lowers the connect timeout. Raises WireError when there is no connection to be
        had, ConfigError when the certificate or the trust store is the reason.
        """
        proxy = self._proxy_for(origin)
        address = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        limit = min(self._connect_timeout, timeout or self._connect_timeout)
        try:
            sock = socket.create_connection(address, timeout=limit)
        except OSError as error:
            via = f" (proxy for {origin})" if proxy else ""
            raise WireError(f"cannot connect to {address[0]}:{address[1]}{via}: {error}") from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if origin.scheme == "http":
                return sock
            if proxy:
                _open_tunnel(sock, origin, proxy, limit)
                sock.settimeout(limit)
            return self._tls_context().wrap_socket(sock, server_hostname=origin.host)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise ConfigError(
                f"the certificate of {origin} is not trusted: {error.verify_message}",
                hint="Name the CA that signed it with --cert-bundle FILE (or REQUESTS_CA_BUNDLE).",
            ) from error
        except (OSError, h11.RemoteProtocolError) as error:
            sock.close()
            via = f" through the proxy {proxy.host}:{proxy.port}" if proxy else ""
            raise WireError(f"cannot open a connection to {origin}{via}: {error}") from error
        except BaseException:
            sock.close()
            raise

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


def _open_tunnel(sock: socket.socket, origin: Origin, proxy: Proxy, limit: float) -> None:
    until = time.monotonic() + limit
    target = f"{origin.host}:{origin.port}"
    headers = [("Host", target)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    protocol = h11.Connection(h11.CLIENT)
    sock.sendall(
        protocol.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
    )
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            sock.settimeout(max(until - time.monotonic(), 0.001))  # bytes that drip are no answer
            data = sock.recv(65536)
            if not data:
                raise WireError(f"the proxy {proxy.host}:{proxy.port} closed the connection")
            protocol.receive_data(data)
        elif isinstance(event, h11.Response):
            if event.status_code // 100 != 2:
                raise WireError(
                    f"the proxy {proxy.host}:{proxy.port} refused a tunnel to {target}: "
                    f"{event.status_code}"
                )
            return
