"""SIGINT, SIGTERM, SIGHUP: the first asks the work to stop, another one ends the process.

A terminal that goes away is told by the kernel and by the shell, so SIGHUP is never that other one.
While a question is being asked, the first one ends the question instead.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ocihaul.cli.process import INTERRUPTED

_SIGNALS = tuple(
    number
    for number in (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
    if number is not None
)


class Stopper:
    """What the handler knows: the flag that the core watches, and whether a person is asked."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._asking = False

    def handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The signal handler; runs in the main thread."""
        if self._asking:
            raise KeyboardInterrupt
        if self.stop.is_set() and number != getattr(signal, "SIGHUP", None):
            os._exit(INTERRUPTED)  # asked twice: nothing may delay it any more
        self.stop.set()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a person is asked: a signal raises KeyboardInterrupt."""
        before, self._asking = self._asking, True
        try:
            yield
        finally:
            self._asking = before


#: Of the commands that handle signals, the innermost last.
_active: list[Stopper] = []


@contextmanager
def answering() -> Iterator[None]:
    """While an answer is read: a signal ends the question, and so does one that came before.

    Without this the reading would go on, and an answer that comes behind a Ctrl-C would count.
    """
    if not _active or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _active[-1].asking():
        if _active[-1].stop.is_set():
            raise KeyboardInterrupt
        yield


@contextmanager
def stopping() -> Iterator[Stopper]:
    """Handle the signals for the length of a command (main thread only; elsewhere: no handling)."""
    stopper = Stopper()
    if threading.current_thread() is not threading.main_thread():
        yield stopper
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # A signal that our parent has switched off (nohup, a shell's background job) stays off.
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, stopper.handle)
    _active.append(stopper)
    try:
        yield stopper
    finally:
        _active.remove(stopper)
        for number in ours:
            signal.signal(number, before[number] or signal.SIG_DFL)
