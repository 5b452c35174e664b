"""A stream, read once and cut into parts that can be sent again until the service has them."""

import contextlib
import io
import select
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from functools import partial

from ocihaul.errors import ChecksumError, Interrupted, SourceError
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.source import Piece
from ocihaul.transfer.uploads.job import announced
from ocihaul.transfer.uploads.request import Stream, UploadRequest
from ocihaul.transfer.uploads.schedule import Schedule, limit_text
from ocihaul.transfer.uploads.spool import Spool

#: How often somebody who waits for the producer looks whether that is still wanted, seconds.
_GLANCE = 0.2
#: How long a stream is left alone that has nothing and cannot be waited for, seconds.
_PAUSE = 0.05


class Expectations:
    """What the caller knows of the stream beforehand: its size and checksums."""

    def __init__(self, request: UploadRequest, schedule: Schedule) -> None:
        self._wanted = announced(request)
        self._running = {name: checksum.start(name) for name in self._wanted}
        self._expected = request.expected_size
        self._allow_empty = request.allow_empty
        self._schedule = schedule
        self.size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes. Raises SourceError when there are more than can be right."""
        self.size += len(data)
        if self._expected is not None and self.size > self._expected:
            raise SourceError(
                f"the stream has more than the {self._expected} bytes that were expected",
                hint="Find out which of the two is right.",
            )
        if self.size > self._schedule.most:
            raise SourceError(
                f"the stream is too long: {limit_text(self._schedule)}",
                hint="Leave --part-size away, or split the stream into several objects.",
            )
        for one in self._running.values():
            one.update(data)

    def check_end(self) -> None:
        """The stream is over. Raises SourceError or ChecksumError when it is not what it was
        to be.
        """
        if self._expected not in {None, self.size}:
            raise SourceError(
                f"the stream ended after {self.size} bytes; {self._expected} were expected",
                hint="Its producer has stopped early: look at what it said.",
            )
        if not (self.size or self._allow_empty or self._expected == 0 or self._wanted):
            raise SourceError(
                "the stream ended without a single byte",
                hint="Its producer has most likely failed: look at what it said. If an empty "
                "object is wanted, say so with --expected-size 0.",
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


class Intake:
    """Cuts a stream into parts. Thread-safe: one thread reads, the others wait for their turn.

    Whoever asks for a part reads it: nothing is read that nobody is free to send.
    """

    def __init__(
        self,
        stream: Stream,
        schedule: Schedule,
        spool: Spool,
        expectations: Expectations,
        *,
        stop: threading.Event,
        abandoned: threading.Event,
    ) -> None:
        self._read = _waiting_reader(stream, self._look_up)
        self._schedule = schedule
        self._spool = spool
        self._expectations = expectations
        self._stop = stop
        self._abandoned = abandoned
        self._lock = threading.Lock()  # guards all below, and the stream
        self._block = buffer_for(BLOCK)
        self._ahead = 0  # bytes in _block that belong to the next part
        self._number = 0
        self._over = False

    def part(self) -> Piece | None:
        """The next part; None after the last one.

        Raises SourceError and ChecksumError when the stream is not what it should be, SpoolError,
        Interrupted, and AbandonedError when nobody wants it any more.
        """
        with self._lock:
            piece = self._cut() if not self._over else None
        if piece is not None and not piece.length:
            piece.free()
            return None
        return piece

    def first(self) -> tuple[Piece, bool]:
        """The first part, empty where the stream is, and whether it is all there is."""
        with self._lock:
            piece = self._cut()
            if not self._over:
                self._ahead = self._fill(1)
            return piece, self._over

    def _cut(self) -> Piece:
        number = self._number + 1
        size = self._schedule.part_size(number)
        count, self._ahead = self._ahead or self._fill(size), 0
        kept = self._spool.take(size if count else 0)
        if kept is None:
            self._look_up()
            raise AbandonedError
        filled = 0
        try:
            while count:
                kept.write(self._block[:count], filled)
                filled += count
                count = self._fill(size - filled) if filled < size and not self._over else 0
        except BaseException:
            self._spool.free(kept)
            raise
        self._number = number
        return Piece(number, kept, 0, filled, partial(self._spool.free, kept))

    def _fill(self, most: int) -> int:
        """Read up to `most` bytes into the block; 0 at the end of the stream."""
        view = self._block[:most]
        count = self._read(view)
        if count:
            self._expectations.update(view[:count])
        else:
            self._over = True
            self._expectations.check_end()
        return count

    def _look_up(self) -> None:
        if self._stop.is_set():
            raise Interrupted("stopped while the stream was read")
        if self._abandoned.is_set():
            raise AbandonedError


def _waiting_reader(stream: Stream, look_up: Callable[[], None]) -> Callable[[memoryview], int]:
    """A function that reads what there is, and calls `look_up` while there is nothing.

    Only a plain descriptor can be waited for like that; anything else is read as it comes.
    """
    poll = None
    if isinstance(stream, io.FileIO) and not stream.closed and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def read(view: memoryview) -> int:
        try:
            while True:
                look_up()
                if poll is not None and not poll.poll(_GLANCE * 1000):
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
