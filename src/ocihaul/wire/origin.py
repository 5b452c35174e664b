"""Where to connect: scheme, host and port of a base URL, and the proxy on the way."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit

from ocihaul.errors import ConfigError
from ocihaul.held_secrets import hold
from ocihaul.redaction import redact

_DEFAULT_PORT = {"http": 80, "https": 443}
#: In capitals, which `redaction` knows as an example.
_PROXY_FORM = (
    "Write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; "
    "in a password, / is %2F, # is %23 and ? is %3F."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port; `host_header` is what Host says and the signature covers."""

    scheme: str
    host: str
    port: int

    @classmethod
    @lru_cache(maxsize=8)  # asked for each request, and nearly always the same
    def parse(cls, url: str) -> "Origin":
        """The origin of a base URL; ConfigError when it is not http(s)://host[:port]."""
        try:
            parts = urlsplit(url)
            host, port = _host(parts), parts.port
        except ValueError:
            host, port = "", 0
        if not host or port == 0 or parts.scheme not in _DEFAULT_PORT:
            raise ConfigError(
                f"{_shown(url)!r} is not a base URL",
                hint="Give it as https://host or https://host:port.",
            )
        return cls(parts.scheme, host, port or _DEFAULT_PORT[parts.scheme])

    @property
    def host_header(self) -> str:
        """Host as it is sent; the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"


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
                f"the proxy {_shown(url)!r} cannot be used: {scheme} proxies are not supported",
                hint=f"Only HTTP proxies are. {_PROXY_FORM}",
            )
        try:
            parts = urlsplit(url)
            host = _host(parts) if _is_plain(parts) else ""
        except ValueError:  # it may quote what it takes for the host: see _is_plain
            host = ""
        if not host:
            raise ConfigError(f"the proxy {_shown(url)!r} cannot be used", hint=_PROXY_FORM)
        authorization = None
        if parts.username is not None:
            password = parts.password or ""
            pair = f"{unquote(parts.username)}:{unquote(password)}"
            encoded = base64.b64encode(pair.encode()).decode()
            authorization = f"Basic {encoded}"
            for secret in (password, unquote(password), encoded):
                hold(secret, "password")
        return cls(host, parts.port or 80, authorization)


def proxy_for(
    origin: Origin, *, explicit: str | None, environ: Mapping[str, str] = os.environ
) -> Proxy | None:
    """The proxy to reach `origin` through: the explicit one, else HTTP(S)_PROXY and NO_PROXY."""
    if explicit:
        return Proxy.parse(explicit)
    settings = {name.lower(): value for name, value in environ.items() if value}
    url = settings.get(f"{origin.scheme}_proxy") or settings.get("all_proxy")
    if not url or _bypasses(origin, settings.get("no_proxy", "")):
        return None
    return Proxy.parse(url)


def _bypasses(origin: Origin, no_proxy: str) -> bool:
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*":
            return True
        name, port = entry.removeprefix(".").removeprefix("*."), ""
        if name.count(":") == 1:  # more than one is an IPv6 address
            name, _, port = name.partition(":")
        if port and port != str(origin.port):
            continue
        host = origin.host.lower()
        if name and (host == name or host.endswith("." + name)):
            return True
    return False


def _host(parts: SplitResult) -> str:
    """The host as resolvers and headers take it; ValueError where no host can be called so."""
    return (parts.hostname or "").encode("idna").decode()


def _is_plain(parts: SplitResult) -> bool:
    """Whether the port is a port, and nothing follows it: a password with / or # ends up there."""
    try:
        port = parts.port
    except ValueError:  # it quotes what it takes for the port: part of the password, perhaps
        return False
    return port != 0 and parts.path in {"", "/"} and not (parts.query or parts.fragment)


def _shown(url: str) -> str:
    """As much of a malformed URL as has no password, wherever that may stand in it."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    return redact(scheme + separator + rest.rpartition("@")[2])
