"""Stdin and named pipes as the source of an upload: which they are, and how they are opened."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from ocihaul.cli.invocation import is_terminal
from ocihaul.errors import SourceError, UsageError
from ocihaul.transfer.upload.request import UploadRequest

STDIN = "-"
_STDIN_PATHS = frozenset({STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def is_piped(path: Path) -> bool:
    """Whether this is read as a stream: `-`, /dev/stdin, or a named pipe."""
    if str(path) in _STDIN_PATHS:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def reads_stdin(request: UploadRequest) -> bool:
    """Whether stdin is the data, so that nobody can be asked there."""
    return str(request.source) in _STDIN_PATHS


@contextmanager
def piped(request: UploadRequest, stdin: TextIO | None) -> Iterator[UploadRequest]:
    """The request with its stream, if it is of one; raises UsageError and SourceError."""
    if not is_piped(request.source):
        yield request
        return
    with _of_stdin(stdin) if reads_stdin(request) else _of_pipe(request.source) as stream:
        yield replace(
            request,
            stream=stream,
            expected_size=_expected(request, stream),
            allow_empty=request.allow_empty or _has_no_producer(stream),
        )


def _of_stdin(stdin: TextIO | None) -> io.FileIO:
    if is_terminal(stdin):
        raise UsageError(
            "--file - reads stdin, which is a terminal: nothing is piped in",
            hint="Pipe something in, such as: tar -c DIRECTORY | ocihaul os object put --file - …",
        )
    try:
        if stdin is None:
            raise ValueError("stdin is closed")
        return io.FileIO(stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--file - reads stdin, and that is not possible: {error}",
            hint="Pipe something in.",
        ) from None


def _of_pipe(path: Path) -> io.FileIO:
    """Open without waiting for a writer: the upload waits for it, and hears a stop meanwhile."""
    try:
        return io.FileIO(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}",
            hint="Check that the user running this may read it.",
        ) from error


def _has_no_producer(stream: io.FileIO) -> bool:
    """Whether this is a file or a device, such as /dev/null: nothing that could have failed."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


def _expected(request: UploadRequest, stream: io.FileIO) -> int | None:
    """What is said, or how much is left of a regular file that stdin was redirected from."""
    if request.expected_size is not None:
        return request.expected_size
    try:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # /proc says 0
            return None
        return max(0, status.st_size - stream.tell())
    except OSError:
        return None
