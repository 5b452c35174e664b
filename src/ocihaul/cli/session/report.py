"""One session's status, as lines and as a document; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from ocihaul.cli.error_text import in_flags
from ocihaul.errors import OcihaulError
from ocihaul.quantities import duration_text, time_text
from ocihaul.session.diagnostics.snapshot import (
    RenewalOptions,
    Snapshot,
    is_usable,
    renewal_options,
)

if TYPE_CHECKING:
    from ocihaul.session.diagnostics.probe import ProbeResult


#: What clocks may differ by without a word, seconds: the service allows five minutes.
_CLOCKS_DIFFER = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of one profile at `now` (epoch seconds): what was seen, or the `problem`."""

    profile: str
    now: float
    seen: Snapshot | None = None
    problem: OcihaulError | None = None
    reply: "ProbeResult | None" = None
    zone: tzinfo | None = None

    @property
    def service_now(self) -> float:
        """The time by the service's clock, as far as it was asked."""
        return self.now + ((self.reply.clock_offset if self.reply else None) or 0.0)

    @property
    def usable(self) -> bool:
        """Whether requests can be signed now."""
        return self.seen is not None and is_usable(self.seen, self.service_now)

    def lines(self) -> list[str]:
        """Lines for people."""
        head = f"{self.profile}: {'usable' if self.usable else 'not usable'}"
        return [head, *(f"  {name:<13} {text}" for name, text in self._rows())]

    def _rows(self) -> Iterator[tuple[str, str]]:
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

    def _files(self, seen: Snapshot) -> Iterator[tuple[str, str]]:
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

    def _renewal(self, options: RenewalOptions) -> str:
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
        left = moment - self.service_now
        when = time_text(moment, self.zone)
        if left <= 0:
            return f"ended {when} ({duration_text(-left)} ago)"
        return f"ends {when} (in {duration_text(left)})"

    def _clock(self) -> Iterator[tuple[str, str]]:
        """What is known of the local clock: a token is issued first, and read afterwards."""
        issued = self.seen.token.issued_at if self.seen and self.seen.token else None
        if self.reply is not None:
            yield "clock", clock_text(self.reply)
        elif issued is not None and issued - self.now > _CLOCKS_DIFFER:
            behind = duration_text(issued - self.now)
            text = f"behind by {behind} at least: the token is from the future"
            yield "clock", f"{text} (--online asks the service for its time)"

    def _since(self, moment: float) -> str:
        ago = self.service_now - moment
        way = f"{duration_text(ago)} ago" if ago >= 0 else f"in {duration_text(-ago)}"
        return f"{time_text(moment, self.zone)} ({way})"

    def document(self) -> dict[str, Any]:
        """The same for programs: times in UTC, durations in seconds."""
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
    if reply.error is not None:
        return f"not known: {reply.error}"
    if reply.clock_offset is None:
        return f"not known: {reply.url} did not say its time"
    if abs(reply.clock_offset) < 1:
        return f"agrees with {reply.url}"
    way = "behind" if reply.clock_offset > 0 else "ahead of"
    return f"{duration_text(abs(reply.clock_offset))} {way} {reply.url}"


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
