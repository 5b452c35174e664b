"""The three standard streams, made so that they cannot spoil the work.

Whoever starts us may have closed some of them, or given us a full disk to write on. Then:

* what is said on stderr is lost, and nothing else is;
* an answer that cannot be written on stdout is an error that says that the work is done. Where
  stdout is closed, nobody wants an answer; but bytes that were asked for there (`--file -`) are
  written past all this, and fail;
* what the encoding of stdout lacks is written as JSON escapes it, because an answer is JSON;
* no descriptor below 3 is free: the next file or socket to be opened would become a standard
  stream, and what a library prints would end up in it.
"""

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, TextIO

from ocihaul.errors import OutputError

#: Nothing can be read from the first of them, and nothing be written to the second.
_PLUGS = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)
#: The name of `_escaped` among the ways to treat what cannot be encoded.
_ESCAPE = "ocihaul-escape"


def settle() -> None:
    """Do all that for this process; leaves streams alone that somebody has replaced."""
    for descriptor, mode in enumerate(_PLUGS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # the lowest that is free, which is this one
    codecs.register_error(_ESCAPE, _escaped)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.__stdout__, 1, _unanswered)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.__stderr__, 2, lambda _: None)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (text[at : at + 2].hex() for at in range(0, len(text), 2))
    return "".join(f"\\u{unit}" for unit in units), error.end


def _unanswered(error: OSError) -> None:
    if error.errno == errno.EBADF:
        return  # it was closed
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputError(
        f"the answer cannot be written to standard output: {error.strerror}",
        hint="What was asked for is done; only the answer is missing.",
    ) from error


class _Guarded(io.RawIOBase):
    """Writes to `below`; what cannot be written is told to `failed` once, and then dropped."""

    def __init__(self, below: io.RawIOBase, failed: Callable[[OSError], None]) -> None:
        self._below = below
        self._failed = failed
        self._broken = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()

    def write(self, data: Any, /) -> int:
        if self._broken:
            return len(data)
        try:
            while (count := self._below.write(data)) is None:  # somebody made it non-blocking
                select.select([], [self._below], [])
        except OSError as error:
            self._broken = True
            self._failed(error)
            return len(data)
        return count


def _guarded(stream: TextIO | None, descriptor: int, failed: Callable[[OSError], None]) -> TextIO:
    encoding, errors, by_line = "utf-8", "backslashreplace", descriptor == 2
    if stream is None:  # it was closed
        below: Any = io.FileIO(descriptor, "w", closefd=False)
    else:
        below = getattr(stream.buffer, "raw", stream.buffer)  # PYTHONUNBUFFERED leaves one layer
        by_line = by_line or below.isatty() or below is stream.buffer
        encoding, errors = stream.encoding, stream.errors or "strict"
        if errors in {"strict", "surrogateescape"}:  # the latter sends bytes that are no text
            errors = _ESCAPE
    buffer = io.BufferedWriter(_Guarded(below, failed))
    return io.TextIOWrapper(buffer, encoding=encoding, errors=errors, line_buffering=by_line)
