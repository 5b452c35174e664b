"""Why a request would be refused: findings from facts; pure.

What belongs here: which fact is trouble, why it matters, and the command that mends it. Gathering
the facts is the work of `inspection` (files) and `asking` (network).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ocihaul.config.sources import login_command
from ocihaul.errors import OcihaulError
from ocihaul.regions import Region
from ocihaul.session.asking import Reply
from ocihaul.session.inspection import Inspection, is_at_wall, renewal
from ocihaul.session.moments import moment

#: The service refuses a date that is further off than this, seconds.
_MAX_SKEW = 300.0
#: From here on a clock is wrong enough to be set, seconds.
_SKEW = 30.0
#: With less than this a long transfer has no chance without renewal, seconds.
_SHORT = 300.0


class Verdict(Enum):
    """How a finding is to be read."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `what` was found, `why` it matters, the `cure` if it is one."""

    topic: str
    verdict: Verdict
    what: str
    why: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered; `now` is local epoch seconds.

    `config_error` replaces all the rest when the configuration leads nowhere. `replies` are the
    unsigned questions by service, `signed` is a signed one (None: not asked). `proxies` are the
    proxies by service, without their passwords. `rc_notice` tells of an rc file that was named and
    is not there.
    """

    now: float
    profile: str
    config_error: OcihaulError | None = None
    seen: Inspection | None = None
    region: Region | None = None
    rc_notice: str | None = None
    replies: Mapping[str, Reply] | None = None
    signed: Reply | None = None
    proxies: Mapping[str, str] | None = None
    cert_bundle: str | None = None

    @property
    def offset(self) -> float | None:
        """Seconds that the service's clock is ahead of ours, where it was heard."""
        replies = (self.replies or {}).values()
        return next((each.clock_offset for each in replies if each.clock_offset is not None), None)

    @property
    def service_now(self) -> float:
        """The time by the service's clock, as far as it is known."""
        return self.now + (self.offset or 0.0)


def findings(facts: Facts) -> list[Finding]:
    """Everything there is to say, in the order in which it should be mended."""
    return list(_all(facts))


def is_well(found: Sequence[Finding]) -> bool:
    """Whether nothing has to be mended."""
    return all(each.verdict is not Verdict.PROBLEM for each in found)


def _all(facts: Facts) -> Iterator[Finding]:
    seen = facts.seen
    if facts.config_error is not None or seen is None:
        error = facts.config_error
        yield Finding(
            "configuration",
            Verdict.PROBLEM,
            error.message if error else "it was not read",
            "Without it nothing can be signed.",
            (error.hint if error else None) or "",
        )
        return
    where = seen.config_file or "the environment"
    yield Finding("configuration", Verdict.OK, f"profile {facts.profile} from {where}")
    if facts.rc_notice is not None:
        yield Finding(
            "configuration",
            Verdict.PROBLEM,
            facts.rc_notice,
            "What it says of profile, region and endpoint is not heeded.",
            "--cli-rc-file with the right path, or without it",
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


def _permissions(seen: Inspection) -> Iterator[Finding]:
    open_files = [each for each in seen.files if each.private is False]
    for each in open_files:
        mode = "700" if each.what == "directory" else "600"
        yield Finding(
            "permissions",
            Verdict.PROBLEM,
            f"the {each.what} {each.path} is open to others (mode {each.mode or 0:03o})",
            "Who can read key and token can act in your name.",
            f"chmod {mode} {each.path}",
        )
    if not open_files:
        yield Finding("permissions", Verdict.OK, "the files are closed to others")
    if seen.replaceable is None:
        token = seen.file("token")
        path = token.path if token else "the token file"
        yield Finding(
            "permissions",
            Verdict.PROBLEM,
            f"{path} cannot be written by this user",
            "A renewed token would stay in the process that renewed it; others would go on with "
            "the old one, which may be invalid by then.",
            f"chown $(id -u) {path}; in a container, mount the directory read-write",
        )


def _pair(seen: Inspection) -> Iterator[Finding]:
    for problem in seen.problems:
        yield Finding(
            "key and token",
            Verdict.PROBLEM,
            problem,
            "Each request is signed with the key that the token names; any other is a 401.",
            login_command(seen.profile),
        )
    if seen.key_matches:
        yield Finding("key and token", Verdict.OK, "the key belongs to the token")


def _token(facts: Facts, seen: Inspection) -> Iterator[Finding]:
    token, now = seen.token, facts.service_now
    if token is None:
        return
    left = token.expires_at - now
    if left <= 0:
        yield Finding(
            "token",
            Verdict.PROBLEM,
            f"the token expired at {moment(token.expires_at)}",
            "An expired token is a 401, and it cannot be refreshed any more.",
            login_command(seen.profile),
        )
        return
    ahead = (token.issued_at or now) - now
    if facts.offset is None and ahead > _MAX_SKEW:
        yield Finding(
            "token",
            Verdict.PROBLEM,
            f"the token was issued {ahead:.0f} s in the future",
            "This machine's clock is behind the service's, which refuses dates that are 5 minutes "
            "off with a 401.",
            "timedatectl set-ntp true",
        )
    yield Finding("token", Verdict.OK, f"the token is valid until {moment(token.expires_at)}")


def _session(facts: Facts, seen: Inspection) -> Iterator[Finding]:
    token = seen.token
    if token is None or not seen.key_matches or token.expires_at <= facts.service_now:
        return
    end = token.session_ends_at
    how = renewal(seen, facts.service_now)
    if how.refusal is None:
        until = f"until {moment(end)}" if end is not None else "to an end that it does not say"
        yield Finding("session", Verdict.OK, f"the session can be refreshed, {until}")
    elif how.mint_with:
        yield Finding("session", Verdict.OK, f"the session is renewed with profile {how.mint_with}")
    else:
        left = token.expires_at - facts.service_now
        soon = f", in {left / 60:.0f} minutes" if left < _SHORT * 4 else ""
        yield Finding(
            "session",
            Verdict.PROBLEM,
            f"the session cannot be renewed: {how.refusal}",
            f"What runs longer than {moment(token.expires_at)}{soon} will meet a 401.",
            f"{login_command(seen.profile)}, or --renew-with an API-key profile"
            if is_at_wall(token)
            else "--region, or --auth-endpoint",
        )


def _region(facts: Facts) -> Iterator[Finding]:
    region = facts.region
    if region is None:
        yield Finding("region", Verdict.UNKNOWN, "no region is known; addresses are given in full")
        return
    realm = f"realm {region.realm}" if region.realm else "a whole domain"
    yield Finding("region", Verdict.OK, f"{region.name}, {realm}")
    if region.notice:
        yield Finding(
            "region",
            Verdict.PROBLEM,
            region.notice,
            "A token is only valid in its own realm; another one answers 401.",
            "--region with the region's full name",
        )


def _network(facts: Facts) -> Iterator[Finding]:
    for service, proxy in (facts.proxies or {}).items():
        yield Finding("proxy", Verdict.OK, f"{service} is reached through {proxy}")
    if facts.cert_bundle:
        yield Finding("tls", Verdict.OK, f"certificates are checked with {facts.cert_bundle}")
    if facts.replies is None:
        yield Finding("network", Verdict.UNKNOWN, "not asked")
        return
    for service, reply in facts.replies.items():
        if reply.untrusted:
            yield Finding(
                "tls",
                Verdict.PROBLEM,
                f"{service}: {reply.error}",
                "Whoever answers there cannot prove to be the service, and is sent nothing.",
                reply.cure or "",
            )
        elif reply.error is not None:
            yield Finding(
                "network",
                Verdict.PROBLEM,
                f"{service} cannot be reached at {reply.url}: {reply.error}",
                "Without the auth service the session dies with its token."
                if service == "auth"
                else "There is nobody to send anything to.",
                reply.cure or "Check name resolution, proxy (HTTPS_PROXY, NO_PROXY) and firewall.",
            )
        else:
            yield Finding("network", Verdict.OK, f"{service} answers at {reply.url}")


def _clock(facts: Facts) -> Iterator[Finding]:
    for service, reply in (facts.replies or {}).items():
        offset = reply.clock_offset
        if reply.error is not None:
            continue
        if offset is None:
            yield Finding("clock", Verdict.UNKNOWN, f"{service} does not say its time")
        elif abs(offset) >= _SKEW:
            way = "behind" if offset > 0 else "ahead of"
            refused = "The service refuses a date that is 5 minutes off with a 401"
            yield Finding(
                "clock",
                Verdict.PROBLEM,
                f"this machine's clock is {abs(offset):.0f} s {way} {service}'s",
                f"{refused}; ocihaul corrects its own dates, other tools do not."
                if abs(offset) >= _MAX_SKEW
                else f"{refused}: there is not much left.",
                "timedatectl set-ntp true",
            )
        else:
            yield Finding("clock", Verdict.OK, f"the clock agrees with {service}'s")


def _signed(facts: Facts) -> Iterator[Finding]:
    reply = facts.signed
    if reply is None:
        yield Finding(
            "request", Verdict.UNKNOWN, "no signed request was sent: there is nothing to sign with"
        )
    elif reply.status == 401:
        yield Finding(
            "request",
            Verdict.PROBLEM,
            f"{reply.url} does not accept the token: 401 {reply.code or ''}".rstrip(),
            "Nothing above explains it"
            " if all is well there: the token was revoked, or replaced by a refresh elsewhere.",
            f"ocihaul session refresh --profile {facts.profile}; if that fails: "
            f"{login_command(facts.profile)}",
        )
    elif reply.error is not None:
        yield Finding("request", Verdict.UNKNOWN, f"no answer to a signed request: {reply.error}")
    elif reply.status is not None and reply.status >= 500:
        yield Finding("request", Verdict.UNKNOWN, f"{reply.url} answered {reply.status}")
    else:
        yield Finding("request", Verdict.OK, f"{reply.url} accepts the token ({reply.status})")


def _neighbours(seen: Inspection) -> Iterator[Finding]:
    if seen.keepers:
        who = " and ".join(str(each) for each in seen.keepers)
        several = len(seen.keepers) > 1
        what = f"{who} {'keep' if several else 'keeps'} this session alive"
        what += ": one would do, and the others wait for it" if several else ""
        yield Finding("keeper", Verdict.OK, what)
    if seen.lock is not None and seen.lock.held:
        yield Finding(
            "neighbours",
            Verdict.UNKNOWN,
            f"{seen.lock.holder} holds {seen.lock.path}",
            "It renews the session right now, which takes seconds. If it is there the next time "
            "too, it hangs, and keeps everybody else from renewing.",
            f"kill {seen.lock.pid}" if seen.lock.pid else "",
        )
    for path in seen.leftovers:
        yield Finding(
            "neighbours",
            Verdict.PROBLEM,
            f"{path} was left by a writer that was killed",
            "It may hold a token or a key.",
            f"rm {path}",
        )
    if not seen.leftovers and not (seen.lock and seen.lock.held):
        yield Finding("neighbours", Verdict.OK, "nobody holds the lock, and nothing is left over")
