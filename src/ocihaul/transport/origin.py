"""Where a base URL leads: scheme, host and port, and how they are written."""

from dataclasses import dataclass
from functools import lru_cache

from ocihaul.errors import ConfigError
from ocihaul.hosts import host_of, is_exposed, split_url
from ocihaul.redaction import redact

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
                f"{shown(url)!r} is not a base URL",
                hint="Give it as https://host or https://host:port.",
            )
        return cls(parts.scheme, host, port or _DEFAULT_PORT[parts.scheme])

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT names them."""
        return host_and_port(self.host, self.port)

    @property
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
