"""Events as lines for people: what is worth saying, in which words, and how often.

Pure but for the memory of what was said: fifteen threads that meet the same trouble at the same
moment make one line, and the next one counts the others.
"""

from dataclasses import dataclass, field
from datetime import tzinfo

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.output import in_local_time
from ocihaul.cli.session.login_offer import directions
from ocihaul.events import (
    AttemptFinished,
    ClockCorrected,
    CredentialRejected,
    DownloadFinished,
    DownloadPlanned,
    Event,
    FileFailed,
    FileFinished,
    LoginOffered,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    PartResent,
    RenewalFailed,
    RetryScheduled,
    SessionPaused,
    SessionResumed,
    TokenChanged,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.quantities import duration_text, size_text, time_text

#: What the service's documentation recommends for parts at least, bytes.
RECOMMENDED_PART = 10 * 2**20
#: Seconds between two lines of the same kind of trouble.
QUIET = 5.0

_TROUBLE = (RetryScheduled, PartResent, RenewalFailed)

_ROUTINE = (
    UploadPlanned,
    DownloadPlanned,
    UploadFinished,
    DownloadFinished,
    MultipartUploadCreated,
    PartFinished,
    FileFinished,
)

#: What is said with `--quiet`, too: it needs a person, or says what is missing in the end.
_ESSENTIAL = (FileFailed, LoginOffered, SessionPaused, SessionResumed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStyle:
    """How lines are written: `object` stands behind the time of each, such as `bucket/name`.

    Without one, what is quoted from the official CLI has no time either. `verbose` says each
    retry, part and file; `quiet` only what needs a person. `again`: another transfer of the same
    command has said with which token it begins.
    """

    object: str = ""
    verbose: bool = False
    quiet: bool = False
    again: bool = False

    @property
    def label(self) -> str:
        """What every line begins with after its time."""
        return f"{self.object}: " if self.object else ""


@dataclass(slots=True)
class EventFormatter:
    """Turns events into lines; its owner takes care of locking."""

    zone: tzinfo | None = None
    #: What every line begins with after its time, such as the profile it is about.
    label: str = ""
    #: Say each part, file and retry, however many there are.
    verbose: bool = False
    #: Leave out with which token it begins.
    again: bool = False
    _said: dict[str, float] = field(default_factory=dict)
    _held_back: dict[str, int] = field(default_factory=dict)
    _rejected: int = -1
    #: Why the session paused; said again once a minute, it need not be read again.
    _pause: str | None = None
    #: The last reason of a renewal that failed.
    _reason: str = ""
    #: How far the service's clock is ahead of ours, seconds; None until an answer has told.
    _offset: float | None = None

    def lines(self, event: Event, *, at: float, now: float) -> list[str]:
        """What to say about `event`; `at` is monotonic, `now` epoch seconds."""
        if isinstance(event, MultipartUploadCreated):
            said = official_lines(event)
            return [self.stamped(text, now) for text in said] if self.label else said
        if isinstance(event, LoginOffered):
            return directions(event)
        if not self._is_news(event):
            return []
        text = _service(event) or self._trouble(event) or self._text(event, now)
        if text is None:
            return []
        if isinstance(event, _TROUBLE) and not self.verbose:
            kind = _kind(event)
            if at - self._said.get(kind, -QUIET) < QUIET:
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return []
            self._said[kind] = at
            if more := self._held_back.pop(kind, 0):
                text += f" (and {more} more like this)"
        cure = [event.cure] if isinstance(event, SessionPaused) and event.cure else []
        return [self.stamped(in_flags(line), now) for line in [text, *cure]]

    def _is_news(self, event: Event) -> bool:
        """Remember what later lines depend on; False for what was said already."""
        if isinstance(event, ClockCorrected):
            self._offset = event.offset
        elif isinstance(event, CredentialRejected):
            if event.generation <= self._rejected:
                return False
            self._rejected = event.generation
        return not (self.again and isinstance(event, TokenChanged) and event.source == "start")

    def stamped(self, text: str, now: float) -> str:
        """`text` with the local time before it."""
        return f"{time_text(now, self.zone)} {self.label}{in_local_time(text, self.zone)}"

    def _text(self, event: Event, now: float) -> str | None:
        match event:
            case Notice():
                return event.text
            case SessionPaused():
                return self._paused(event)
            case UploadPlanned() | DownloadPlanned():
                return _planned(event, named=not self.label)
            case PartFinished() | FileFinished() if self.verbose:
                return _detail(event)
            case TokenChanged():
                return self._token(event, now)
            case UploadFinished() | DownloadFinished():
                return _finished(event)
            case _:
                return None

    def _paused(self, event: SessionPaused) -> str:
        until = time_text(event.until, self.zone)
        if event.reason == self._pause:
            return f"still waiting for a new login until {until}"
        self._pause = event.reason
        reason = event.reason
        if self._reason and self._reason in reason:  # it was said when the renewal failed
            reason = reason.replace(self._reason, "see above")
        return f"{reason}. Waiting for a new login until {until}"

    def _trouble(self, event: Event) -> str | None:
        match event:
            case RenewalFailed():
                self._reason = event.reason.rstrip(".")
                then = (
                    f"next try in {duration_text(event.next_try_in)}"
                    if event.next_try_in is not None
                    else "no further try"
                )
                return f"renewing the session ({event.provider}) failed: {self._reason}; {then}"
            case RetryScheduled():
                wait = f"in {duration_text(event.delay)}" if event.delay >= 0.5 else "at once"
                what = event.reason.removeprefix(f"{event.operation}: ")
                return f"{event.operation}: {what}; trying again {wait}"
            case PartResent():
                lost = size_text(event.wasted)
                return f"part {event.part_number} is sent again ({lost} lost): {event.reason}"
            case _:
                return None

    def _token(self, event: TokenChanged, now: float) -> str:
        end = time_text(event.expires_at, self.zone)
        left = event.expires_at - now - (self._offset or 0.0)
        if left > 0:
            life = f"valid until {end} ({duration_text(left)})"
        elif self._offset is None and event.source in {"start", "file"}:
            life = f"expired at {end} by this machine's clock"  # and no service was asked yet
        else:
            life = f"expired at {end}"
        what = (
            "session token"
            if event.source == "start"
            else f"session renewed ({event.source}): token"
        )
        text = f"{what} {event.generation}, {life}"
        if event.session_ends_at is not None:
            text += f"; the session ends {time_text(event.session_ends_at, self.zone)}"
        return text


def is_public(event: Event) -> bool:
    """Whether lines about `event` have no secret: a login's public key only looks like one."""
    return isinstance(event, LoginOffered)


def is_essential(event: Event) -> bool:
    """Whether `--quiet` leaves it: it needs a person, or says what is missing in the end."""
    return isinstance(event, _ESSENTIAL)


def is_routine(event: Event) -> bool:
    """Whether it need not be said of a transfer that takes a moment."""
    if isinstance(event, TokenChanged):
        return event.source == "start"
    return isinstance(event, _ROUTINE) or (isinstance(event, Notice) and event.routine)


def official_lines(event: MultipartUploadCreated) -> list[str]:
    """What the official CLI writes of it: scripts look for these two."""
    said = [f"Upload ID: {event.upload_id}"]
    if event.part_count is not None:
        said.append(f"Split file into {event.part_count} parts for upload.")
    return said


def _detail(event: PartFinished | FileFinished) -> str:
    if isinstance(event, PartFinished):
        return f"part {event.part_number} done ({size_text(event.size)})"
    return (
        f"{event.name} deleted" if event.deleted else f"{event.name} done ({size_text(event.size)})"
    )


def _kind(event: Event) -> str:
    # Each provider says why it failed, also when the next one fails at once.
    return f"{type(event).__name__} {event.provider if isinstance(event, RenewalFailed) else ''}"


def _service(event: Event) -> str | None:
    match event:
        case CredentialRejected():
            return (
                f"the service rejected token {event.generation} (401, {event.operation}); "
                "renewing the session"
            )
        case SessionResumed():
            return "a new login has appeared: going on"
        case ClockCorrected(0.0):
            return "the local clock agrees with the service's again"
        case ClockCorrected():
            way = "behind" if event.offset > 0 else "ahead of"
            return (
                f"the local clock is {duration_text(abs(event.offset))} {way} the service's; "
                "requests carry the service's time"
            )
        case _:
            return None


def _planned(event: UploadPlanned | DownloadPlanned, *, named: bool) -> str:
    verb = "uploading" if isinstance(event, UploadPlanned) else "downloading"
    size = "a stream" if event.size is None else size_text(event.size)
    text = f"{verb} {event.name}: {size}" if named else f"{verb} {size}"
    if event.part_count is None:
        first = f"parts of {size_text(event.part_size)} and more"
        return f"{text} in {first}, up to {event.parallel} at a time"
    if isinstance(event, UploadPlanned):
        whole, parts = not event.multipart, "parts"
    else:
        whole, parts = event.part_count <= 1, "ranges"
    if whole:
        return f"{text} in one piece"
    # The last ranges of a download may be smaller.
    uneven = event.size is not None and event.part_count > -(-event.size // event.part_size)
    most = "at most " if uneven else ""
    pieces = f"{event.part_count} {parts} of {most}{size_text(event.part_size)}"
    text = f"{text} in {pieces}, {event.parallel} at a time"
    if isinstance(event, UploadPlanned) and event.part_size < RECOMMENDED_PART:
        text += f" (parts of {size_text(RECOMMENDED_PART)} and more are recommended)"
    return text


def _finished(event: UploadFinished | DownloadFinished) -> str:
    took = f"{size_text(event.size)} in {duration_text(event.seconds)} ({_moved(event)})"
    if isinstance(event, UploadFinished):
        return f"uploaded {event.name}: {took}"
    checked = f", {event.checked_by} compared" if event.checked_by else ""
    return f"downloaded {event.name}: {took}{checked}"


def _moved(event: UploadFinished | DownloadFinished) -> str:
    """The rate of what really moved: an earlier run may have left little to do, or nothing."""
    moved = event.size if event.moved is None else event.moved
    if event.size and not moved:
        return "all of it was there already"
    rate = f"{size_text(moved / event.seconds) if event.seconds > 0 else '?'}/s"
    return rate if moved >= event.size else f"{size_text(moved)} of it now, {rate}"


def debug_line(event: AttemptFinished, now: float) -> str:
    """One HTTP exchange, for `--debug`."""
    stamp = time_text(now, unit="milliseconds")
    outcome = event.status if event.status is not None else f"failed: {event.error}"
    received = f"received={event.body_received} " if event.body_received else ""
    return (
        f"{stamp} DEBUG {event.method} {event.path} {outcome} {event.operation} "
        f"{event.seconds * 1000:.0f} ms generation={event.generation} sent={event.body_sent} "
        f"{received}"
        f"opc-request-id={event.opc_request_id or '-'}"
    )
