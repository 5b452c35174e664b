"""A tunnel through a proxy (CONNECT), and what a proxy's refusal means."""

import socket
import time

import h11

from ocihaul.errors import ConfigError
from ocihaul.transport.message import StopSign, WireError
from ocihaul.transport.origin import Origin
from ocihaul.transport.poller import READ, WRITE, Watch, wait_for
from ocihaul.transport.proxies import Proxy

#: The longest answer to CONNECT that is read, 1xx answers included, bytes.
MOST_ANSWER = 64 * 1024
#: 407 Proxy Authentication Required (RFC 9110, 15.5.8).
PROXY_WANTS_USER = 407
#: Refusals that pass: the proxy was slow, or asks for patience.
_PASSING = frozenset({408, 425, 429})


def open_tunnel(
    sock: socket.socket, origin: Origin, proxy: Proxy, *, until: float, stop: StopSign
) -> None:
    """Let a connected, non-blocking socket to `proxy` lead to `origin`.

    `until` is on the monotonic clock. Raises WireError when there is no tunnel by then, ConfigError
    when the proxy will not make one (see `refusal`), Stopped.
    """
    headers = [("Host", origin.authority)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_ANSWER)
    request = h11.Request(method="CONNECT", target=origin.authority, headers=headers)
    watch = Watch(sock)
    _send(sock, watch, protocol.send(request) or b"", until=until, stop=stop)
    left = MOST_ANSWER
    while True:
        event = protocol.next_event()
        if isinstance(event, h11.Response):
            break
        if event is h11.NEED_DATA:
            wait_for(watch, READ, until=until, stop=stop)
            data = sock.recv(left)
            if not data:
                raise WireError(f"the proxy {proxy} closed the connection")
            left -= len(data)
            protocol.receive_data(data)
        # What is still to come might be endless (1xx), and what is here may have cost the time.
        if left <= 0 or time.monotonic() > until:
            raise WireError(f"the proxy {proxy} answers without end")
    if event.status_code // 100 != 2:
        raise refusal(event.status_code, origin, proxy)


def refusal(status: int, origin: Origin, proxy: Proxy) -> WireError | ConfigError:
    """The error that a proxy's answer to CONNECT stands for: a setting is wrong, or it passes."""
    if status == PROXY_WANTS_USER:
        if proxy.authorization:
            what, cure = "does not accept the user and password that it got", "Correct them"
        else:
            what, cure = "wants a user and a password", "Give them"
        return ConfigError(
            f"the proxy {proxy} {what} (407)",
            hint=f"{cure} in the proxy's URL: http://user:password@host:port (`proxy`, or "
            "https_proxy in the environment).",
        )
    if 400 <= status < 500 and status not in _PASSING:
        word = "forbids" if status == 403 else "refuses"
        return ConfigError(
            f"the proxy {proxy} {word} a connection to {origin.authority} ({status})",
            hint="Have the proxy allow this host, or name the host in no_proxy if it can be "
            "reached without the proxy.",
        )
    return WireError(f"the proxy {proxy} refused a tunnel to {origin.authority}: {status}")


def _send(sock: socket.socket, watch: Watch, data: bytes, *, until: float, stop: StopSign) -> None:
    while data:
        wait_for(watch, WRITE, until=until, stop=stop)
        data = data[sock.send(data) :]
