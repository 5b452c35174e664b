"""Download an object to a stream: ranges in parallel, written in order, few of them waiting."""

import threading
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from ocihaul.errors import ChecksumError, LocalFileError, TransferCancelled
from ocihaul.events import PartFinished
from ocihaul.threads import WorkerPool, supply_of
from ocihaul.transfer.download.context import Digests, DownloadContext
from ocihaul.transfer.download.request import RangePlan
from ocihaul.transfer.download.verification import compare, of_parts, part_sizes, unknown_parts
from ocihaul.transfer.plan import MIB

#: All bytes that wait to be written, at most.
_WINDOW = 128 * MIB
_SMALLEST_PIECE = MIB
#: How many part sizes are tried at the same time, since the bytes pass by only once: as many as
#: make so many bytes to be hashed, but not fewer, nor more.
_HASHED = 2 * 2**30
_FEWEST_GUESSES, _MOST_GUESSES = 3, 64
#: How often a wait checks whether it is in vain, seconds.
_POLL_INTERVAL = 0.2

#: How long to wait for a pipe that takes nothing, seconds.
_FULL_PIPE = 0.02

_OUT = "The bytes are written already: do not use them."


class StreamDownload:
    """One download into one stream, which is not closed.

    `checked_by` names the checksum that was compared, once `run` has returned.
    """

    def __init__(self, context: DownloadContext, out: BinaryIO) -> None:
        self._context = context
        self._out = out
        wanted = context.plan()
        parallel = min(context.request.parallel, _WINDOW // _SMALLEST_PIECE - 1)
        piece = max(_WINDOW // (parallel + 1), _SMALLEST_PIECE)
        self.plan: RangePlan = replace(wanted, part_size=min(piece, wanted.part_size), block=None)
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

        Raises ChecksumError when what was written is wrong, LocalFileError, BrokenPipeError,
        ObjectChangedError, TransferCancelled, and what the calls raise.
        """
        context, count = self._context, self.plan.part_count
        context.announce(self.plan)
        pool = WorkerPool(
            supply_of(range(1, count + 1)),
            lambda: self._fetch,
            parallel=self._parallel,
            stop=context.stop,
            abandoned=context.abandoned,
            concurrency=context.concurrency,
            resumable=False,  # what comes after a range that failed is of no use
        )
        pool.start()
        try:
            while self._written < count and (piece := self._next(pool)) is not None:
                self._write(piece)
        finally:
            context.abandoned.set()  # what comes now is not written
        pool.join()
        self._compare()

    def _fetch(self, number: int) -> None:
        """In a worker: fetch one range into a buffer, when it is not too far ahead."""
        context = self._context
        with self._changed:
            # Those up to the window's end have a buffer each, so the next to be written has one.
            while number > self._written + self._parallel + 1:
                context.check_stop()
                self._changed.wait(_POLL_INTERVAL)
            buffer = self._free.pop()
        context.fetch(self.plan, number, buffer=buffer, digests=None, put=_leave)
        with self._changed:
            self._waiting[number] = buffer
            self._changed.notify_all()

    def _next(self, pool: WorkerPool[int]) -> memoryview | None:
        """The range that is to be written next, when it is here; None when it never comes."""
        number = self._written + 1
        while True:
            over = pool.done  # looked at first: the last thing it did may be this range
            with self._changed:
                self._changed.wait_for(
                    lambda: number in self._waiting, 0 if over else _POLL_INTERVAL
                )
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
                count = _written(self._out, left)
                left = left[count:]
                if not count and self._context.stop.wait(_FULL_PIPE):
                    raise TransferCancelled("stopped while the output was waited for")
        except BrokenPipeError:
            raise
        except OSError as error:
            raise LocalFileError(
                f"the output cannot be written: {error.strerror}",
                hint="What was written is not the whole object. Check where the output goes.",
            ) from error
        with self._changed:
            self._free.append(buffer)
            self._written = number
            self._changed.notify_all()
        self._context.listener(PartFinished(number, length, self._context.request.name))

    def _blocks(self) -> list[int | None]:
        """What MD5 values cover: of all that is expected, or of parts of several sizes."""
        expected, size = self._context.expected, self._context.there.size
        if expected.crc32c is not None or not size:
            return [None]
        if expected.md5_of_parts is not None:
            sizes = part_sizes(size, expected.parts, self._context.request.part_size)
            guesses = max(_FEWEST_GUESSES, min(_HASHED // size, _MOST_GUESSES))
            return list(islice(sizes, guesses)) or [None]
        return [size if expected.md5 is not None else None]

    def _compare(self) -> None:
        expected, size = self._context.expected, self.plan.size
        try:
            if expected.crc32c is None and expected.md5_of_parts is not None and size:
                if expected.md5_of_parts not in {of_parts(each.blocks()) for each in self._digests}:
                    raise unknown_parts(expected)
                self.checked_by = "MD5"
                return
            self.checked_by = compare(
                expected,
                size,
                self.ranges,
                block=size,
                blocks=self._digests[0].blocks(),
                hint=None,
                reread=lambda _: (),
            )
        except ChecksumError as error:
            raise ChecksumError(error.message, hint=_OUT) from error


def _written(out: BinaryIO, data: memoryview) -> int:
    """How many bytes the stream takes; 0 when the other end of a non-blocking pipe is full."""
    try:
        count: int | None = out.write(data)
    except BlockingIOError as full:  # of a buffered stream, which has taken so many
        return getattr(full, "characters_written", 0)
    return count or 0


def _leave(data: memoryview, offset: int) -> None:
    """The bytes stay in the buffer until they are written."""
