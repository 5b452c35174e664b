"""The process around a command line: UTF-8 whatever the locale, and quiet when it is interrupted.

Its environment, home and terminal, too, as values: where `cli/` looks at them.

Nothing is imported here that is not in the interpreter already: until its handler is there, Python
answers Ctrl-C with a traceback.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its import
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


#: What Python sets, for itself, where nothing else was asked for.
_PYTHONS = (_signal.default_int_handler, _signal.SIG_DFL)
_SIGNALS = (_signal.SIGINT, _signal.SIGTERM)
#: See exit_codes.
_INTERRUPTED = 130


def hear_interrupts() -> None:
    """Let Ctrl-C and SIGTERM end the process with 130, and without a word.

    A command that has something to bring to an end has handlers of its own (see `stopping`).
    Signals that our parent has switched off stay off.
    """
    report = sys.unraisablehook

    def unraisable(event: "sys.UnraisableHookArgs", /) -> None:
        if event.exc_type is KeyboardInterrupt:  # it came in a callback, which cannot raise it
            os._exit(_INTERRUPTED)
        report(event)

    sys.unraisablehook = unraisable
    for number in _SIGNALS:
        if _signal.getsignal(number) in _PYTHONS:
            _signal.signal(number, _interrupted)


def _interrupted(number: int, frame: "FrameType | None") -> None:
    """The handler. Raises KeyboardInterrupt where it can be relied on to arrive.

    Python turns what is raised while a class is made into another error, and an import may drop
    it. Nothing is to be tidied up there.
    """
    while frame is not None:
        if number == _signal.SIGTERM or frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def end_silently() -> None:
    """Let signals end the process as they end any other program, from here on.

    While Python shuts down there is no code of ours any more that could catch an interrupt.
    """
    for number in _SIGNALS:
        if _signal.getsignal(number) is _interrupted:
            _signal.signal(number, _signal.SIG_DFL)


def use_utf8() -> None:
    """Begin this process anew in Python's UTF-8 mode, unless its file names are UTF-8 already.

    Python reads arguments, file names and variables by the locale, and settles that before the
    first line runs. The names of objects are UTF-8, so names on disk and in arguments have to be
    read as UTF-8, too. A process that cannot be begun anew goes on as it is.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    command = [os.fsencode(sys.executable), b"-X", b"utf8", *_arguments()]
    try:
        os.execv(sys.executable, command)  # noqa: S606  it is this very program
    except OSError:
        return


def _arguments() -> list[bytes]:
    """What this process's Python was called with, byte for byte."""
    try:
        with open("/proc/self/cmdline", "rb") as file:  # noqa: PTH123  pathlib is not imported yet
            told = file.read().removesuffix(b"\0").split(b"\0")[1:]
    except OSError:
        told = []
    ours = sys.orig_argv[1:]
    # The C library and Python do not agree on every byte of some encodings.
    return told if len(told) == len(ours) else [os.fsencode(each) for each in ours]


def environment_and_home() -> "tuple[dict[str, str], Path]":
    """The environment variables and the home directory."""
    from pathlib import Path

    try:
        home = Path.home()
    except RuntimeError:  # a container's user without HOME and without an entry in passwd
        home = Path("~")
    return dict(os.environ), home


def at_terminal() -> bool:
    """Whether a person can read what is said on stderr, and answer on stdin."""
    import contextlib

    with contextlib.suppress(ValueError, AttributeError):  # closed, or none at all
        return sys.stdin.isatty() and sys.stderr.isatty()
    return False
