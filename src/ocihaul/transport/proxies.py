"""The proxy on the way to an origin: which one the settings or the environment name, the tunnel
through it (CONNECT), and what its refusal means.
"""

import base64
import ipaddress
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, unquote_to_bytes

from ocihaul.endpoints import Origin, host_and_port, host_of, shown, split_url
from ocihaul.errors import ConfigError
from ocihaul.redaction import hold
from ocihaul.threads import StopSign
from ocihaul.transport.channel import READ, WRITE, Watch, wait_for
from ocihaul.transport.message import WireError

#: In capitals, which `redaction` knows as an example.
_FORM = (
    "Write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; "
    "in a password, / is %2F, # is %23 and ? is %3F."
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; `authorization` is its Proxy-Authorization value, if it wants one."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """`http://[user:password@]host:port`; ConfigError for any other kind of proxy."""
        url = url if "://" in url else f"http://{url}"
        scheme = url.partition("://")[0].lower()
        if scheme != "http":
            raise ConfigError(
                f"the proxy {shown(url)!r} cannot be used: {scheme} proxies are not supported",
                hint=f"Only HTTP proxies are. {_FORM}",
            )
        try:
            parts = split_url(url)
            host = host_of(parts) if _is_plain(parts) else ""
            authorization = _authorization(parts)
        except ValueError:  # it may quote what it takes for host or port: the password, perhaps
            host = ""
        if not host:
            raise ConfigError(f"the proxy {shown(url)!r} cannot be used", hint=_FORM)
        return cls(host, parts.port or 80, authorization)

    def __str__(self) -> str:
        return host_and_port(self.host, self.port)


def proxy_for(origin: Origin, *, explicit: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to reach `origin` through: the explicit one, else the environment's.

    As `requests` reads it, and so the official CLI: `https_proxy` (or `http_proxy`, by the
    origin's scheme) before `all_proxy`; of each the lower-case name wins over the upper-case one,
    and an empty one switches it off. `no_proxy` wins over NO_PROXY only where it is not empty.
    """
    if explicit:
        return Proxy.parse(explicit)
    url = _variable(environ, f"{origin.scheme}_proxy") or _variable(environ, "all_proxy")
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not url or _bypasses(origin, no_proxy):
        return None
    return Proxy.parse(url)


def _variable(environ: Mapping[str, str], name: str) -> str:
    if name in environ:
        return environ[name]
    # In a CGI program HTTP_PROXY is what a client sent as the header Proxy (CVE-2016-5385).
    forged = name == "http_proxy" and "REQUEST_METHOD" in environ
    return "" if forged else environ.get(name.upper(), "")


def _bypasses(origin: Origin, no_proxy: str) -> bool:
    """Whether one of the entries, between commas or blanks, is the origin's.

    An entry is `*`, a host or domain (with or without a leading dot or `*.`), an IP address or a
    network such as 10.0.0.0/8 or fd00::/8; a host or an address may have a port.
    """
    return any(_is_meant(entry, origin) for entry in re.split(r"[\s,]+", no_proxy.lower()))


def _is_meant(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    name, port = _split_port(entry)
    if not name or port not in {"", str(origin.port)}:
        return False
    host = origin.host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = name.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith("." + domain))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:  # a name, or rubbish
        return False


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:  # more than one is an IPv6 address
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _authorization(parts: SplitResult) -> str | None:
    """The value for the user in a URL; ValueError for a text that has no bytes (a lone surrogate).

    Bytes of the command line that are no UTF-8, and such as %E9, are sent as they are.
    """
    if parts.username is None:
        return None
    password = parts.password or ""
    given = (parts.username, password)
    pair = b":".join(unquote_to_bytes(each.encode(errors="surrogateescape")) for each in given)
    encoded = base64.b64encode(pair).decode()
    for secret in (password, unquote(password), encoded):
        hold(secret, "password")
    return f"Basic {encoded}"


def _is_plain(parts: SplitResult) -> bool:
    """Whether nothing follows the port: a password with / or # ends up there."""
    return parts.path in {"", "/"} and not (parts.query or parts.fragment)


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
    when the proxy will not make one (see `refusal`), OSError when it does not speak HTTP, Stopped.
    """
    import h11  # noqa: PLC0415  start-up time: most connections need no tunnel

    headers = [("Host", origin.authority)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_ANSWER)
    request = h11.Request(method="CONNECT", target=origin.authority, headers=headers)
    watch = Watch(sock)
    _send(sock, watch, protocol.send(request) or b"", until=until, stop=stop)
    left = MOST_ANSWER
    while True:
        try:
            event = protocol.next_event()
        except h11.RemoteProtocolError as error:
            raise OSError(f"the proxy's answer is not HTTP: {error}") from error
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
