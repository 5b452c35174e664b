"""Read a stream once, and cut it into parts that can be sent again until the service has them."""

import contextlib
import io
import select
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from functools import partial

from ocihaul.errors import ChecksumError, SourceError, TransferCancelled
from ocihaul.transfer import checksum
from ocihaul.transfer.buffers import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.plan import StreamPlan
from ocihaul.transfer.source import Piece
from ocihaul.transfer.upload.request import Stream, UploadRequest, expected_checksums
from ocihaul.transfer.upload.spool import Spool

#: How often a wait for the producer checks whether the stream is still wanted, seconds.
_POLL_INTERVAL = 0.2
#: How long to wait for a stream that has nothing and cannot be polled, seconds.
_PAUSE = 0.05


class StreamChecks:
    """Compare the stream with the size and checksums that the caller gave."""

    def __init__(self, request: UploadRequest, plan: StreamPlan) -> None:
        self._wanted = expected_checksums(request)
        self._running = {name: checksum.start(name) for name in self._wanted}
        self._expected = request.expected_size
        self._allow_empty = request.allow_empty
        self._plan = plan
        self.size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes. Raises SourceError when there are too many."""
        self.size += len(data)
        if self._expected is not None and self.size > self._expected:
            raise SourceError(
                f"the stream has more than the {self._expected} bytes that were expected",
                hint="Find out which of the two is right.",
            )
        if self.size > self._plan.most:
            raise SourceError(
                f"the stream is too long: {self._plan.limit_text}",
                hint="Leave out `part_size`, or split the stream into several objects.",
            )
        for one in self._running.values():
            one.update(data)

    def check_end(self) -> None:
        """Check the whole stream. Raises SourceError, ChecksumError when it is not as expected."""
        if self._expected not in {None, self.size}:
            raise SourceError(
                f"the stream ended after {self.size} bytes; {self._expected} were expected",
                hint="Its producer has stopped early: look at what it said.",
            )
        if not (self.size or self._allow_empty or self._expected == 0 or self._wanted):
            raise SourceError(
                "the stream ended without a single byte",
                hint="Its producer has most likely failed: look at what it said. If an empty "
                "object is wanted, pass `expected_size` 0.",
            )
        for name, value in self._wanted.items():
            ours = checksum.encoded(self._running[name].digest())
            if ours != value:
                raise ChecksumError(
                    f"the stream has the {name} {_both(ours)}, not {_both(value)} as expected",
                    hint="Find out which of the two is right.",
                )


def _both(value: str) -> str:
    """A checksum as the service writes it, and as sha256sum and its like do."""
    with contextlib.suppress(ValueError):
        return f"{value} ({b64decode(value, validate=True).hex()})"
    return value


class StreamReader:
    """Cut a stream into parts. Thread-safe: one thread reads, the others wait for their turn.

    The worker that asks for a part reads it: nothing is read before a worker is free to send it.
    """

    def __init__(
        self,
        stream: Stream,
        plan: StreamPlan,
        spool: Spool,
        checks: StreamChecks,
        *,
        stop: threading.Event,
        abandoned: threading.Event,
    ) -> None:
        self._read = _polling_reader(stream, self._check_wanted)
        self._plan = plan
        self._spool = spool
        self._checks = checks
        self._stop = stop
        self._abandoned = abandoned
        self._lock = threading.Lock()  # guards all below, and the stream
        self._block = buffer_for(BLOCK)
        self._ahead = 0  # bytes in _block that belong to the next part
        self._number = 0
        self._over = False

    def next_part(self) -> Piece | None:
        """The next part; None after the last one.

        Raises SourceError and ChecksumError when the stream is not what it should be, SpoolError,
        TransferCancelled, and AbandonedError when the upload is given up.
        """
        with self._lock:
            piece = self._cut() if not self._over else None
        if piece is not None and not piece.length:
            piece.release()
            return None
        return piece

    def first_part(self) -> tuple[Piece, bool]:
        """The first part, empty where the stream is, and whether it is the whole stream."""
        with self._lock:
            piece = self._cut()
            if not self._over:
                self._ahead = self._fill(1)
            return piece, self._over

    def _cut(self) -> Piece:
        number = self._number + 1
        size = self._plan.part_size(number)
        count, self._ahead = self._ahead or self._fill(size), 0
        kept = self._spool.take(size if count else 0)
        if kept is None:
            self._check_wanted()
            raise AbandonedError
        filled = 0
        try:
            while count:
                kept.write(self._block[:count], filled)
                filled += count
                count = self._fill(size - filled) if filled < size and not self._over else 0
        except BaseException:
            self._spool.release(kept)
            raise
        self._number = number
        return Piece(number, kept, 0, filled, partial(self._spool.release, kept))

    def _fill(self, most: int) -> int:
        """Read up to `most` bytes into the block; 0 at the end of the stream."""
        view = self._block[:most]
        count = self._read(view)
        if count:
            self._checks.update(view[:count])
        else:
            self._over = True
            self._checks.check_end()
        return count

    def _check_wanted(self) -> None:
        if self._stop.is_set():
            raise TransferCancelled("stopped while the stream was read")
        if self._abandoned.is_set():
            raise AbandonedError


def _polling_reader(
    stream: Stream, check_wanted: Callable[[], None]
) -> Callable[[memoryview], int]:
    """A function that reads what there is, and calls `check_wanted` while there is nothing.

    Only a plain descriptor can be waited for like that; anything else is read as it comes.
    """
    poll = None
    if isinstance(stream, io.FileIO) and not stream.closed and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def read(view: memoryview) -> int:
        try:
            while True:
                check_wanted()
                if poll is not None and not poll.poll(_POLL_INTERVAL * 1000):
                    continue
                count = stream.readinto(view)
                if count is not None:
                    return count
                time.sleep(_PAUSE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SourceError(
                f"the stream cannot be read: {reason}",
                hint="A stream that broke cannot be read again: run its producer once more.",
            ) from error

    return read
