"""Reading a source for its checksums alone."""

import threading
from collections.abc import Callable, Collection

from ocihaul.errors import Interrupted
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.crew import Crew, one_by_one
from ocihaul.transfer.source import FileSource, Source

#: Hashing leaves the interpreter's lock: more threads than this wait for the disk.
THREADS = 4


def digest_range(source: Source, offset: int, length: int, algorithm: str) -> bytes:
    """The checksum of a range without sending it: one more read. Raises SourceError."""
    running = checksum.start(algorithm)
    view = buffer_for(length)
    for start in range(0, length, len(view)):
        block = view[: min(len(view), length - start)]
        source.read_into(block, offset + start)
        running.update(block)
    return running.digest()


def digest_ranges(
    source: FileSource,
    ranges: Collection[tuple[int, int]],
    algorithms: Collection[str],
    *,
    stop: threading.Event,
    threads: int = THREADS,
) -> list[dict[str, bytes]]:
    """The checksums of each range (offset, length in bytes), each byte read once.

    Raises SourceError, and Interrupted once `stop` is set.
    """
    found: dict[int, dict[str, bytes]] = {}
    abandoned = threading.Event()

    def worker() -> Callable[[tuple[int, tuple[int, int]]], None]:
        buffer = buffer_for(BLOCK)

        def digest(task: tuple[int, tuple[int, int]]) -> None:
            index, (offset, length) = task
            running = {name: checksum.start(name) for name in algorithms}
            for start in range(0, length, len(buffer)):
                if stop.is_set():
                    raise Interrupted("stopped while the file was read")
                if abandoned.is_set():
                    raise AbandonedError
                block = buffer[: length - start]
                source.read_into(block, offset + start)
                for one in running.values():
                    one.update(block)
            found[index] = {name: one.digest() for name, one in running.items()}

        return digest

    Crew(
        one_by_one(enumerate(ranges)),
        worker,
        parallel=min(threads, len(ranges)),
        stop=stop,
        abandoned=abandoned,
    ).run()
    return [found[index] for index in range(len(ranges))]
