"""Plain HTTP to another machine: its credential can be read on the way; pure."""

import ipaddress

from ocihaul.errors import UsageError


def is_exposed(scheme: str, host: str) -> bool:
    """Whether what is sent there can be read on the way: http to anything but this machine."""
    return scheme == "http" and not _is_loopback(host)


def refused(what: str) -> UsageError:
    """The error for such an address; `what` says where it stands and what it is."""
    return UsageError(
        f"{what} is plain http to another machine (allowed: https, or http to loopback)",
        hint="Requests and their credential could be read on the way: use https://. Where the "
        "network may be trusted with them: --allow-plain-http, or OCIHAUL_ALLOW_PLAIN_HTTP=true.",
    )


def _is_loopback(host: str) -> bool:
    """Loopback by its address, or by the one name that RFC 6761 keeps for it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
