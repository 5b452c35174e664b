"""What the parts of the emulator share: settings, clock, authority, store, faults, log."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from ocihaul.emulator.auth import Authority
from ocihaul.emulator.buckets import Store, replicate
from ocihaul.emulator.faults import Faults, RandomFaults
from ocihaul.emulator.log import Log
from ocihaul.emulator.settings import MIB, Settings
from ocihaul.emulator.work_requests import WorkRequests


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


class RateLimit:
    """Counts the requests of the last second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _recent
        self._recent: deque[float] = deque()

    def admits(self, limit: float | None) -> bool:
        """Count one more, unless there were `limit` in the last second; None: no limit."""
        if limit is None:
            return True
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            if len(self._recent) >= limit:
                return False
            self._recent.append(now)
            return True


@dataclass(slots=True)
class Service:
    """One emulated region. `settings` may be replaced at any time; read it once per decision."""

    settings: Settings
    store: Store
    log: Log
    faults: Faults
    closing: threading.Event
    throttle: Throttle = field(init=False)
    auth: Authority = field(init=False)
    work: WorkRequests = field(init=False)
    random_faults: RandomFaults = field(default_factory=RandomFaults)
    rate: RateLimit = field(default_factory=RateLimit)
    host_ports: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.closing)
        self.auth = Authority(lambda: self.settings, self.now)
        self.work = WorkRequests(self.store.lock, self.now)

    def settle(self) -> None:
        """Do what is due since the last request: work requests and replication."""
        self.work.settle()
        replicate(self.store, self.now(), self.settings.replication_seconds)

    def now(self) -> float:
        """The service's own idea of the time, in epoch seconds."""
        return time.time() + self.settings.clock_offset
