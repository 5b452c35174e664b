"""`session status` and `session validate`: what is known of sessions, and are they valid?

`Report` is one session's status, as lines and as a document; pure.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import DONE, FAILED
from ocihaul.cli.session import (
    Say,
    chosen_profiles,
    for_each,
    say_notice,
    session_settings,
    several_profiles,
)
from ocihaul.errors import OcihaulError

if TYPE_CHECKING:
    from datetime import tzinfo

    from ocihaul.session.diagnostics.probe import ProbeResult
    from ocihaul.session.diagnostics.snapshot import RenewalOptions, Snapshot


#: What clocks may differ by without a word, seconds: the service allows five minutes.
_CLOCKS_DIFFER = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of one profile at `now` (epoch seconds): what was seen, or the `problem`."""

    profile: str
    now: float
    seen: "Snapshot | None" = None
    problem: OcihaulError | None = None
    reply: "ProbeResult | None" = None
    zone: "tzinfo | None" = None

    @property
    def service_now(self) -> float:
        """The time by the service's clock, as far as it was asked."""
        return self.now + ((self.reply.clock_offset if self.reply else None) or 0.0)

    @property
    def usable(self) -> bool:
        """Whether requests can be signed now."""
        from ocihaul.session.diagnostics.snapshot import is_usable

        return self.seen is not None and is_usable(self.seen, self.service_now)

    def lines(self) -> list[str]:
        """Lines for people."""
        head = f"{self.profile}: {'usable' if self.usable else 'not usable'}"
        return [head, *(f"  {name:<13} {text}" for name, text in self._rows())]

    def _rows(self) -> Iterator[tuple[str, str]]:
        from ocihaul.session.diagnostics.snapshot import renewal_options

        if self.problem is not None:
            yield "problem", in_flags(self.problem.message)
            if self.problem.hint:
                yield from (("", line) for line in in_flags(self.problem.hint).split("\n"))
        if self.seen is None:
            return
        seen = self.seen
        for problem in seen.problems:
            yield "problem", in_flags(problem)
        if seen.token is not None:
            yield "token", self._end(seen.token.expires_at)
            if seen.token.issued_at is not None:
                yield "issued", self._since(seen.token.issued_at)
            end = seen.token.session_ends_at
            yield "session", self._end(end) if end is not None else "the token does not say its end"
        yield "renewal", self._renewal(renewal_options(seen, self.service_now))
        if seen.last_renewal is not None:
            yield "written", self._since(seen.last_renewal)
        if seen.key_matches is not None:
            yield "key", "matches the token" if seen.key_matches else "does not match the token"
        yield from self._files(seen)
        yield from self._clock()

    def _files(self, seen: "Snapshot") -> Iterator[tuple[str, str]]:
        for each in seen.files:
            mode = "cannot be looked at" if each.mode is None else f"mode {each.mode:03o}"
            open_to_all = each.private is False
            name = each.what if each.what == "directory" else f"{each.what} file"
            yield name, f"{each.path} ({mode}{', open to others' if open_to_all else ''})"
        if seen.replaceable is None:
            yield "", "a renewed token cannot be written here: it stays in the process"
        elif seen.replaceable == "in place":
            yield "", "the directory is closed: a renewed token is written in place"
        for keeper in seen.keepers:
            yield "keeper", f"{keeper} keeps this session alive"
        if seen.lock is not None and seen.lock.held:
            yield "lock", f"{seen.lock.holder} is renewing this session"
        for path in seen.leftovers:
            yield (
                "left over",
                f"{path}, by a writer that was killed; it may hold a token: remove it",
            )

    def _renewal(self, options: "RenewalOptions") -> str:
        from ocihaul.quantities import time_text

        if options.refresh_error is None:
            until = "until an end that the token does not say"
            if options.until is not None:
                until = f"until {time_text(options.until, self.zone)}"
            text = f"by refresh, {until}"
        else:
            text = f"not by refresh: {in_flags(options.refresh_error)}"
        if options.mint_with:
            text += f"; with the API key of profile {options.mint_with}"
        return text

    def _end(self, moment: float) -> str:
        from ocihaul.quantities import duration_text, time_text

        left = moment - self.service_now
        when = time_text(moment, self.zone)
        if left <= 0:
            return f"ended {when} ({duration_text(-left)} ago)"
        return f"ends {when} (in {duration_text(left)})"

    def _clock(self) -> Iterator[tuple[str, str]]:
        """What is known of the local clock: a token is issued first, and read afterwards."""
        from ocihaul.quantities import duration_text

        issued = self.seen.token.issued_at if self.seen and self.seen.token else None
        if self.reply is not None:
            yield "clock", clock_text(self.reply)
        elif issued is not None and issued - self.now > _CLOCKS_DIFFER:
            behind = duration_text(issued - self.now)
            text = f"behind by {behind} at least: the token is from the future"
            yield "clock", f"{text} (--online asks the service for its time)"

    def _since(self, moment: float) -> str:
        from ocihaul.quantities import duration_text, time_text

        ago = self.service_now - moment
        way = f"{duration_text(ago)} ago" if ago >= 0 else f"in {duration_text(-ago)}"
        return f"{time_text(moment, self.zone)} ({way})"

    def document(self) -> dict[str, Any]:
        """The same for programs: times in UTC, durations in seconds."""
        from ocihaul.session.diagnostics.snapshot import renewal_options

        document: dict[str, Any] = {"profile": self.profile, "usable": self.usable}
        if self.problem is not None:
            hint = self.problem.hint
            problems = [in_flags(self.problem.message)]
            return document | {"problems": problems, "hint": hint and in_flags(hint)}
        seen = self.seen
        if seen is None:
            return document
        token, options = seen.token, renewal_options(seen, self.service_now)
        return document | {
            "problems": [*map(in_flags, seen.problems)],
            "token": {
                "issued-at": _iso(token.issued_at if token else None),
                "expires-at": _iso(token.expires_at if token else None),
                "expires-in": self._left(token.expires_at if token else None),
            },
            "session": {
                "ends-at": _iso(token.session_ends_at if token else None),
                "ends-in": self._left(token.session_ends_at if token else None),
            },
            "key-matches": seen.key_matches,
            "renewal": {
                "refresh": options.refresh_error is None,
                "refusal": options.refresh_error,
                "until": _iso(options.until),
                "mint-with": options.mint_with,
                "auth-endpoint": seen.auth_endpoint,
                "written": seen.replaceable,
            },
            "last-renewal": _iso(seen.last_renewal),
            "files": {
                each.what: {
                    "path": str(each.path),
                    "mode": None if each.mode is None else f"{each.mode:03o}",
                    "private": each.private,
                }
                for each in seen.files
            },
            "lock": None
            if seen.lock is None
            else {"path": str(seen.lock.path), "held": seen.lock.held, "pid": seen.lock.pid},
            "keepers": [{"pid": each.pid, "program": each.program} for each in seen.keepers],
            "leftovers": [str(path) for path in seen.leftovers],
            "clock-offset": self.reply.clock_offset if self.reply else None,
        }

    def _left(self, moment: float | None) -> float | None:
        return None if moment is None else round(moment - self.service_now, 1)


def clock_text(reply: "ProbeResult") -> str:
    """How far the local clock is from the service's."""
    from ocihaul.quantities import duration_text

    if reply.error is not None:
        return f"not known: {reply.error}"
    if reply.clock_offset is None:
        return f"not known: {reply.url} did not say its time"
    if abs(reply.clock_offset) < 1:
        return f"agrees with {reply.url}"
    way = "behind" if reply.clock_offset > 0 else "ahead of"
    return f"{duration_text(abs(reply.clock_offset))} {way} {reply.url}"


def _iso(moment: float | None) -> str | None:
    from datetime import UTC, datetime

    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


_STATUS = ("session", "status")


@click.command("status")
@several_profiles
@click.option("--online", is_flag=True, help="Ask the auth service for its time as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as --output json does.")
@global_options(hidden=True, without=("profile",))
@click.pass_context
def status(
    context: click.Context,
    /,
    *,
    profiles: tuple[str, ...],
    online: bool,
    as_json: bool,
) -> None:
    """Tell how long sessions last, how they are renewed, and whether they can be used.

    Nothing is sent anywhere, unless --online asks for the service's time. The exit status is 0
    when every session can be used, 1 otherwise.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    reports = [_report(given, name, online=online) for name in names]
    if as_json or given.values.get("output") or given.values.get("query"):
        _print_json(given, [each.document() for each in reports])
    else:
        from ocihaul.printing import say

        for number, each in enumerate(reports):
            say(sys.stdout, *([""] if number else []), *each.lines())
    usable = all(each.usable for each in reports)
    raise click.exceptions.Exit(DONE if usable else FAILED)


def _report(given: Given, profile: str, *, online: bool) -> "Report":
    from ocihaul.session.diagnostics.snapshot import take_snapshot

    now = time.time()
    try:
        settings = session_settings(given, profile, command=_STATUS)
        seen = take_snapshot(settings)
    except OcihaulError as error:
        return Report(profile, now, problem=error)
    reply = None
    if online and (settings.auth_endpoint or settings.endpoint):
        from ocihaul.session.diagnostics.probe import probe_clock
        from ocihaul.session.session import dialer_for

        url = settings.auth_endpoint or settings.endpoint or ""
        reply = probe_clock(dialer_for(settings), url, timeout=settings.connection_timeout)
    return Report(profile, now, seen=seen, reply=reply)


def _print_json(given: Given, documents: list[dict[str, Any]]) -> None:
    from ocihaul.cli.output import EMPTY_RESULT, columns_of, make_view, print_view
    from ocihaul.cli.process import environment_and_home
    from ocihaul.config import load_rc
    from ocihaul.printing import say

    environ, home = environment_and_home()
    view = make_view(
        output=given.values.get("output"),
        query=given.values.get("query"),
        raw=bool(given.values.get("raw_output")),
        queries=load_rc(given.flags(), environ, home).queries,
    )
    text = view.render({"data": documents}, columns=columns_of(sys.stdout))
    if text is None:
        say(sys.stderr, EMPTY_RESULT)
    else:
        print_view(sys.stdout, view, text)


_VALIDATE = ("session", "validate")
#: What the official CLI asks: every user may list the regions.
LIST_REGIONS = "/20160918/regions"


@click.command("validate")
@several_profiles
@click.option("--local", is_flag=True, help="Look at the token's expiry only.")
@global_options(hidden=True, without=("profile",))
@click.pass_context
def validate(context: click.Context, /, *, profiles: tuple[str, ...], local: bool) -> None:
    """Test whether sessions are valid, by a call that needs them.

    Tokens are neither renewed nor changed. The exit status is 1 when one is not valid, and 75
    when the service could not be asked.
    """
    given = context.ensure_object(Given)
    names = chosen_profiles(given, profiles)
    for text in given.notices():
        say_notice(text)
    code = for_each(
        names, lambda name, say: _validate(given, name, say, local=local), debug=given.debug
    )
    raise click.exceptions.Exit(code)


def _validate(given: Given, profile: str, say: Say, *, local: bool) -> int:
    from ocihaul.clock import local_time
    from ocihaul.session.session import store_for

    settings = session_settings(given, profile, command=_VALIDATE)
    for text in map(in_flags, settings.notices):
        say(f"Notice: {text}")
    pair = store_for(settings).read()
    if local:
        if time.time() >= pair.token.expires_at:
            say("Session has expired")
            return FAILED
    else:
        from ocihaul.errors import ConfigError, NetworkError
        from ocihaul.session.diagnostics.probe import probe_signed
        from ocihaul.session.session import dialer_for

        url = settings.identity_endpoint()
        if url is None:
            raise ConfigError(
                "no region is known, so there is no address to ask",
                hint="Give --region or --endpoint; or say --local to look at the expiry only.",
            )
        reply = probe_signed(
            dialer_for(settings),
            url,
            LIST_REGIONS,
            token=pair.token,
            key=pair.key,
            timeout=settings.read_timeout,
        )
        if reply.status == 401:
            say("Session was deemed invalid by service")
            return FAILED
        # With 403 and 404 the service has recognised who asks.
        if reply.status not in {200, 403, 404}:
            why = reply.error or f"it answered {reply.status} {reply.code or ''}".rstrip()
            raise NetworkError(f"{reply.url} could not be asked: {why}", hint=reply.cure)
    expiry = local_time(pair.token.expires_at)
    say(f"Session is valid until {expiry:%Y-%m-%d %H:%M:%S}")
    return DONE
