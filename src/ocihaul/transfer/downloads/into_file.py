"""An object into a file: ranges straight into their place, in any order, each remembered."""

import threading
from collections.abc import Callable

from ocihaul.errors import ChecksumError, ObjectChanged, OcihaulError
from ocihaul.events import Notice, PartFinished
from ocihaul.transfer.crew import Crew, one_by_one
from ocihaul.transfer.downloads.finished import Finished, FinishedRange
from ocihaul.transfer.downloads.job import DownloadJob
from ocihaul.transfer.downloads.local_file import LocalFile
from ocihaul.transfer.downloads.proof import UnknownPartsError, compare
from ocihaul.transfer.downloads.ranges import RangePlan
from ocihaul.transfer.downloads.receiving import BLOCK, Digests
from ocihaul.transfer.plan import MIB


class IntoFile:
    """One download into one local file.

    `checked_by` names the checksum that was compared, once `run` has returned.
    """

    def __init__(self, job: DownloadJob, file: LocalFile, finished: Finished) -> None:
        self._job = job
        self._file = file
        self._finished = finished
        self._plan = job.plan()
        self._done: dict[int, FinishedRange] = {}
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

        What came stays for the next run, unless it is known to be of no use. Raises TargetError,
        ObjectChanged, ChecksumError, Interrupted, and what the calls raise.
        """
        job = self._job
        self._take_up()
        try:
            job.announce(self._plan)
            Crew(
                one_by_one(range(1, self._plan.part_count + 1)),
                self._worker,
                parallel=min(job.request.parallel, self._plan.part_count),
                stop=job.stop,
                abandoned=job.abandoned,
                pace=job.pace,
            ).run()
            self._compare()
            self._file.complete()
        except (ObjectChanged, ChecksumError) as error:
            if not isinstance(error, UnknownPartsError):
                self._finished.forget()
                self._file.drop()
            raise
        except OcihaulError:
            self._say_what_is_kept()
            raise
        self._finished.forget()

    def _take_up(self) -> None:
        job, pinned = self._job, self._job.pinned
        try:
            if job.request.restart:
                raise LookupError("the caller wants it so")
            plan, self._done = self._finished.take_up(pinned.etag, pinned.size)
            if (plan.start, plan.end) != (self._plan.start, self._plan.end):
                raise LookupError("it was another range")
        except LookupError:
            self._file.reserve(self._plan.size, keep=False)
            self._finished.begin(pinned.etag, pinned.size, self._plan)
            return
        self._file.reserve(plan.size, keep=True)
        self._finished.go_on()
        if job.request.part_size not in {None, plan.part_size} and plan.part_count > 1:
            text = f"Going on with ranges of {plan.part_size / MIB:g} MiB, as it was begun."
            job.listener(Notice(text))
        self._plan = plan
        count = f"{len(self._done)} of {plan.part_count} ranges are here"
        job.listener(Notice(f"Going on with what an earlier run has fetched: {count}."))

    def _worker(self) -> Callable[[int], None]:
        buffer = bytearray(min(BLOCK, self._plan.part_size))

        def work(number: int) -> None:
            finished = self._done.get(number)
            if finished is None or self._reread(number, finished, buffer) != finished.crc32c:
                digests = Digests(self._plan.block)
                self._job.fetch(
                    self._plan, number, buffer=buffer, digests=digests, put=self._file.write
                )
                finished = FinishedRange(digests.crc32c, digests.blocks())
                self._finished.record(number, finished)
            with self._lock:
                self._fresh[number] = finished
            self._job.listener(PartFinished(number, self._plan.part(number)[1]))

        return work

    def _reread(self, number: int, finished: FinishedRange, buffer: bytearray) -> bytes | None:
        """The CRC32C of what the file has there; None when it cannot be what was finished.

        A power failure, or anybody, may have changed the file since.
        """
        offset, length = self._plan.part(number)
        if self._plan.block is not None and len(finished.blocks) != -(-length // self._plan.block):
            return None
        digests = Digests(None)
        return digests.crc32c if self._digest(offset, length, digests, buffer) else None

    def _digest(self, offset: int, length: int, digests: Digests, buffer: bytearray) -> bool:
        view = memoryview(buffer)
        for start in range(0, length, len(view)):
            self._job.check_stop()
            block = view[: min(len(view), length - start)]
            if not self._file.read_into(block, offset + start):
                return False
            digests.update(block)
        return True

    def _compare(self) -> None:
        job, plan = self._job, self._plan
        ordered = [self._fresh[number] for number in range(1, plan.part_count + 1)]

        def reread(block: int) -> tuple[bytes, ...]:
            digests = Digests(block)
            self._digest(0, plan.size, digests, bytearray(min(BLOCK, max(plan.size, 1))))
            return digests.blocks()

        self.checked_by = compare(
            job.promise,
            plan.size,
            self.ranges,
            block=plan.block,
            blocks=(digest for finished in ordered for digest in finished.blocks),
            hint=job.request.part_size,
            reread=reread,
        )

    def _say_what_is_kept(self) -> None:
        if self._fresh or self._done:
            text = "The ranges that are here are kept: the same command, run again, goes on."
            self._job.listener(Notice(text))
