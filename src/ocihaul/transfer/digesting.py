"""Reading a source for its checksums alone."""

import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from ocihaul.errors import Interrupted
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import BLOCK
from ocihaul.transfer.source import FileSource, Source

#: Hashing leaves the interpreter's lock: more threads than this wait for the disk.
THREADS = 4


def digest_range(source: Source, offset: int, length: int, algorithm: str) -> bytes:
    """The checksum of a range without sending it: one more read. Raises SourceError."""
    running = checksum.start(algorithm)
    view = memoryview(bytearray(min(BLOCK, max(length, 1))))
    for start in range(0, length, len(view)):
        block = view[: min(len(view), length - start)]
        source.read_into(block, offset + start)
        running.update(block)
    return running.digest()


def digest_ranges(
    source: FileSource,
    ranges: Iterable[tuple[int, int]],
    algorithms: Collection[str],
    *,
    stop: threading.Event,
    threads: int = THREADS,
) -> list[dict[str, bytes]]:
    """The checksums of each range (offset, length in bytes), each byte read once.

    Raises SourceError, and Interrupted once `stop` is set.
    """

    def digest(where: tuple[int, int]) -> dict[str, bytes]:
        offset, length = where
        running = {name: checksum.start(name) for name in algorithms}
        view = memoryview(bytearray(min(BLOCK, max(length, 1))))
        for start in range(0, length, len(view)):
            if stop.is_set():
                raise Interrupted("stopped while the file was read")
            block = view[: min(len(view), length - start)]
            source.read_into(block, offset + start)
            for one in running.values():
                one.update(block)
        return {name: one.digest() for name, one in running.items()}

    with ThreadPoolExecutor(threads, thread_name_prefix="ocihaul-digest") as pool:
        return list(pool.map(digest, ranges))
