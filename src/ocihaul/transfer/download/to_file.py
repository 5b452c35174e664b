"""Download an object to a file: ranges go straight to their place, each noted in a checkpoint."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from ocihaul.errors import ChecksumError, ObjectChangedError, OcihaulError
from ocihaul.events import BytesFound, BytesReceived, Notice, PartFinished, PartResent
from ocihaul.threads import WorkerPool, supply_of
from ocihaul.transfer.download.context import (
    READ_BLOCK,
    Digests,
    DownloadContext,
    RangeExecutor,
    RemoteDownload,
)
from ocihaul.transfer.download.local_file import (
    BegunRange,
    DownloadCheckpoint,
    FinishedRange,
    LocalFile,
)
from ocihaul.transfer.download.request import RangePlan
from ocihaul.transfer.download.verification import UnknownPartsError, compare
from ocihaul.transfer.plan import MIB
from ocihaul.transfer.source import buffer_for

#: The progress of a range is noted after so many bytes: a kill loses no more than that.
_NOTE = 16 * MIB


class _Writing:
    """A `Put` for one range, of which `here` bytes are in the file; it notes the progress."""

    def __init__(
        self,
        file: LocalFile,
        checkpoint: DownloadCheckpoint | None,
        number: int,
        here: int,
        digests: Digests,
    ) -> None:
        self._file = file
        self._checkpoint = checkpoint
        self._number = number
        self._digests = digests
        self.here = self._noted = here
        self._crc32c = digests.crc32c

    def __call__(self, data: memoryview, offset: int) -> None:
        """The digests have taken these bytes already. Raises LocalFileError."""
        self._file.write(data, offset)
        self.here += len(data)
        self._crc32c = self._digests.crc32c
        if self.here - self._noted >= _NOTE:
            self.note()

    def note(self) -> None:
        """The next run may go on here."""
        if self.here > self._noted and self._checkpoint is not None:
            self._checkpoint.record_begun(self._number, BegunRange(self.here, self._crc32c))
            self._noted = self.here


class RangeFetcher:
    """Fetches ranges into a file, in any thread, here or on another machine.

    `begun` is what an earlier run has of some; how far each comes is noted in `checkpoint`.
    """

    def __init__(
        self,
        context: DownloadContext,
        file: LocalFile,
        plan: RangePlan,
        *,
        begun: Mapping[int, BegunRange] | None = None,
        checkpoint: DownloadCheckpoint | None = None,
    ) -> None:
        self._context = context
        self._file = file
        self._plan = plan
        self._begun = begun or {}
        self._checkpoint = checkpoint
        self.half_kept = False

    def is_there(self, number: int, finished: FinishedRange, buffer: memoryview) -> bool:
        """Whether the file has what was finished.

        A power failure or another program may have changed the file since.
        """
        return self._reread(number, finished, buffer) == finished.crc32c

    def fetch(self, number: int, buffer: memoryview) -> FinishedRange:
        """Fetch a range, or what is missing of it; how far that came is noted if it breaks off."""
        digests, here = self._half(number, buffer)
        writing = _Writing(self._file, self._checkpoint, number, here, digests)
        try:
            self._context.fetch(
                self._plan, number, here=here, buffer=buffer, digests=digests, put=writing
            )
        except BaseException:
            writing.note()
            self.half_kept = self.half_kept or writing.here > 0
            raise
        return FinishedRange(digests.crc32c, digests.blocks())

    def _half(self, number: int, buffer: memoryview) -> tuple[Digests, int]:
        """Digests that have taken what an earlier run has fetched of a range, and its length."""
        digests, begun = Digests(self._plan.block), self._begun.get(number)
        if begun is not None:
            offset, _ = self._plan.part(number)
            whole = self.digest(offset, begun.length, digests, buffer)
            if whole and digests.crc32c == begun.crc32c:
                return digests, begun.length
        return Digests(self._plan.block), 0

    def _reread(self, number: int, finished: FinishedRange, buffer: memoryview) -> bytes | None:
        """The CRC32C of what the file has there; None when it cannot be what was finished."""
        offset, length = self._plan.part(number)
        if self._plan.block is not None and len(finished.blocks) != -(-length // self._plan.block):
            return None
        digests = Digests(None)
        return digests.crc32c if self.digest(offset, length, digests, buffer) else None

    def digest(self, offset: int, length: int, digests: Digests, buffer: memoryview) -> bool:
        """Read bytes of the file into `digests`; False where it is shorter."""
        for start in range(0, length, len(buffer)):
            self._context.check_stop()
            block = buffer[: min(len(buffer), length - start)]
            if not self._file.read_into(block, offset + start):
                return False
            digests.update(block)
        return True


class FileDownload:
    """One download into one local file.

    `checked_by` names the checksum that was compared, once `run` has returned.
    """

    def __init__(
        self, context: DownloadContext, file: LocalFile, checkpoint: DownloadCheckpoint
    ) -> None:
        self._context = context
        self._file = file
        self._checkpoint = checkpoint
        self._plan = context.plan()
        self._done: dict[int, FinishedRange] = {}
        self._begun: dict[int, BegunRange] = {}
        self._fetcher = RangeFetcher(context, file, self._plan, checkpoint=checkpoint)
        self._lock = threading.Lock()  # guards _fresh
        self._fresh: dict[int, FinishedRange] = {}
        self.checked_by: str | None = None

    @property
    def plan(self) -> RangePlan:
        """The ranges: of an earlier run, where there was one."""
        return self._plan

    @property
    def ranges(self) -> list[tuple[bytes, int]]:
        """CRC32C and length of each range, in order."""
        numbers = range(1, self._plan.part_count + 1)
        return [(self._fresh[number].crc32c, self._plan.part(number)[1]) for number in numbers]

    def run(self) -> None:
        """Fetch what is missing, compare, and put the file in its place.

        What came stays for the next run, unless it is known to be of no use. Raises LocalFileError,
        ObjectChangedError, ChecksumError, TransferCancelled, and what the calls raise.
        """
        context = self._context
        self._resume()
        self._fetcher = RangeFetcher(
            context, self._file, self._plan, begun=self._begun, checkpoint=self._checkpoint
        )
        try:
            context.announce(self._plan)
            self._tell_found()
            self._fetch_all()
            self._file.complete()
        except (ObjectChangedError, ChecksumError) as error:
            if not isinstance(error, UnknownPartsError):
                self._checkpoint.forget()
                self._file.drop()
            raise
        except OcihaulError:
            self._say_what_is_kept()
            raise
        self._checkpoint.forget()

    def _resume(self) -> None:
        context, pinned = self._context, self._context.pinned
        try:
            if context.request.restart or self._file.is_new:
                raise LookupError("nothing to resume")
            plan, self._done, self._begun = self._checkpoint.load(pinned.etag, pinned.size)
            if (plan.start, plan.end) != (self._plan.start, self._plan.end):
                raise LookupError("it was another range")
        except LookupError:
            self._file.reserve(self._plan.size, keep=False)
            self._checkpoint.begin(pinned.etag, pinned.size, self._plan)
            return
        self._file.reserve(plan.size, keep=True)
        self._checkpoint.resume()
        if context.request.part_size not in {None, plan.part_size} and plan.part_count > 1:
            text = f"Resuming with ranges of {plan.part_size / MIB:g} MiB, as it was begun."
            context.listener(Notice(text))
        self._plan = plan
        count = f"{len(self._done)} of {plan.part_count} ranges are here"
        if half := self._begun.keys() - self._done.keys():
            count += f", and something of {len(half)} more"
        context.listener(Notice(f"Resuming what an earlier run has fetched: {count}."))

    def _tell_found(self) -> None:
        """Tell the listener what an earlier run has brought; each range is compared again."""
        name = self._context.request.name
        for number in self._done:
            self._context.listener(BytesFound(number, self._plan.part(number)[1], name))
        for number, begun in self._begun.items():
            if number not in self._done:
                self._context.listener(BytesFound(number, begun.length, name))

    def _fetch_all(self) -> None:
        """Have every range in the file, by threads or by other machines."""
        context, plan = self._context, self._plan
        if context.executor is not None and plan.part_count > 1:
            self._fetch_elsewhere(context.executor)
            return
        WorkerPool(
            supply_of(range(1, plan.part_count + 1)),
            self._worker,
            parallel=min(context.request.parallel, plan.part_count),
            stop=context.stop,
            abandoned=context.abandoned,
            concurrency=context.concurrency,
        ).run()
        self._compare()

    def _fetch_elsewhere(self, executor: RangeExecutor) -> None:
        """The same by other machines. Their word is no proof: the whole is compared here.

        If it differs, the file is read here, and what is not as it was told is fetched again.
        """
        context, plan = self._context, self._plan
        ranges = {number: self._done.get(number) for number in range(1, plan.part_count + 1)}
        remote = RemoteDownload(
            replace(context.request, target=self._file.target),
            context.there,
            plan,
            self._file.target,
            self._file.temporary,
        )
        with executor.fetching_ranges(remote, self._told) as tasks:
            tasks.fetch(ranges)
            try:
                self._compare()
            except ChecksumError:
                wrong = self._wrong()
                if not wrong:
                    raise
                for number in wrong:
                    length = plan.part(number)[1]
                    context.listener(PartResent(number, length, "it is not what was told"))
                tasks.fetch(dict.fromkeys(wrong), elsewhere=True)
                self._compare()

    def _told(self, number: int, finished: FinishedRange, is_new: bool) -> None:
        length = self._plan.part(number)[1]
        self._fresh[number] = finished
        if is_new:
            self._checkpoint.record(number, finished)
            self._context.count_received(length)
            self._context.listener(BytesReceived(number, length, self._context.request.name))
        self._context.listener(PartFinished(number, length, self._context.request.name))

    def _wrong(self) -> list[int]:
        """The ranges whose bytes in the file are not those that were told."""
        buffer = buffer_for(min(READ_BLOCK, self._plan.part_size))
        return [
            number
            for number, finished in sorted(self._fresh.items())
            if not self._fetcher.is_there(number, finished, buffer)
        ]

    def _worker(self) -> Callable[[int], None]:
        buffer = buffer_for(min(READ_BLOCK, self._plan.part_size))

        def work(number: int) -> None:
            finished = self._done.get(number)
            if finished is None or not self._fetcher.is_there(number, finished, buffer):
                finished = self._fetcher.fetch(number, buffer)
                self._checkpoint.record(number, finished)
            with self._lock:
                self._fresh[number] = finished
            size, name = self._plan.part(number)[1], self._context.request.name
            self._context.listener(PartFinished(number, size, name))

        return work

    def _compare(self) -> None:
        context, plan = self._context, self._plan
        ordered = [self._fresh[number] for number in range(1, plan.part_count + 1)]

        def reread(block: int) -> tuple[bytes, ...]:
            digests = Digests(block)
            self._fetcher.digest(0, plan.size, digests, buffer_for(min(READ_BLOCK, plan.size)))
            return digests.blocks()

        self.checked_by = compare(
            context.expected,
            plan.size,
            self.ranges,
            block=plan.block,
            blocks=(digest for finished in ordered for digest in finished.blocks),
            hint=context.request.part_size,
            reread=reread,
        )

    def _say_what_is_kept(self) -> None:
        if self._fresh or self._done or self._begun or self._fetcher.half_kept:
            text = "The bytes that are here are kept: the same command, run again, resumes."
            self._context.listener(Notice(text))
