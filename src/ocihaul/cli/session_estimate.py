"""Whether the session will last for a transfer: said before it begins, and when the rate is known.

What belongs here: when to say it. The reckoning is `session.diagnostics.estimate`.
"""

import threading
from collections.abc import Callable

from ocihaul.errors import SessionError
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
)
from ocihaul.session.diagnostics.snapshot import Estimate, SessionLifetime, estimate

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
        with self._lock:
            if isinstance(event, TokenChanged):
                self._outlook = SessionLifetime(
                    event.expires_at, event.session_ends_at, self._mints
                )
            elif isinstance(event, ClockCorrected):
                self._offset = event.offset
            elif isinstance(event, (UploadPlanned, DownloadPlanned)):
                self._size, self._measures = event.size, True
                text = self._text(self._size, self._rate)
            elif self._measures and isinstance(event, (BytesSent, BytesReceived)):
                text = self._measured(event)
        if text is not None:
            self._say(Notice(text, routine=True))

    def require(self, size: int | None) -> None:
        """Raise SessionError when the session is known not to last for `size` bytes.

        None stands for what no number of bytes can measure, such as a stream of unknown length.
        """
        with self._lock:
            told = self._forecast(size, self._rate)
        if told is None or told.fits:
            return
        cure = "Log in first, or use --renew-with PROFILE."
        if told.fits is None and size is not None:
            cure += " To be judged by its length, name the speed with --expected-rate 50M."
        raise SessionError(f"the session will not last for this: {told.text}", hint=cure)

    def _measured(self, event: BytesSent | BytesReceived) -> str | None:
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
