"""Work requests: what the service does a moment after it was asked.

Nothing runs by itself: what is due is done when the next request comes, or when somebody looks.
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ocihaul.emulator.auth import TENANCY
from ocihaul.emulator.responses import ApiError, timestamp


@dataclass(slots=True, kw_only=True)
class Work:
    """One work request; times are epoch seconds of the service's clock."""

    accepted: float
    due: float
    resources: list[dict[str, object]]
    work_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: bool = False
    error: ApiError | None = None

    def document(self, now: float) -> dict[str, Any]:
        """As GetWorkRequest tells it."""
        value: dict[str, Any] = {
            "operationType": "COPY_OBJECT",
            "id": self.work_id,
            "compartmentId": TENANCY,
            "resources": self.resources,
            "timeAccepted": timestamp(self.accepted),
        }
        if self.done:
            status = "FAILED" if self.error else "COMPLETED"
            finished = {"timeFinished": timestamp(self.due)}
            return {**value, **finished, "status": status, "percentComplete": 100.0}
        whole = max(self.due - self.accepted, 0.001)
        percent = min(max(now - self.accepted, 0.0) / whole, 0.99) * 100
        return {**value, "status": "IN_PROGRESS", "percentComplete": round(percent, 1)}


class WorkRequests:
    """All of them."""

    def __init__(self, store_lock: threading.RLock, now: Callable[[], float]) -> None:
        # The store's own lock: work changes objects.
        self._lock = store_lock
        self._now = now
        self._all: dict[str, Work] = {}
        self._pending: list[tuple[Work, Callable[[], None]]] = []

    def add(self, work: Work, finish: Callable[[], None]) -> None:
        """Have `finish` called once the work is due; an ApiError of it makes the work fail."""
        with self._lock:
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

    def get(self, work_id: str) -> Work:
        """404 if there is none."""
        with self._lock:
            if work_id not in self._all:
                raise ApiError(404, "NotAuthorizedOrNotFound", "There is no such work request")
            return self._all[work_id]
