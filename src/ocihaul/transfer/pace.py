"""How many workers may take a part or a file right now, told by what the transfer brings."""

import threading
import time
from collections.abc import Callable

from ocihaul.events import AttemptFinished, BytesReceived, BytesSent, Event
from ocihaul.transfer.steering import Steering

#: The length of one look at the rate, seconds: long enough for the buffers on the way to even out.
WINDOW = 3.0
#: A look that has taken so long had a pause in it, seconds.
_PAUSE = 4 * WINDOW
#: How often a waiting worker looks whether it is over, seconds.
_GLANCE = 0.25
_THROTTLED = frozenset({429, 503})
#: What an answer is worth beside the bytes that it is about. Small files are little else.
_ANSWER = 2**18


class Pace:
    """A listener that measures, and a gate for workers 0, 1, 2, … Thread-safe.

    It goes by the events of the transfer: bytes that go out or come in, and answers, some of
    which ask for less.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()  # guards all below
        self._steering = Steering()
        self._began: float | None = None
        self._bytes = 0
        self._throttled = False

    @property
    def target(self) -> int:
        """How many workers may be at work now."""
        return self._steering.target

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if isinstance(event, (BytesSent, BytesReceived)):
            self._add(event.count)
        elif isinstance(event, AttemptFinished) and event.status is not None:
            good = event.status < 400
            self._add(_ANSWER if good else 0, throttled=event.status in _THROTTLED)

    def wait_turn(self, worker: int, over: Callable[[], bool]) -> bool:
        """Wait until `worker` may go on, or until it is `over`; returns whether it may."""
        with self._changed:
            while worker >= self._steering.target and not over():
                self._changed.wait(_GLANCE)
            return worker < self._steering.target

    def _add(self, count: int, *, throttled: bool = False) -> None:
        now = self._monotonic()
        with self._changed:
            if self._began is None:
                self._began = now
            self._bytes += count
            self._throttled = self._throttled or throttled
            seconds = now - self._began
            if seconds < WINDOW:
                return
            # A pause (session, machine asleep) and bytes taken back tell nothing of the line.
            if self._throttled or (seconds < _PAUSE and self._bytes > 0):
                rate = self._bytes / seconds
                self._steering = self._steering.after(rate, throttled=self._throttled)
            self._began, self._bytes, self._throttled = now, 0, False
            self._changed.notify_all()
