"""What goes into and comes out of the configuration, as values, and how people write them; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ocihaul.endpoints import Region, identity_endpoint, object_storage_endpoint
from ocihaul.errors import ConfigError, UsageError


class Found(NamedTuple):
    """A value and the place it came from, for errors."""

    value: str
    origin: str


#: No length of time is longer than this: a hundred years of 365 days, seconds.
LONGEST = 36500 * 86400.0
#: No size is larger than this, nor a rate: 2 ** 60, an EiB.
LARGEST = 2.0**60

_SHOWN = 60

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
#: One letter is binary, as people mean it; written out, the unit says which it is.
SIZES: Mapping[str, int] = {
    "": 1,
    "b": 1,
    **{unit: 2 ** (10 * power) for power, unit in enumerate("kmgt", 1)},
    **{f"{unit}ib": 2 ** (10 * power) for power, unit in enumerate("kmgt", 1)},
    **{f"{unit}b": 10 ** (3 * power) for power, unit in enumerate("kmgt", 1)},
}


def duration(found: Found) -> float:
    """Seconds from `90`, `90s`, `15m`, `12h` or `1d`. Raises UsageError."""
    seconds = _number(found, _UNITS, "a length of time", "Write it as 90s, 15m, 12h or 1d.")
    if seconds > LONGEST:
        raise UsageError(
            f"{found.origin}: {_short(found)} (at most {LONGEST / 86400:.0f}d)",
            hint="Write it as 90s, 15m, 12h or 1d.",
        )
    return seconds


def size(found: Found) -> float:
    """Bytes from `1000`, `64k`, `1.5G` (steps of 1024), `50MB` (of 1000), `50MiB`.

    Raises UsageError.
    """
    count = _number(found, SIZES, "a size", "Write it as 500k, 50M or 1.5G.")
    if count > LARGEST:
        raise UsageError(
            f"{found.origin}: {_short(found)} (at most {LARGEST / 2**40:.0f}T)",
            hint="Write it as 500k, 50M or 1.5G.",
        )
    return count


def whole_number(found: Found, least: int, most: int, what: str) -> int:
    """A whole number from `least` to `most`. Raises UsageError, which names the range."""
    text = found.value.strip()
    if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise UsageError(
            f"{found.origin}: {_short(found)} is not {what} ({least} to {most})",
            hint="Write it in digits.",
        )
    return int(text)


def _number(found: Found, units: Mapping[str, float], what: str, cure: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", found.value.strip().lower())
    if match is None or match[2] not in units:
        raise UsageError(f"{found.origin}: {_short(found)} is not {what}", hint=cure)
    return float(match[1]) * units[match[2]]


def _short(found: Found) -> str:
    """The value as an error shows it: a slip of the clipboard may be long."""
    return ascii(found.value if len(found.value) <= _SHOWN else found.value[:_SHOWN] + "…")


_CURE = "Write it as 200M (bytes per second), or by time of day: '08:00,50M 18:00,200M 23:00,off'."


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Rates by the minute of the day from which they hold, ascending; None is no limit.

    Before the first one the last one holds: it began yesterday.
    """

    steps: tuple[tuple[int, float | None], ...]

    def at(self, moment: datetime) -> float | None:
        """Bytes per second at this (local) time; None for no limit."""
        minute = moment.hour * 60 + moment.minute
        begun = [rate for start, rate in self.steps if start <= minute]
        return begun[-1] if begun else self.steps[-1][1]


def parse_bandwidth(found: Found) -> Bandwidth:
    """What `--bandwidth` says. Raises UsageError."""
    words = found.value.split()
    if len(words) == 1 and "," not in words[0]:
        return Bandwidth(((0, _rate(found, words[0])),))
    steps: dict[int, float | None] = {}
    for word in words:
        match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d),(\S+)", word)
        if match is None:
            raise UsageError(f"{found.origin}: {word!r} is not a time and a rate", hint=_CURE)
        minute = int(match[1]) * 60 + int(match[2])
        if minute in steps:
            raise UsageError(f"{found.origin}: {match[1]}:{match[2]} is there twice", hint=_CURE)
        steps[minute] = _rate(found, match[3])
    if not steps:
        raise UsageError(f"{found.origin} is empty", hint=_CURE)
    return Bandwidth(tuple(sorted(steps.items())))


def _rate(found: Found, text: str) -> float | None:
    if text.lower() == "off":
        return None
    try:
        rate = size(Found(text, found.origin))
    except UsageError as error:
        raise UsageError(error.message, hint=_CURE) from None
    if rate < 1:
        raise UsageError(f"{found.origin}: a rate of {text} would never end", hint=_CURE)
    return rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The global options as they were given; None (or False) where they were not.

    Timeouts are seconds; `max_retries` counts attempts, as in the official CLI.
    """

    config_file: str | None = None
    profile: str | None = None
    cli_rc_file: str | None = None
    auth: str | None = None
    region: str | None = None
    endpoint: str | None = None
    auth_endpoint: str | None = None
    allow_plain_http: bool = False
    realm_specific_endpoint: bool = False
    enable_dual_stack: bool = False
    cert_bundle: str | None = None
    connection_timeout: float | None = None
    read_timeout: float | None = None
    max_retries: int | None = None
    no_retry: bool = False
    proxy: str | None = field(default=None, repr=False)
    renew_with: str | None = None
    session_expiration_in_minutes: int | None = None
    session_wait: str | None = None
    on_park: str | None = None
    login: str | None = None
    require_session: bool = False
    expected_rate: str | None = None
    bandwidth: str | None = None
    request_id: str | None = None
    congestion_control: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a person session_options of the session.

    `renew_with` is the profile whose API key mints; `minutes` the life to ask for then.
    `session_wait` is how long, in seconds, an expired session waits for a new login, and
    `on_park` a command to run when it begins to; `login` offers the login itself then, to a person
    at a terminal. `require_session` makes a forecast that does not
    fit an error; `expected_rate` (bytes per second) is what it reckons with before anything was
    measured.
    """

    renew_with: str | None = None
    minutes: int | None = None
    session_wait: float = 0.0
    on_park: str | None = None
    login: bool = False
    require_session: bool = False
    expected_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the core needs to know about whom it speaks for, and to whom.

    Exactly one of `key_file` and `key_content` is set, none where a signer of the SDK signs.
    `auth_endpoint` is None where neither a region nor an address is known: then a session cannot
    be refreshed. `max_attempts` is None where nobody asked for a number; `unreachable` is how many
    seconds a request is tried while no connection can be made. `bandwidth` is None where nothing is
    limited. `minting` are the settings of the profile that `session_options.renew_with` names.
    `cert_bundle` is a file, or a directory of certificates. `plain_http`: credentials may go to
    another machine over plain HTTP. `request_id` goes with every request: the caller's name of it.
    """

    profile: str
    config_file: Path | None
    auth: str
    region: str | None
    tenancy: str | None
    user: str | None
    fingerprint: str | None
    key_file: Path | None
    key_content: str | None = field(repr=False)
    passphrase: str | None = field(repr=False)
    token_file: Path | None
    endpoint: str | None
    auth_endpoint: str | None
    cert_bundle: Path | None
    connection_timeout: float
    read_timeout: float
    max_attempts: int | None
    proxy: str | None = field(repr=False)
    notices: tuple[str, ...] = ()
    resolved_region: Region | None = None
    realm_specific: bool = False
    dual_stack: bool = False
    plain_http: bool = False
    session_options: SessionOptions = SessionOptions()
    bandwidth: Bandwidth | None = None
    congestion_control: str = "auto"
    minting: "Settings | None" = None
    delegation_token_file: Path | None = None
    request_id: str | None = None
    unreachable: float = 600.0

    def identity_endpoint(self) -> str | None:
        """Base URL of the Identity service; `endpoint` stands for it, as in the official CLI."""
        if self.endpoint or self.resolved_region is None:
            return self.endpoint
        return identity_endpoint(self.resolved_region)

    def object_storage_endpoint(self, namespace: str | None) -> str:
        """Base URL of Object Storage, without a trailing slash."""
        if self.endpoint:
            return self.endpoint
        if self.resolved_region is None:
            raise ConfigError("neither a region nor an endpoint is known")
        return object_storage_endpoint(
            self.resolved_region,
            namespace=namespace,
            realm_specific=self.realm_specific,
            dual_stack=self.dual_stack,
        )
