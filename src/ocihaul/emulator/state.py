"""What the parts of the emulator share: settings, clock, authority, store, faults, log.

Work requests, too: what the service does a moment after it was asked. Nothing runs by itself: what
is due is done when the next request comes, or when it is looked at.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ocihaul.emulator.auth import TENANCY, Authority
from ocihaul.emulator.buckets import Store, replicate
from ocihaul.emulator.faults import Faults, RandomFaults
from ocihaul.emulator.log import Log
from ocihaul.emulator.responses import ApiError, timestamp
from ocihaul.emulator.settings import MIB, Settings


@dataclass(slots=True, kw_only=True)
class Work:
    """One work request; times are epoch seconds of the service's clock."""

    accepted: float
    due: float
    resources: list[dict[str, object]]
    operation: str = "COPY_OBJECT"
    compartment: str = TENANCY
    work_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: bool = False
    canceled: bool = False
    error: ApiError | None = None

    @property
    def status(self) -> str:
        """As the service calls it."""
        if self.canceled:
            return "CANCELED"
        if self.done:
            return "FAILED" if self.error else "COMPLETED"
        return "IN_PROGRESS"

    def document(self, now: float) -> dict[str, Any]:
        """As GetWorkRequest tells it."""
        value: dict[str, Any] = {
            "operationType": self.operation,
            "id": self.work_id,
            "compartmentId": self.compartment,
            "resources": self.resources,
            "timeAccepted": timestamp(self.accepted),
            "timeStarted": timestamp(self.accepted),
            "timeFinished": timestamp(self.due) if self.done else None,
            "status": self.status,
        }
        if self.done:
            return {**value, "percentComplete": 100.0}
        whole = max(self.due - self.accepted, 0.001)
        percent = min(max(now - self.accepted, 0.0) / whole, 0.99) * 100
        return {**value, "percentComplete": round(percent, 1)}

    def log(self) -> list[dict[str, str]]:
        """What has happened, the newest last."""
        entries = [{"message": "The request was accepted", "timestamp": timestamp(self.accepted)}]
        if self.done:
            message = f"The request is {self.status.lower()}"
            entries.append({"message": message, "timestamp": timestamp(self.due)})
        return entries


class WorkRequests:
    """All of them."""

    def __init__(self, store_lock: threading.RLock, now: Callable[[], float]) -> None:
        # The store's own lock: work changes objects.
        self._lock = store_lock
        self._now = now
        self._all: dict[str, Work] = {}
        self._pending: list[tuple[Work, Callable[[], None]]] = []
        self._on_cancel: dict[str, Callable[[], None]] = {}

    def add(
        self, work: Work, finish: Callable[[], None], on_cancel: Callable[[], None] | None = None
    ) -> None:
        """Have `finish` called once the work is due; an ApiError of it makes the work fail.

        `on_cancel` is called instead when the work is given up before.
        """
        with self._lock:
            if on_cancel is not None:
                self._on_cancel[work.work_id] = on_cancel
            self._all[work.work_id] = work
            self._pending.append((work, finish))

    def settle(self) -> None:
        """Do what is due."""
        with self._lock:
            now = self._now()
            due = [each for each in self._pending if each[0].due <= now]
            self._pending = [each for each in self._pending if each[0].due > now]
            for work, finish in due:
                try:
                    finish()
                except ApiError as error:
                    work.error = error
                work.done = True
                self._on_cancel.pop(work.work_id, None)

    def get(self, work_id: str) -> Work:
        """404 if there is none."""
        with self._lock:
            if work_id not in self._all:
                raise ApiError(404, "NotAuthorizedOrNotFound", "There is no such work request")
            return self._all[work_id]

    def of(self, compartment: str) -> list[Work]:
        """Those of a compartment, the newest first."""
        with self._lock:
            found = [work for work in self._all.values() if work.compartment == compartment]
            return found[::-1]

    def cancel(self, work: Work) -> None:
        """Give up what has not been done; 409 for what has."""
        with self._lock:
            if work.done:
                raise ApiError(409, "IncorrectState", f"The work request is {work.status}")
            self._pending = [each for each in self._pending if each[0] is not work]
            work.done = work.canceled = True
            work.due = self._now()
            if work.work_id in self._on_cancel:
                self._on_cancel.pop(work.work_id)()


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
