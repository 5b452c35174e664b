"""Checksums of ranges of a source, read for that alone."""

import threading
from collections.abc import Callable, Collection

from ocihaul.errors import TransferCancelled
from ocihaul.transfer import checksum
from ocihaul.transfer.buffers import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.source import FileSource, Source
from ocihaul.transfer.workers import WorkerPool, supply_of

#: Hashing releases the interpreter's lock: more threads than this wait for the disk.
THREADS = 4


def digest_range(
    source: Source,
    offset: int,
    length: int,
    algorithms: Collection[str],
    *,
    buffer: memoryview | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, bytes]:
    """Read a range and return its checksums by algorithm. Raises SourceError.

    `check` is called before each block, and may raise. `buffer` is lent.
    """
    running = {name: checksum.start(name) for name in algorithms}
    view = buffer_for(length) if buffer is None else buffer
    for start in range(0, length, len(view)):
        check()
        block = view[: min(len(view), length - start)]
        source.read_into(block, offset + start)
        for one in running.values():
            one.update(block)
    return {name: one.digest() for name, one in running.items()}


def digest_ranges(
    source: FileSource,
    ranges: Collection[tuple[int, int]],
    algorithms: Collection[str],
    *,
    stop: threading.Event,
    threads: int = THREADS,
) -> list[dict[str, bytes]]:
    """Return the checksums of each range (offset, length in bytes), each byte read once.

    Raises SourceError, and TransferCancelled once `stop` is set.
    """
    found: dict[int, dict[str, bytes]] = {}
    abandoned = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise TransferCancelled("stopped while the file was read")
        if abandoned.is_set():
            raise AbandonedError

    def worker() -> Callable[[tuple[int, tuple[int, int]]], None]:
        buffer = buffer_for(BLOCK)

        def digest(task: tuple[int, tuple[int, int]]) -> None:
            index, (offset, length) = task
            found[index] = digest_range(
                source, offset, length, algorithms, buffer=buffer, check=check
            )

        return digest

    WorkerPool(
        supply_of(enumerate(ranges)),
        worker,
        parallel=min(threads, len(ranges)),
        stop=stop,
        abandoned=abandoned,
    ).run()
    return [found[index] for index in range(len(ranges))]
