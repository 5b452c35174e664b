"""What watches a transfer: the counts for its receipt, and how many parts go at a time."""

from ocihaul.events import Event
from ocihaul.transfer.adaptive_concurrency import AdaptiveConcurrency
from ocihaul.transfer.stats import TransferStats


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
