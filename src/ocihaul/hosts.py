"""URLs taken apart, with a host that can be connected to and a port that can be; pure."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from ocihaul.errors import UsageError

_NAME = re.compile(r"[a-z0-9._-]{1,253}")


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
    host = (parts.hostname or "").encode("idna").decode()
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
