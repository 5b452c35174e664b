"""Where to connect: scheme, host and port of a base URL, and the proxy on the way."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, unquote_to_bytes

from ocihaul.errors import ConfigError
from ocihaul.hosts import host_of, split_url

_DEFAULT_PORT = {"http": 80, "https": 443}


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
            parts = split_url(url)
            host, port = host_of(parts), parts.port
        except ValueError:
            host, port = "", 0
        if not host or parts.scheme not in _DEFAULT_PORT:
            raise ConfigError(
                f"{_without_user(url)!r} is not a base URL",
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
        try:
            parts = split_url(url if "://" in url else f"http://{url}")
            host = host_of(parts) if parts.scheme == "http" and _is_plain(parts) else ""
            authorization = _authorization(parts)
        except ValueError:  # it may quote what it takes for host or port: the password, perhaps
            host = ""
        if not host:
            raise ConfigError(
                f"the proxy {_without_user(url)!r} cannot be used",
                hint="Only proxies of the form http://[user:password@]host:port are supported; "
                "in a password, / is %2F, # is %23 and ? is %3F.",
            )
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


def _authorization(parts: SplitResult) -> str | None:
    """The value for the user in a URL; ValueError for a text that has no bytes (a lone surrogate).

    Bytes of the command line that are no UTF-8, and such as %E9, are sent as they are.
    """
    if parts.username is None:
        return None
    given = (parts.username, parts.password or "")
    pair = b":".join(unquote_to_bytes(each.encode(errors="surrogateescape")) for each in given)
    return "Basic " + base64.b64encode(pair).decode()


def _is_plain(parts: SplitResult) -> bool:
    """Whether nothing follows the port: a password with / or # ends up there."""
    return parts.path in {"", "/"} and not (parts.query or parts.fragment)


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    return scheme + separator + rest.rpartition("@")[2]
