"""A bandwidth that all request bodies share, and waits that end when the emulator closes."""

import threading
import time

from .settings import MIB


class Throttle:
    """Paces readers: each says what it has read and waits until that was allowed."""

    def __init__(self, closing: threading.Event) -> None:
        self._lock = threading.Lock()  # guards _free_at
        self._free_at = 0.0
        self._closing = closing

    @staticmethod
    def chunk(rate: float | None) -> int:
        """How much to read at a time: a fiftieth of a second's worth, so that it flows evenly."""
        return MIB if rate is None else max(2048, min(MIB, int(rate / 50)))

    def spent(self, size: int, rate: float) -> None:
        """Wait for the time that `size` bytes take at `rate`, after all earlier ones."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / rate
            wait = self._free_at - now
        self._closing.wait(wait)
