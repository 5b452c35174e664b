"""Ranges of one download by other machines: what they need to know, and what is asked of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.download.checkpoint import FinishedRange
from ocihaul.transfer.download.request import DownloadRequest, RangePlan


@dataclass(frozen=True, slots=True)
class RemoteDownload:
    """A download that is under way: to `temporary`, a name beside `target`."""

    request: DownloadRequest
    there: ObjectSummary
    plan: RangePlan
    target: Path
    temporary: str


#: What an earlier run has finished of each range, by its number.
Ranges = Mapping[int, FinishedRange | None]


class RangeTasks(Protocol):
    """Fetches ranges of one object."""

    def fetch(self, ranges: Ranges, *, elsewhere: bool = False) -> None:
        """Fetch them, or read what is there again; with `elsewhere`, by another machine than
        before.
        """


class RangeExecutor(Protocol):
    """Other machines that write to the same file."""

    def fetching_ranges(
        self, remote: RemoteDownload, told: Callable[[int, FinishedRange, bool], None]
    ) -> AbstractContextManager[RangeTasks]:
        """`told` hears of each range that is in the file, and on its disk: its number, what it is,
        and whether it came now.

        Raises SourceError, which names each machine that does not see the same directory.
        """
