"""What every command on directories has in hand: the service, the results, who listens, the end."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.directories.bucket_index import odd_entry
from ocihaul.directories.checkpoint import DirectoryCheckpoint, Finished
from ocihaul.directories.names import printable
from ocihaul.directories.progress import DirectoryMeter
from ocihaul.directories.request import ConfirmReplacement
from ocihaul.directories.results import FAILED, SKIPPED, Results
from ocihaul.directories.workers import Crew, FailurePolicy, FileExecutor
from ocihaul.errors import JournalError, OcihaulError
from ocihaul.events import FileFailed, FileFinished, Listener, Notice, ignore
from ocihaul.redaction import redact
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.journal.journal import Journal, state_directory
from ocihaul.transfer.monitor import AdaptiveConcurrency


@dataclass(slots=True)
class DirectoryContext:
    """One run over a directory. `stop` is the event that the storage client was made with.

    `checkpoint` remembers what is finished, `journal` the parts of large files; both may be None.
    `directory` is for lock files. `pace`, which has to hear the events, says how many work at a
    time; `small_only`: how many small files and objects do.
    `executor` are the machines that send and fetch (None: this one).
    Without `confirm` there is nobody to ask. `odd_names` counts the entries of lists that have no
    usable name.
    """

    storage: StorageClient
    results: Results
    listener: Listener = ignore
    stop: threading.Event = field(default_factory=threading.Event)
    journal: Journal | None = None
    checkpoint: DirectoryCheckpoint | None = None
    confirm: ConfirmReplacement | None = None
    #: It has to hear the events, too.
    meter: DirectoryMeter = field(default_factory=DirectoryMeter)
    directory: Path = field(default_factory=state_directory)
    pace: AdaptiveConcurrency | None = None
    small_only: bool = False
    executor: FileExecutor | None = None
    trouble: FailurePolicy = field(init=False)
    odd_names: int = field(default=0, init=False)

    def crew(self, workers: int) -> Crew:
        """So many workers, or fewer with a pace, whose troubles are this run's."""
        at_first = workers if self.pace is None else min(workers, self.pace.target)
        self.trouble = FailurePolicy(max(at_first, 2), self.stop)
        return Crew(workers, self.trouble, self.pace, small_only=self.small_only)

    def at_a_time(self, parallel: int) -> int:
        """How many files or parts are under way at most, here and on other machines."""
        return parallel if self.executor is None else max(parallel, self.executor.slots)

    def finished(
        self, kind: str, name: str, size: int, value: object = None, *, moved: int | None = None
    ) -> None:
        """A file or object is done; `moved` bytes of it in this run (None: all)."""
        self.results.add(kind, name, value)
        self.listener(FileFinished(name, size, moved))

    def skipped(self, name: str, size: int | None = 0) -> None:
        """It is to be left as it is."""
        self.results.add(SKIPPED, name)
        self.meter.unchanged(size or 0)

    def failed(self, name: str, error: OcihaulError, *, kind: str = FAILED) -> None:
        """It could not be done; the others go on."""
        text = f"{error.message}. {error.hint}" if error.hint else error.message
        self.results.add(kind, name, redact(text))
        self.listener(FileFailed(printable(name), error.message))

    def nameless(self, reason: str, *, kind: str = FAILED) -> None:
        """An entry of a list has no usable name: it is a failure of its own."""
        self.odd_names += 1
        name = f"(entry without a usable name: {self.odd_names})"
        self.meter.found()
        self.failed(name, odd_entry(reason), kind=kind)

    def remember(self, name: str, finished: Finished) -> None:
        """Note it for the next run; a checkpoint that fails costs the memory, not the work."""
        if self.checkpoint is None:
            return
        try:
            self.checkpoint.add(name, finished)
        except JournalError as error:
            self._forgets(error)

    def recalled(self, name: str) -> Finished | None:
        """What an earlier run has done with this name, as far as it can be told."""
        if self.checkpoint is None:
            return None
        try:
            return self.checkpoint.finished(name)
        except JournalError as error:
            self._forgets(error)
            return None

    def _forgets(self, error: JournalError) -> None:
        self.checkpoint = None
        self.listener(Notice(f"From here on nothing can be remembered: {error.message}."))

    def ended(self) -> None:
        """All has been tried; when all went well there is nothing to come back for."""
        if self.checkpoint is not None and not self.results.count(FAILED):
            try:
                self.checkpoint.forget()
            except JournalError as error:
                self.listener(Notice(f"What was remembered cannot be dropped: {error.message}."))
