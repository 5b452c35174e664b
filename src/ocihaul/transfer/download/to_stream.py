"""An object into a pipe: ranges side by side, written in order, with a bound on what waits."""

import threading
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from ocihaul.errors import ChecksumError, Interrupted, TargetError
from ocihaul.events import PartFinished
from ocihaul.transfer.download.context import DownloadJob
from ocihaul.transfer.download.range_sink import Digests
from ocihaul.transfer.download.request import RangePlan
from ocihaul.transfer.download.verification import compare, of_parts, part_sizes, unknown_parts
from ocihaul.transfer.plan import MIB
from ocihaul.transfer.workers import Crew, one_by_one

#: All bytes that wait to be written, at most.
_WINDOW = 128 * MIB
_SMALLEST_PIECE = MIB
#: How many part sizes are tried at the same time, since the bytes pass by only once: as many as
#: make so many bytes to be hashed, but not fewer, nor more.
_HASHED = 2 * 2**30
_FEWEST_GUESSES, _MOST_GUESSES = 3, 64
#: How often a wait looks whether it is in vain, seconds.
_GLANCE = 0.2

#: How long to leave a pipe alone that takes nothing, seconds.
_FULL_PIPE = 0.02

_OUT = "The bytes are out already: whoever read them should not use them."


class IntoStream:
    """One download into one stream, which is not closed.

    `checked_by` names the checksum that was compared, once `run` has returned.
    """

    def __init__(self, job: DownloadJob, out: BinaryIO) -> None:
        self._job = job
        self._out = out
        wished = job.plan()
        parallel = min(job.request.parallel, _WINDOW // _SMALLEST_PIECE - 1)
        piece = max(_WINDOW // (parallel + 1), _SMALLEST_PIECE)
        self.plan: RangePlan = replace(wished, part_size=min(piece, wished.part_size), block=None)
        self._parallel = min(parallel, self.plan.part_count)
        self._changed = threading.Condition()  # guards the three below
        self._free = [memoryview(bytearray(self.plan.part_size)) for _ in range(self._parallel + 1)]
        self._waiting: dict[int, memoryview] = {}
        self._written = 0
        self._digests = [Digests(block) for block in self._blocks()]
        self.checked_by: str | None = None

    @property
    def ranges(self) -> list[tuple[bytes, int]]:
        """CRC32C and length of all that was written."""
        return [(self._digests[0].crc32c, self.plan.size)]

    def run(self) -> None:
        """Write all of it, then compare.

        Raises ChecksumError when what was written is wrong, TargetError, BrokenPipeError,
        ObjectChanged, Interrupted, and what the calls raise.
        """
        job, count = self._job, self.plan.part_count
        job.announce(self.plan)
        crew = Crew(
            one_by_one(range(1, count + 1)),
            lambda: self._fetch,
            parallel=self._parallel,
            stop=job.stop,
            abandoned=job.abandoned,
            pace=job.pace,
            resumable=False,  # what comes after a range that failed is of no use
        )
        crew.start()
        try:
            while self._written < count and (piece := self._next(crew)) is not None:
                self._write(piece)
        finally:
            job.abandoned.set()  # nobody writes what comes now
        crew.join()
        self._compare()

    def _fetch(self, number: int) -> None:
        """In a thread of the crew: one range into a buffer, when it is not too far ahead."""
        job = self._job
        with self._changed:
            # Those up to the window's end have a buffer each, so the next to be written has one.
            while number > self._written + self._parallel + 1:
                job.check_stop()
                self._changed.wait(_GLANCE)
            buffer = self._free.pop()
        job.fetch(self.plan, number, buffer=buffer, digests=None, put=_leave)
        with self._changed:
            self._waiting[number] = buffer
            self._changed.notify_all()

    def _next(self, crew: Crew[int]) -> memoryview | None:
        """The range that is to be written next, when it is here; None when it never comes."""
        number = self._written + 1
        while True:
            over = crew.over  # looked at first: the last thing it did may be this range
            with self._changed:
                self._changed.wait_for(lambda: number in self._waiting, 0 if over else _GLANCE)
                if number in self._waiting:
                    return self._waiting.pop(number)
            if over:
                return None

    def _write(self, buffer: memoryview) -> None:
        number = self._written + 1
        length = self.plan.part(number)[1]
        left = buffer[:length]
        for digests in self._digests:
            digests.update(left)
        try:
            while left:
                # None: the other end of a non-blocking pipe takes nothing at the moment.
                count: int | None = self._out.write(left)
                left = left[count or 0 :]
                if not count and self._job.stop.wait(_FULL_PIPE):
                    raise Interrupted("stopped while the output was waited for")
        except BrokenPipeError:
            raise
        except OSError as error:
            raise TargetError(f"the output cannot be written: {error.strerror}") from error
        with self._changed:
            self._free.append(buffer)
            self._written = number
            self._changed.notify_all()
        self._job.listener(PartFinished(number, length))

    def _blocks(self) -> list[int | None]:
        """What MD5 values cover: of all that is promised, or of parts of several sizes."""
        promise, size = self._job.promise, self._job.there.size
        if promise.crc32c is not None or not size:
            return [None]
        if promise.md5_of_parts is not None:
            sizes = part_sizes(size, promise.parts, self._job.request.part_size)
            guesses = max(_FEWEST_GUESSES, min(_HASHED // size, _MOST_GUESSES))
            return list(islice(sizes, guesses)) or [None]
        return [size if promise.md5 is not None else None]

    def _compare(self) -> None:
        promise, size = self._job.promise, self.plan.size
        try:
            if promise.crc32c is None and promise.md5_of_parts is not None and size:
                if promise.md5_of_parts not in {of_parts(each.blocks()) for each in self._digests}:
                    raise unknown_parts(promise)
                self.checked_by = "MD5"
                return
            self.checked_by = compare(
                promise,
                size,
                self.ranges,
                block=size,
                blocks=self._digests[0].blocks(),
                hint=None,
                reread=lambda _: (),
            )
        except ChecksumError as error:
            raise ChecksumError(error.message, hint=_OUT) from error


def _leave(data: memoryview, offset: int) -> None:
    """The bytes stay in the buffer until they are written."""
