"""What can happen, as values; the only way the core talks to people.

The core calls a `Listener` with these; progress bars, logs, metrics and receipts are listeners.
A listener is called from any thread, must be quick and must not raise. No event ever carries a
token, a key or a signed URL. Sizes are bytes, durations seconds, times epoch seconds.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something a person should know, in one sentence.

    `routine`: it need not be said of a transfer that takes a moment.
    """

    text: str
    routine: bool = False


@dataclass(frozen=True, slots=True)
class TokenChanged(Event):
    """The session goes on with another token.

    `source` is where it comes from: "start" (the first one), "file" (another process renewed it, or
    a person logged in), "refresh", "mint" (an API key).
    """

    source: str
    generation: int
    expires_at: float
    session_ends_at: float | None


@dataclass(frozen=True, slots=True)
class RenewalFailed(Event):
    """A provider did not renew; `next_try_in` is None when it will not be asked again."""

    provider: str
    reason: str
    next_try_in: float | None


@dataclass(frozen=True, slots=True)
class SessionPaused(Event):
    """Only a login helps: requests wait for one, `until` at the latest.

    Emitted when the pause begins and once a minute. `cure` is how to log in, as a sentence.
    """

    reason: str
    until: float
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class LoginOffered(Event):
    """A login page waits for the person at this terminal.

    `url` is what to open (nothing in it is secret), and the browser has to reach `port` of this
    machine. `opened`: a browser was asked to open it. `tunnel` is the command that leads the port
    here from another machine, None where that is not needed.
    """

    url: str
    port: int
    opened: bool
    tunnel: str | None


@dataclass(frozen=True, slots=True)
class SessionResumed(Event):
    """A usable token has appeared: the waiting requests go on."""


@dataclass(frozen=True, slots=True)
class CredentialRejected(Event):
    """The service answered 401 to a request that `generation` had signed."""

    generation: int
    operation: str


@dataclass(frozen=True, slots=True)
class ClockCorrected(Event):
    """Requests are dated by the service's clock, `offset` seconds ahead of the local one."""

    offset: float


@dataclass(frozen=True, slots=True)
class AttemptFinished(Event):
    """One HTTP exchange ended: with a `status`, or with an `error` text and no status.

    `body_sent` counts the bytes of the request body that were handed to the connection,
    `body_received` those of an object that came. `connection` numbers the connections of a client
    from 1, None where none was made. `stalled`: the body moved too slowly, another one takes over.
    """

    operation: str
    method: str
    path: str
    status: int | None
    error: str | None
    opc_request_id: str | None
    seconds: float
    generation: int
    body_sent: int
    body_received: int = 0
    connection: int | None = None
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class RetryScheduled(Event):
    """The operation will be tried again after `delay` seconds."""

    operation: str
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class UploadPlanned(Event):
    """What is going to be sent; `part_count` is 1 for a single PutObject.

    For a stream `part_count` is None and `part_size` that of the first parts; `size` is what the
    caller expects, or None.
    """

    name: str
    size: int | None
    part_size: int
    part_count: int | None
    parallel: int
    multipart: bool


@dataclass(frozen=True, slots=True)
class MultipartUploadCreated(Event):
    """The service has given the upload its id; `part_count` is None for a stream."""

    upload_id: str
    part_count: int | None


@dataclass(frozen=True, slots=True)
class BytesSent(Event):
    """`count` bytes of a part went out; negative when an attempt is thrown away."""

    part_number: int
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class BytesFound(Event):
    """`count` bytes of a part are there from an earlier run."""

    part_number: int
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class PartFinished(Event):
    """A part is where it belongs: at the service, with our checksum, or in the local file."""

    part_number: int
    size: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class PartResent(Event):
    """A part whose bytes were sent (in whole or in part) has to be sent again."""

    part_number: int
    wasted: int
    reason: str


@dataclass(frozen=True, slots=True)
class UploadFinished(Event):
    """The object is there and verified; `moved` bytes were sent in this run (None: all of them)."""

    name: str
    size: int
    seconds: float
    moved: int | None = None


@dataclass(frozen=True, slots=True)
class DownloadPlanned(Event):
    """What is going to be fetched, in `part_count` ranges."""

    name: str
    size: int
    part_size: int
    part_count: int
    parallel: int


@dataclass(frozen=True, slots=True)
class BytesReceived(Event):
    """`count` more bytes of a range have come."""

    part_number: int
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class DownloadFinished(Event):
    """The object is here; `checked_by` is the checksum that was compared, None for none.

    `moved` bytes came in this run (None: all of them).
    """

    name: str
    size: int
    seconds: float
    checked_by: str | None
    moved: int | None = None


@dataclass(frozen=True, slots=True)
class DirectoryScanned(Event):
    """So many files and bytes of a directory have been found; `complete`: that is all of them."""

    files: int
    size: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FileFinished(Event):
    """One file or object of a directory is done; `moved` as in UploadFinished.

    `deleted`: it was an object to delete, and is gone.
    """

    name: str
    size: int
    moved: int | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class FileFailed(Event):
    """One file or object of a directory could not be done; the others go on."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransferProgress(Event):
    """How far the transfer of one object is; at most four times a second, while bytes move.

    `done` bytes are where they belong or on their way, those of an earlier run included; `total`
    and `fraction` (0 to 1) are None for a stream of unknown length. `rate` is bytes per second
    over the last minute, of what went over the line in this run; None before it was measured, as
    is `seconds_left`.
    """

    done: int
    total: int | None
    fraction: float | None
    rate: float | None
    seconds_left: float | None
    parts_done: int
    part_count: int | None


@dataclass(frozen=True, slots=True)
class DirectoryProgress(Event):
    """How far a directory is; at most four times a second, while something happens.

    `done` and `total` are bytes of what is to be transferred, without what is found unchanged;
    `rate` and `seconds_left` as in TransferProgress. `files_done` were transferred or
    deleted (`files_deleted` of them), `files_unchanged` stay as they are. Until all files are found
    (`complete`), the totals are of those found so far, and `fraction` and `seconds_left` are None.
    """

    done: int
    total: int
    fraction: float | None
    rate: float | None
    seconds_left: float | None
    files_done: int
    files_unchanged: int
    files_failed: int
    files_total: int
    complete: bool
    files_deleted: int = 0


#: All of them: what a listener gets, so that a type checker knows when `match` has all cases.
AnyEvent = (
    Notice
    | TokenChanged
    | RenewalFailed
    | SessionPaused
    | LoginOffered
    | SessionResumed
    | CredentialRejected
    | ClockCorrected
    | AttemptFinished
    | RetryScheduled
    | UploadPlanned
    | MultipartUploadCreated
    | BytesSent
    | BytesFound
    | PartFinished
    | PartResent
    | UploadFinished
    | DownloadPlanned
    | BytesReceived
    | DownloadFinished
    | DirectoryScanned
    | FileFinished
    | FileFailed
    | TransferProgress
    | DirectoryProgress
)

Listener = Callable[[AnyEvent], None]


def ignore(event: AnyEvent) -> None:
    """The default listener."""


class _Audience:
    """Some listeners; those of another audience are told directly."""

    __slots__ = ("listeners",)

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners: tuple[Listener, ...] = ()
        for each in listeners:
            if isinstance(each, _Audience):
                self.listeners += each.listeners
            elif each is not ignore:
                self.listeners += (each,)

    def __call__(self, event: AnyEvent) -> None:
        for each in self.listeners:
            each(event)


def audience(*listeners: Listener) -> Listener:
    """A listener that tells all of them, in this order."""
    return _Audience(listeners)


class Broadcast:
    """A listener that tells those who listen at the moment. Thread-safe."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()  # replaced as a whole: telling takes no lock
        self._lock = threading.Lock()  # guards replacing it

    def __call__(self, event: AnyEvent) -> None:
        """Tell all of them, in the order in which they came."""
        for each in self._listeners:
            each(event)

    @contextmanager
    def telling(self, listener: Listener) -> Iterator[None]:
        """Tell `listener`, too, for as long as the context lasts."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            with self._lock:
                kept = list(self._listeners)
                kept.remove(listener)
                self._listeners = tuple(kept)


def log_events(logger: "logging.Logger") -> Listener:
    """A listener that writes each event to `logger`, as one line without secrets.

    Errors are what failed for good, warnings what a person should know of or what is tried again,
    infos the course of a session or a transfer; all else, every request and block, is debug. The
    record has the event itself as `ocihaul_event`.
    """

    from ocihaul.redaction import redact  # noqa: PLC0415  start-up time

    def listen(event: AnyEvent) -> None:
        level = _LEVELS.get(type(event), _DEBUG)
        if logger.isEnabledFor(level):
            logger.log(level, "%s", redact(repr(event)), extra={"ocihaul_event": event})

    return listen


#: As `logging` numbers them, which only those import who log.
_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40

_LEVELS: Mapping[type[Event], int] = {
    FileFailed: _ERROR,
    Notice: _WARNING,
    RenewalFailed: _WARNING,
    SessionPaused: _WARNING,
    LoginOffered: _WARNING,
    ClockCorrected: _WARNING,
    RetryScheduled: _WARNING,
    PartResent: _WARNING,
    TokenChanged: _INFO,
    SessionResumed: _INFO,
    CredentialRejected: _INFO,
    UploadPlanned: _INFO,
    MultipartUploadCreated: _INFO,
    UploadFinished: _INFO,
    DownloadPlanned: _INFO,
    DownloadFinished: _INFO,
}
