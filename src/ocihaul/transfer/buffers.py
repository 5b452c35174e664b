"""Buffers: the blocks in which bytes are moved, and the memory for them."""

import mmap
from collections import deque
from contextlib import suppress

#: Read, hash and send in steps of this many bytes. Larger steps cost memory per thread, smaller
#: ones handovers of the interpreter's lock: half of it costs 5 % more CPU over plain HTTP, and the
#: same over TLS.
BLOCK = 1024 * 1024

#: Halves of huge pages that are not in use. Its methods are safe from any thread.
_halves: deque[memoryview] = deque()


class AbandonedError(Exception):
    """Another part has failed for good: this one is given up. Control flow, never shown."""


def buffer_for(length: int) -> memoryview:
    """A buffer to move `length` bytes in steps: of that size, at most `BLOCK`, one byte at least.

    It is half of a huge page where the system has those: an upload costs a fifth less CPU with
    them than with memory that begins anywhere in a small page. It is freed when neither half is
    in use.
    """
    try:
        half = _halves.pop()
    except IndexError:
        page = _memory(2 * BLOCK)
        half = page[:BLOCK]
        _halves.append(page[BLOCK:])
    return half[: max(length, 1)]


def _memory(size: int) -> memoryview:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return memoryview(bytearray(size))
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:  # too many mappings, perhaps: there may be other memory
        return memoryview(bytearray(size))
    with suppress(OSError):  # a kernel without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)
