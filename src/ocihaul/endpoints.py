"""Where requests go: the hosts of URLs, and the addresses of regions; pure.

What belongs here: what a URL leads to, the meaning of a region's name and the shape of endpoints.
The facts are in `regions.json` (taken from the region tables of the OCI Python SDK 2.189.0). What
does not: where a region's name comes from (`config`), and anything that reads a file or the
environment; both are handed in.

A region that is not in the tables is looked up as the official tools do:
`~/.oci/regions-config.json`, then `OCI_REGION_METADATA`; a name with a dot is a whole domain;
`OCI_DEFAULT_REALM` is the domain of every other unknown region; and a name that looks like a
region is assumed to be in realm oc1.
"""

import difflib
import ipaddress
import json
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ocihaul.documents import DocumentError, read_json
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


METADATA_VARIABLE = "OCI_REGION_METADATA"
METADATA_FILE = "~/.oci/regions-config.json"
DEFAULT_REALM_VARIABLE = "OCI_DEFAULT_REALM"
INSTANCE_METADATA_VARIABLE = "OCI_CLI_USE_INSTANCE_METADATA_SERVICE"

_METADATA_KEYS = ("realmKey", "realmDomainComponent", "regionKey", "regionIdentifier")
_USUAL_FORM = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]+")
_LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?")

#: Two names with the same trailing number that are this much alike mean the same region: among
#: the published regions no pair comes closer than 0.86 (us-phoenix-1, us-gov-phoenix-1).
_TYPO = 0.88


@dataclass(frozen=True, slots=True)
class Region:
    """A region whose addresses are known.

    `name` is the full identifier in lower case, or a whole domain (then `domain` is None);
    `domain` is the second-level domain. `notice` is what a person should know about how it was
    resolved.
    """

    name: str
    realm: str | None
    domain: str | None
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """The published regions: name → realm, short code → name, realm → its domain."""

    realm_of: Mapping[str, str]
    name_of_code: Mapping[str, str]
    domain_of: Mapping[str, str]
    object_storage_of: Mapping[str, str]
    endpoints: Mapping[str, str]


@cache
def tables() -> Tables:
    """The tables in `regions.json`, read once."""
    data: dict[str, Any] = json.loads(pkgutil.get_data("ocihaul", "regions.json") or b"{}")
    realms: dict[str, Any] = data["realms"]
    return Tables(
        realm_of={name: key for key, realm in realms.items() for name in realm["regions"]},
        name_of_code={
            code: name for realm in realms.values() for name, code in realm["regions"].items()
        },
        domain_of={key: realm["domain"] for key, realm in realms.items()},
        object_storage_of={
            key: realm["object_storage"]
            for key, realm in realms.items()
            if "object_storage" in realm
        },
        endpoints=data["endpoints"],
    )


def resolve_region(
    text: str,
    *,
    environ: Mapping[str, str],
    metadata_file: str | None = None,
    where: str = "the region",
) -> Region:
    """The region that `text` (a name, a short code or a whole domain) means.

    `metadata_file` is the content of `~/.oci/regions-config.json`, if there is one; `where` says
    in errors where the name came from. Raises ConfigError when the name means nothing.
    """
    name = text.strip().lower()
    known = tables()
    name = known.name_of_code.get(name, name)
    if name in known.realm_of:
        realm = known.realm_of[name]
        return Region(name, realm, known.domain_of[realm])
    entries, broken = _read_metadata(metadata_file, environ.get(METADATA_VARIABLE))
    for entry in entries:
        if name in (entry["regionKey"], entry["regionIdentifier"]):
            realm = entry["realmKey"]
            # A published realm is never redefined (as in the official tools).
            domain = known.domain_of.get(realm, entry["realmDomainComponent"])
            return Region(entry["regionIdentifier"], realm, domain)
    if not _HOST.fullmatch(name) or (":" in name and "." not in name):
        raise ConfigError(
            f"{where} is {text!r}, which cannot be the name of a region", hint=_cure(name, broken)
        )
    if "." in name:
        return Region(name, None, None)
    return _assume(name, environ=environ, where=where, broken=broken)


def _assume(name: str, *, environ: Mapping[str, str], where: str, broken: str | None) -> Region:
    """An unknown region whose realm nobody told: believed if it can be one, refused if not."""
    if domain := environ.get(DEFAULT_REALM_VARIABLE, "").strip().lower():
        return Region(name, None, domain)
    nearest = _nearest(name)
    if not _USUAL_FORM.fullmatch(name) or (nearest and _is_typo(name, nearest)):
        raise ConfigError(f"{where} is {name!r}, an unknown region", hint=_cure(name, broken))
    notice = f"unknown region {name!r}; assuming realm oc1"
    if nearest:
        notice += f" (the nearest known region is {nearest})"
    if broken:
        notice += f"; {broken}"
    if _is_true(environ.get(INSTANCE_METADATA_VARIABLE)):
        notice += f"; {INSTANCE_METADATA_VARIABLE} is not supported and was ignored"
    return Region(name, "oc1", tables().domain_of["oc1"], notice)


def _read_metadata(
    file_text: str | None, variable: str | None
) -> tuple[list[dict[str, str]], str | None]:
    """Usable entries of both sources, in order, and what is wrong with a broken source.

    Incomplete entries are skipped and broken sources do no harm as long as another one knows the
    region: that is how the official tools read them.
    """
    entries: list[dict[str, str]] = []
    broken: list[str] = []
    for source, text, kind in (
        (METADATA_FILE, file_text, list),
        (METADATA_VARIABLE, variable, dict),
    ):
        if not text:
            continue
        try:
            value = read_json(text)
        except DocumentError:
            value = None
        if not isinstance(value, kind):
            broken.append(f"{source} is not a JSON {'array' if kind is list else 'object'}")
            continue
        for entry in value if isinstance(value, list) else [value]:
            if _is_complete(entry):
                entries.append({key: entry[key].lower() for key in _METADATA_KEYS})
            else:
                broken.append(f"{source} has an entry without {', '.join(_METADATA_KEYS)}")
    return entries, "; ".join(broken) or None


def _is_complete(entry: object) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), str) and entry[key] for key in _METADATA_KEYS
    )


def _nearest(name: str) -> str | None:
    found = difflib.get_close_matches(name, tables().realm_of, n=1, cutoff=0.7)
    return found[0] if found else None


def _is_typo(name: str, nearest: str) -> bool:
    same_number = name.rpartition("-")[2] == nearest.rpartition("-")[2]
    return same_number and difflib.SequenceMatcher(None, name, nearest).ratio() >= _TYPO


def _cure(name: str, broken: str | None) -> str:
    nearest = _nearest(name)
    ask = f"Did you mean {nearest}? " if nearest else "Use a name such as us-ashburn-1. "
    tell = (
        f"A region that is new or private is described in {METADATA_FILE} or {METADATA_VARIABLE}, "
        f"or has its domain in {DEFAULT_REALM_VARIABLE}."
    )
    return ask + tell + (f" ({broken})" if broken else "")


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in {"true", "1", "yes", "on"}


def object_storage_endpoint(
    region: Region,
    *,
    namespace: str | None = None,
    realm_specific: bool = False,
    dual_stack: bool = False,
) -> str:
    """Base URL of Object Storage, without a trailing slash.

    `realm_specific` uses the realm's own host names where it has them (oc1): they carry the
    namespace, or nothing while it is not known yet. `dual_stack` asks for IPv4 and IPv6.
    """
    if region.domain is None:
        return f"https://objectstorage.{region.name}"
    known = tables()
    template = known.object_storage_of.get(region.realm or "")
    if realm_specific and template:
        return template.format(
            namespace=f"{namespace}." if namespace else "",
            region=region.name,
            dual_stack="ds." if dual_stack else "",
        )
    return known.endpoints["object_storage"].format(
        region=region.name, domain=region.domain, dual_stack="ds.oci." if dual_stack else ""
    )


def auth_endpoint(region: Region) -> str:
    """Base URL of the service that refreshes session tokens."""
    return _plain_endpoint("auth", region)


def login_endpoint(region: Region, *, dual_stack: bool = False) -> str:
    """Base URL of the browser login; only oc1 has a dual-stack one."""
    if dual_stack and region.realm == "oc1":
        return f"https://login.{region.name}.ds.oci.{region.domain}"
    return _plain_endpoint("login", region)


def identity_endpoint(region: Region) -> str:
    """Base URL of the Identity service."""
    return _plain_endpoint("identity", region)


def _plain_endpoint(service: str, region: Region) -> str:
    if region.domain is None:
        return f"https://{service}.{region.name}"
    return tables().endpoints[service].format(region=region.name, domain=region.domain)
