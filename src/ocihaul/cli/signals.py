"""SIGINT, SIGTERM, SIGHUP, and the questions to a person that they end.

The first signal asks the work to stop, another one ends the process. A terminal that goes away is
told by the kernel and by the shell, so SIGHUP is never that other one. While a question is being
asked, the first one ends the question instead."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import click

from ocihaul.cli.process import INTERRUPTED
from ocihaul.printing import say, shown

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


def yes_or_no(stdin: TextIO, stderr: TextIO, question: str) -> bool | None:
    """Ask on stderr until there is an answer; an empty line is no.

    None: the input has ended without one.
    """
    while True:
        say(stderr, question, end=" ")
        line = next_line(stdin)
        if not line:
            say(stderr, "")
            return None
        word = line.strip().lower()
        if word in {"y", "yes"}:
            return True
        if word in {"", "n", "no"}:
            return False
        say(stderr, "Error: invalid input")


def next_line(stdin: TextIO) -> str:
    """The next line; empty at the end of the input, and where it cannot be read.

    Raises KeyboardInterrupt for a signal meanwhile.
    """
    try:
        with answering():
            return stdin.readline()
    except (OSError, ValueError):
        return ""


def prompt(question: str, *, secret: bool = False) -> str:
    """Ask for a text; a `secret` is not echoed, and asked for twice."""
    with answering():
        answer: str = click.prompt(
            shown(question), hide_input=secret, confirmation_prompt=secret, err=True
        )
    return answer


def confirm(question: str) -> bool:
    """Ask for a yes; Return alone is no."""
    with answering():
        return click.confirm(shown(question), default=False, err=True)
