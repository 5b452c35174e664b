"""What watches a transfer: the counts for its receipt, and how many parts go at a time."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from ocihaul.documents import whole_number_or_none
from ocihaul.events import Event, PartResent, RetryScheduled, TokenChanged
from ocihaul.transfer.adaptive_concurrency import AdaptiveConcurrency


@dataclass(frozen=True, slots=True)
class Counts:
    """Over all runs of an upload; `resent_bytes` are those of attempts that did not count."""

    runs: int = 0
    renewals: int = 0
    retries: int = 0
    resends: int = 0
    resent_bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self._values(), other._values(), strict=True)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(a - b for a, b in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> tuple[int, ...]:
        return self.runs, self.renewals, self.retries, self.resends, self.resent_bytes

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Of a JSON object; what it lacks is 0. Raises DocumentError."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: whole_number_or_none(document, name) or 0 for name in names})


class TransferStats:
    """A listener that counts the events of the session, the storage client and the transfer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards counts
        self._counts = Counts()

    def __call__(self, event: Event) -> None:
        """Count one event, from any thread."""
        match event:
            case TokenChanged(source=source) if source != "start":
                more = Counts(renewals=1)
            case RetryScheduled():
                more = Counts(retries=1)
            case PartResent():
                more = Counts(resends=1, resent_bytes=event.wasted)
            case _:
                return
        with self._lock:
            self._counts += more

    @property
    def counts(self) -> Counts:
        """The counts so far."""
        return self._counts


class TransferMonitor:
    """A listener for all events of one transfer: of the session, the storage client, and its own.

    `concurrency` is None where the caller gave a fixed number. `stats` are complete only if the
    session's events are heard as well.
    """

    def __init__(
        self,
        *,
        adaptive: bool = False,
        concurrency: AdaptiveConcurrency | None = None,
        stats: TransferStats | None = None,
    ) -> None:
        """Watch one transfer; or share what watches others, such as those of a directory."""
        self.concurrency = concurrency or (AdaptiveConcurrency() if adaptive else None)
        self.stats = stats

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if self.concurrency is not None:
            self.concurrency(event)
        if self.stats is not None:
            self.stats(event)
