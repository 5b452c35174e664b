"""What a command calls: a client with its progress and notices, and a cluster that works for it.

Whether the session will last for a transfer is said before it begins, and when the rate is known:
`LifetimeEstimator` says when, `estimate` reckons.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

import click

from ocihaul.cli.invocation import Invocation
from ocihaul.cli.process import environment_and_home
from ocihaul.events import (
    BytesReceived,
    BytesSent,
    ClockCorrected,
    DownloadPlanned,
    Event,
    Listener,
    Notice,
    TokenChanged,
    UploadPlanned,
    audience,
)
from ocihaul.quantities import utc_text

if TYPE_CHECKING:
    import distributed

    # They bring cryptography and more along, which only some commands need.
    from ocihaul.cli.progress import Reporter
    from ocihaul.client import Client
    from ocihaul.config import Settings
    from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.journal.journal import Journal
    from ocihaul.transfer.upload.request import Confirm, UploadRequest, UploadResult


@contextmanager
def reporting_on(
    invocation: Invocation, settings: "Settings | None"
) -> Iterator[tuple[Listener, "Reporter"]]:
    """A listener that shows on stderr how far the work is, and its reporter; notices come first.

    Without `settings`, for work that needs none, there are no notices.
    """
    from ocihaul.cli.progress import reporting

    with reporting(invocation.stderr, debug=invocation.given.debug) as reporter:
        for text in [] if settings is None else invocation.notices(settings):
            reporter.notice(f"Notice: {text}")
        yield reporter, reporter


@contextmanager
def client_for(
    settings: "Settings", *, listener: Listener, stop: threading.Event
) -> Iterator["Client"]:
    """A client for these settings, with what is to happen when its session waits for a login."""
    from ocihaul.client import Client

    with (
        _while_paused(settings, listener, stop) as others,
        Client(settings, listener=audience(listener, *others), cancel=stop) as client,
    ):
        yield client


def _while_paused(
    settings: "Settings", listener: Listener, stop: threading.Event
) -> AbstractContextManager[Sequence[Listener]]:
    """Those that do something when the session waits for a login."""
    wanted = settings.session_options
    if not (wanted.on_park or wanted.login):
        return nullcontext(())
    from ocihaul.cli.hooks import pause_listeners

    return pause_listeners(settings, listener, stop)


def run_upload(
    settings: "Settings",
    request: "UploadRequest",
    *,
    listener: Listener,
    confirm: "Confirm | None",
    stop: threading.Event,
    compare_kept: bool = False,
    workers: "Executor | None" = None,
) -> "UploadResult":
    """Upload one file; asks the service for the namespace if the request has none.

    `workers` are those of a cluster.
    """
    session_options = settings.session_options
    if request.outlive_session:
        # An expired session must not keep waiting what can go on without it.
        request = replace(request, expected_rate=session_options.expected_rate)
        settings = replace(settings, session_options=replace(session_options, session_wait=0.0))
    estimator = estimator_for(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        before = estimator.require if session_options.require_session else None
        return client.run_upload(
            request,
            confirm=confirm,
            before=before,
            compare_kept=compare_kept,
            **(workers or {}),
        )


def run_download(
    settings: "Settings",
    request: "DownloadRequest",
    *,
    listener: Listener,
    stop: threading.Event,
    workers: "Executor | None" = None,
) -> "DownloadResult":
    """Download one object; asks the service for the namespace if the request has none."""
    estimator = estimator_for(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        before = estimator.require if settings.session_options.require_session else None
        return client.run_download(request, before=before, **(workers or {}))


def estimator_for(settings: "Settings", listener: Listener) -> "LifetimeEstimator":
    """What hears a transfer's events, and tells `listener` how long its session lasts."""

    session_options = settings.session_options
    return LifetimeEstimator(
        listener,
        mints=session_options.renew_with,
        expected_rate=session_options.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )


def journal_to_read() -> "Journal":
    """The user's journal, for commands that are about it; raises JournalError."""
    from ocihaul.transfer.journal.journal import Journal, state_directory

    return Journal(state_directory())


_DASK_VARIABLE = "OCIHAUL_DASK"

_DASK_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Have the workers of this Dask cluster do it: tls://HOST:PORT, or its scheduler file. "
        "All of them see the same files. [OCIHAUL_DASK]",
    ),
    click.option("--dask-tls-ca-file", metavar="FILE", help="The cluster's CA. [Dask's own]"),
    click.option("--dask-tls-cert", metavar="FILE", help="Our certificate in it. [Dask's own]"),
    click.option("--dask-tls-key", metavar="FILE", help="The key of that. [Dask's own]"),
    click.option(
        "--dask-allow-plain-tcp",
        is_flag=True,
        help="Send the session's key to workers without encryption, too.",
    ),
)


def dask_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds them."""
    for add in reversed(_DASK_OPTIONS):
        command = add(command)
    return command


class Executor(TypedDict, total=False):
    """What the client's calls take."""

    executor: "distributed.Client"
    allow_plain_tcp: bool


@contextmanager
def cluster_of(given: Mapping[str, Any]) -> Iterator[Executor]:
    """The cluster that the options or the environment name; nothing where they name none.

    Raises UsageError, NetworkError.
    """
    if "dask" not in given:  # a command that moves nothing
        yield {}
        return
    environ, _ = environment_and_home()
    address = given.get("dask") or environ.get(_DASK_VARIABLE)
    if not address:
        yield {}
        return
    from ocihaul.integrations.extras import DASK, require

    require(DASK, by="--dask")
    from ocihaul.cluster.connect import ClusterAddress, connected

    plain = bool(given.get("dask_allow_plain_tcp"))
    where = ClusterAddress(
        str(address),
        ca_file=given.get("dask_tls_ca_file"),
        cert=given.get("dask_tls_cert"),
        key=given.get("dask_tls_key"),
        allow_plain_tcp=plain,
    )
    with connected(where) as cluster:
        yield {"executor": cluster, "allow_plain_tcp": plain}


#: A session that ends with its token cannot be refreshed: their claims differ by rounding at most.
_SAME_END = 2.0


@dataclass(frozen=True, slots=True)
class SessionLifetime:
    """When a session ends. Times are epoch seconds; `mints` names the profile that can mint."""

    token_ends_at: float
    session_ends_at: float | None
    mints: str | None

    @property
    def refreshable(self) -> bool:
        """Whether a refresh can bring more life than the present token has."""
        if self.session_ends_at is None:
            return True
        return self.session_ends_at > self.token_ends_at + _SAME_END


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate as text; `fits` is None where it is not known."""

    text: str
    fits: bool | None


def _rate(rate: float) -> str:
    """Return a rate in the units of `--expected-rate` and `--bandwidth`, two digits at least."""
    return f"{rate / 2**20:.0f} MiB/s" if rate >= 10 * 2**20 else f"{rate / 2**20:.2g} MiB/s"


def estimate(
    now: float, size: int | None, rate: float | None, lifetime: SessionLifetime
) -> Estimate:
    """Return whether `size` bytes at `rate` bytes per second (None: not known) fit the session."""
    need = size / rate if rate and size is not None else None
    begin = f"at {_rate(rate)} this needs {_roughly(need)}; " if rate and need else ""
    left = f"the token ends in {_roughly(lifetime.token_ends_at - now)}"
    if lifetime.mints is not None:
        return Estimate(f"{begin}{left} and {lifetime.mints} mints new ones", fits=True)
    if not lifetime.refreshable:
        end = utc_text(lifetime.token_ends_at)
        text = f"{begin}{left} and cannot be renewed (no-browser session)"
        if need is not None and now + need <= lifetime.token_ends_at:
            return Estimate(text, fits=True)
        text += f": it will pause at {end}; use --renew-with"
        return Estimate(text, fits=None if need is None else False)
    if lifetime.session_ends_at is None:
        return Estimate(f"{begin}{left} and can be renewed", fits=True)
    text = f"{begin}{left} and can be renewed until {utc_text(lifetime.session_ends_at)}"
    if need is None or now + need <= lifetime.session_ends_at:
        return Estimate(text, fits=True)
    return Estimate(f"{text}: it will pause then; log in before, or use --renew-with", fits=False)


#: Seconds after which the rate is believed. Before, it is the kernel's buffers filling.
MEASURED = 20.0


class LifetimeEstimator:
    """A listener that says forecasts through `say`; `mints` names the profile that can mint."""

    def __init__(
        self,
        say: Listener,
        *,
        mints: str | None,
        expected_rate: float | None,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._say = say
        self._mints = mints
        self._rate = expected_rate
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()  # guards all below
        self._outlook: SessionLifetime | None = None
        self._offset = 0.0  # of the service's clock, seconds ahead of ours
        self._size: int | None = 0
        self._moved = 0
        self._measures = False
        self._began: float | None = None  # when the first byte moved

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        text = None
        if isinstance(event, (BytesSent, BytesReceived)):
            if not self._measures:
                return  # without the lock: there is one for each block
            with self._lock:
                text = self._measured(event)
        elif isinstance(event, TokenChanged):
            with self._lock:
                self._outlook = SessionLifetime(
                    event.expires_at, event.session_ends_at, self._mints
                )
        elif isinstance(event, ClockCorrected):
            with self._lock:
                self._offset = event.offset
        elif isinstance(event, (UploadPlanned, DownloadPlanned)):
            with self._lock:
                self._size, self._measures = event.size, True
                text = self._text(self._size, self._rate)
        if text is not None:
            self._say(Notice(text, routine=True))

    def require(self, size: int | None) -> None:
        """Raise SessionError when the session is known not to last for `size` bytes.

        None stands for what no number of bytes can measure, such as a stream of unknown length.
        """
        from ocihaul.errors import SessionError

        with self._lock:
            told = self._forecast(size, self._rate)
        if told is None or told.fits:
            return
        cure = "Log in first, or use --renew-with PROFILE."
        if told.fits is None and size is not None:
            cure += " To be judged by its length, name the speed with --expected-rate 50M."
        raise SessionError(f"the session will not last for this: {told.text}", hint=cure)

    def _measured(self, event: BytesSent | BytesReceived) -> str | None:
        if not self._measures:
            return None
        now = self._monotonic()
        if self._began is None:  # what was read for a checksum before is not the line's time
            self._began = now
            return None
        self._moved += event.count
        seconds = now - self._began
        if seconds < MEASURED or self._moved <= 0:
            return None
        self._measures = False  # said once
        if self._size is None:
            return None  # nobody knows how much is still to come
        return self._text(self._size - self._moved, self._moved / seconds)

    def _text(self, size: int | None, rate: float | None) -> str | None:
        told = self._forecast(size, rate)
        return told.text if told is not None else None

    def _forecast(self, size: int | None, rate: float | None) -> Estimate | None:
        if self._outlook is None:
            return None  # an API key lasts
        return estimate(self._now() + self._offset, size, rate, self._outlook)


def _roughly(seconds: float) -> str:
    """A length of time as `38 s`, `60 min`, `6.5 h`."""
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
