"""Check the facts about a session for reasons why a request would be refused; pure.

A finding names what was found, why it matters, and the command that mends it. The facts come from
`snapshot` (files) and `probe` (network).
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ocihaul.config.sources import login_command
from ocihaul.endpoints import Region
from ocihaul.errors import OcihaulError
from ocihaul.quantities import utc_text
from ocihaul.session.diagnostics.probe import ProbeResult
from ocihaul.session.diagnostics.snapshot import Snapshot, is_at_session_end, renewal_options

#: The service refuses a date that is further off than this, seconds.
_MAX_SKEW = 300.0
#: From here on a clock is wrong enough to be set, seconds.
_SKEW = 30.0
#: With less than this a long transfer has no chance without renewal, seconds.
_SHORT = 300.0


class CheckStatus(Enum):
    """The status of one finding."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `what` was found, `why` it matters, and the `cure` of a problem."""

    topic: str
    status: CheckStatus
    what: str
    why: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered; `now` is local epoch seconds.

    `config_error` replaces everything else when the configuration cannot be read. `replies` are the
    unsigned probes by service, `signed` is the signed one (None: not sent). `proxies` are the
    proxies by service, without their passwords. `rc_notice` is about an rc file that was named but
    does not exist.
    """

    now: float
    profile: str
    config_error: OcihaulError | None = None
    seen: Snapshot | None = None
    region: Region | None = None
    rc_notice: str | None = None
    replies: Mapping[str, ProbeResult] | None = None
    signed: ProbeResult | None = None
    proxies: Mapping[str, str] | None = None
    cert_bundle: str | None = None

    @property
    def offset(self) -> float | None:
        """Seconds that the service's clock is ahead of ours; None where no probe had a Date."""
        replies = (self.replies or {}).values()
        return next((each.clock_offset for each in replies if each.clock_offset is not None), None)

    @property
    def service_now(self) -> float:
        """The time by the service's clock, as far as it is known."""
        return self.now + (self.offset or 0.0)


def findings(facts: Facts) -> list[Finding]:
    """Return all findings, in the order in which problems should be mended."""
    return list(_all(facts))


def is_well(found: Sequence[Finding]) -> bool:
    """Return whether there is no problem."""
    return all(each.status is not CheckStatus.PROBLEM for each in found)


def _all(facts: Facts) -> Iterator[Finding]:
    seen = facts.seen
    if facts.config_error is not None or seen is None:
        error = facts.config_error
        yield Finding(
            "configuration",
            CheckStatus.PROBLEM,
            error.message if error else "it was not read",
            "Without it nothing can be signed.",
            (error.hint if error else None) or "",
        )
        return
    where = seen.config_file or "the environment"
    yield Finding("configuration", CheckStatus.OK, f"profile {facts.profile} from {where}")
    if facts.rc_notice is not None:
        yield Finding(
            "configuration",
            CheckStatus.PROBLEM,
            facts.rc_notice,
            "What it says of profile, region and endpoint is not heeded.",
            "`cli_rc_file` with the right path, or without it",
        )
    yield from _permissions(seen)
    yield from _pair(seen)
    yield from _token(facts, seen)
    yield from _session(facts, seen)
    yield from _region(facts)
    yield from _network(facts)
    yield from _clock(facts)
    yield from _signed(facts)
    yield from _neighbours(seen)


def _permissions(seen: Snapshot) -> Iterator[Finding]:
    open_files = [each for each in seen.files if each.private is False]
    for each in open_files:
        mode = "700" if each.what == "directory" else "600"
        yield Finding(
            "permissions",
            CheckStatus.PROBLEM,
            f"the {each.what} {each.path} is open to others (mode {each.mode or 0:03o})",
            "Any user who can read key and token can act in your name.",
            f"chmod {mode} {_quoted(each.path)}",
        )
    if not open_files:
        yield Finding("permissions", CheckStatus.OK, "the files are closed to others")
    if seen.replaceable is None:
        token = seen.file("token")
        path = token.path if token else "the token file"
        yield Finding(
            "permissions",
            CheckStatus.PROBLEM,
            f"{path} cannot be written by this user",
            "A renewed token would stay in the process that renewed it; others would go on with "
            "the old one, which may be invalid by then.",
            f"chown $(id -u) {_quoted(path)}; in a container, mount the directory read-write",
        )


def _quoted(path: object) -> str:
    """A path as a person copies it into a shell."""
    return shlex.quote(str(path))


def _pair(seen: Snapshot) -> Iterator[Finding]:
    for problem in seen.problems:
        yield Finding(
            "key and token",
            CheckStatus.PROBLEM,
            problem,
            "Each request is signed with the key that the token names; any other is a 401.",
            login_command(seen.profile),
        )
    if seen.key_matches:
        yield Finding("key and token", CheckStatus.OK, "the key belongs to the token")


def _token(facts: Facts, seen: Snapshot) -> Iterator[Finding]:
    token, now = seen.token, facts.service_now
    if token is None:
        return
    left = token.expires_at - now
    if left <= 0:
        yield Finding(
            "token",
            CheckStatus.PROBLEM,
            f"the token expired at {utc_text(token.expires_at)}",
            "An expired token is a 401, and it cannot be refreshed any more.",
            login_command(seen.profile),
        )
        return
    ahead = (token.issued_at or now) - now
    if facts.offset is None and ahead > _MAX_SKEW:
        yield Finding(
            "token",
            CheckStatus.PROBLEM,
            f"the token was issued {ahead:.0f} s in the future",
            "This machine's clock is behind the service's, which refuses dates that are 5 minutes "
            "off with a 401.",
            "timedatectl set-ntp true",
        )
    yield Finding("token", CheckStatus.OK, f"the token is valid until {utc_text(token.expires_at)}")


def _session(facts: Facts, seen: Snapshot) -> Iterator[Finding]:
    token = seen.token
    if token is None or not seen.key_matches or token.expires_at <= facts.service_now:
        return
    end = token.session_ends_at
    options = renewal_options(seen, facts.service_now)
    if options.refresh_error is None:
        until = (
            f"until {utc_text(end)}"
            if end is not None
            else "to an end that the token does not tell"
        )
        yield Finding("session", CheckStatus.OK, f"the session can be refreshed, {until}")
    elif options.mint_with:
        yield Finding(
            "session", CheckStatus.OK, f"the session is renewed with profile {options.mint_with}"
        )
    else:
        left = token.expires_at - facts.service_now
        soon = f", in {left / 60:.0f} minutes" if left < _SHORT * 4 else ""
        yield Finding(
            "session",
            CheckStatus.PROBLEM,
            f"the session cannot be renewed: {options.refresh_error}",
            f"What runs longer than {utc_text(token.expires_at)}{soon} will meet a 401.",
            f"{login_command(seen.profile)}, or `renew_with` an API-key profile"
            if is_at_session_end(token)
            else "`region`, or `auth_endpoint`",
        )


def _region(facts: Facts) -> Iterator[Finding]:
    region = facts.region
    if region is None:
        yield Finding(
            "region", CheckStatus.UNKNOWN, "no region is known; addresses are given in full"
        )
        return
    realm = f"realm {region.realm}" if region.realm else "a whole domain"
    yield Finding("region", CheckStatus.OK, f"{region.name}, {realm}")
    if region.notice:
        yield Finding(
            "region",
            CheckStatus.PROBLEM,
            region.notice,
            "A token is only valid in its own realm; another one answers 401.",
            "`region` with the region's full name",
        )


def _network(facts: Facts) -> Iterator[Finding]:
    for service, proxy in (facts.proxies or {}).items():
        yield Finding("proxy", CheckStatus.OK, f"{service} is reached through {proxy}")
    if facts.cert_bundle:
        yield Finding("tls", CheckStatus.OK, f"certificates are checked with {facts.cert_bundle}")
    if facts.replies is None:
        yield Finding("network", CheckStatus.UNKNOWN, "not asked")
        return
    for service, reply in facts.replies.items():
        if reply.untrusted:
            yield Finding(
                "tls",
                CheckStatus.PROBLEM,
                f"{service}: {reply.error}",
                "The server cannot prove that it is the service, and nothing is sent to it.",
                reply.cure or "",
            )
        elif reply.error is not None:
            yield Finding(
                "network",
                CheckStatus.PROBLEM,
                f"{service} cannot be reached at {reply.url}: {reply.error}",
                "Without the auth service the session dies with its token."
                if service == "auth"
                else "Without the service there is no transfer.",
                reply.cure or "Check name resolution, proxy (HTTPS_PROXY, NO_PROXY) and firewall.",
            )
        else:
            yield Finding("network", CheckStatus.OK, f"{service} answers at {reply.url}")


def _clock(facts: Facts) -> Iterator[Finding]:
    for service, reply in (facts.replies or {}).items():
        offset = reply.clock_offset
        if reply.error is not None:
            continue
        if offset is None:
            yield Finding("clock", CheckStatus.UNKNOWN, f"{service} does not say its time")
        elif abs(offset) >= _SKEW:
            way = "behind" if offset > 0 else "ahead of"
            refused = "The service refuses a date that is 5 minutes off with a 401"
            yield Finding(
                "clock",
                CheckStatus.PROBLEM,
                f"this machine's clock is {abs(offset):.0f} s {way} {service}'s",
                f"{refused}; ocihaul corrects its own dates, other tools do not."
                if abs(offset) >= _MAX_SKEW
                else f"{refused}: there is not much left.",
                "timedatectl set-ntp true",
            )
        else:
            yield Finding("clock", CheckStatus.OK, f"the clock agrees with {service}'s")


def _signed(facts: Facts) -> Iterator[Finding]:
    reply = facts.signed
    if reply is None:
        yield Finding(
            "request",
            CheckStatus.UNKNOWN,
            "no signed request was sent: there is nothing to sign with",
        )
    elif reply.status == 401:
        yield Finding(
            "request",
            CheckStatus.PROBLEM,
            f"{reply.url} does not accept the token: 401 {reply.code or ''}".rstrip(),
            "Nothing above explains it"
            " if all is well there: the token was revoked, or replaced by a refresh elsewhere.",
            f"ocihaul session refresh `profile={facts.profile!r}`; if that fails: "
            f"{login_command(facts.profile)}",
        )
    elif reply.error is not None:
        yield Finding(
            "request", CheckStatus.UNKNOWN, f"no answer to a signed request: {reply.error}"
        )
    elif reply.status is not None and reply.status >= 500:
        yield Finding("request", CheckStatus.UNKNOWN, f"{reply.url} answered {reply.status}")
    else:
        yield Finding("request", CheckStatus.OK, f"{reply.url} accepts the token ({reply.status})")


def _neighbours(seen: Snapshot) -> Iterator[Finding]:
    if seen.keepers:
        who = " and ".join(str(each) for each in seen.keepers)
        several = len(seen.keepers) > 1
        what = f"{who} {'keep' if several else 'keeps'} this session alive"
        what += ": one would do, and the others wait for it" if several else ""
        yield Finding("keeper", CheckStatus.OK, what)
    if seen.lock is not None and seen.lock.held:
        yield Finding(
            "neighbours",
            CheckStatus.UNKNOWN,
            f"{seen.lock.holder} holds {seen.lock.path}",
            "It renews the session right now, which takes seconds. If it is there the next time "
            "too, it hangs, and no other process can renew the session.",
            f"kill {seen.lock.pid}" if seen.lock.pid else "",
        )
    for path in seen.leftovers:
        yield Finding(
            "neighbours",
            CheckStatus.PROBLEM,
            f"{path} was left by a writer that was killed",
            "It may hold a token or a key.",
            f"rm {_quoted(path)}",
        )
    if not seen.leftovers and not (seen.lock and seen.lock.held):
        yield Finding(
            "neighbours",
            CheckStatus.OK,
            "no process holds the lock, and no temporary file is left over",
        )
