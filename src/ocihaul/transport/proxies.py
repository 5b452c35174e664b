"""The proxy on the way to an origin, as the settings or the environment name it; pure."""

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, unquote_to_bytes

from ocihaul.errors import ConfigError
from ocihaul.held_secrets import hold
from ocihaul.hosts import host_of, split_url
from ocihaul.transport.origin import Origin, host_and_port, shown

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
