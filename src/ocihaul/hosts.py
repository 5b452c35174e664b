"""Where a URL leads: scheme, a host that can be connected to and a port that can be; pure."""

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import SplitResult, urlsplit

from ocihaul.errors import ConfigError, UsageError
from ocihaul.redaction import redact

#: Labels of 1 to 63 characters, 253 together (RFC 1035, 2.3.4); names have underscores, too.
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises ValueError for one that is none, or whose port cannot be.

    Control characters, too: `urlsplit` would drop some of them and leave others in the host.
    """
    if any(character < " " or character == "\x7f" for character in url):
        raise ValueError("a URL has no control characters")
    parts = urlsplit(url)
    if parts.port == 0:
        raise ValueError("there is no port 0")
    return parts


def host_of(parts: SplitResult) -> str:
    """The host as resolvers and headers take it. Raises ValueError where none can be called so."""
    host = parts.hostname or ""
    if not _NAME.fullmatch(host):  # the codec takes a millisecond to load
        host = host.encode("idna").decode()
    if "[" in parts.netloc.rpartition("@")[2]:
        return str(ipaddress.ip_address(host))
    if not _NAME.fullmatch(host):
        raise ValueError("no host can be called like this")
    return host


def is_exposed(scheme: str, host: str) -> bool:
    """Whether what is sent there can be read on the way: http to anything but this machine."""
    return scheme == "http" and not _is_loopback(host)


def refused(what: str) -> UsageError:
    """The error for such an address; `what` says where it stands and what it is."""
    return UsageError(
        f"{what} is plain http to another machine (allowed: https, or http to loopback)",
        hint="Requests and their credential could be read on the way: use https://. Where the "
        "network may be trusted with them: `allow_plain_http`, or OCIHAUL_ALLOW_PLAIN_HTTP=true.",
    )


def _is_loopback(host: str) -> bool:
    """Loopback by its address, or by the one name that RFC 6761 keeps for it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


_DEFAULT_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True)
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
                f"{shown(url)!r} is not a base URL",
                hint="Give it as https://host or https://host:port.",
            )
        return cls(parts.scheme, host, port or _DEFAULT_PORT[parts.scheme])

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT names them."""
        return host_and_port(self.host, self.port)

    @cached_property
    def host_header(self) -> str:
        """Host as it is sent; the port only where it is not the scheme's own."""
        if self.port == _DEFAULT_PORT[self.scheme]:
            return _bracketed(self.host)
        return self.authority

    @property
    def is_exposed(self) -> bool:
        """Whether what is sent there can be read on the way: plain HTTP to another machine."""
        return is_exposed(self.scheme, self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"


def host_and_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address (RFC 3986, 3.2.2)."""
    return f"{_bracketed(host)}:{port}"


def shown(url: str) -> str:
    """As much of a malformed URL as has no password, wherever that may stand in it."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    return redact(scheme + separator + rest.rpartition("@")[2])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
