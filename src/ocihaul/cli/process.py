"""The process around a command line: its encoding, its interrupts, its exit status.

It works in UTF-8 whatever the locale, and is quiet when it is interrupted. Its environment, home
and terminal are here, too, as values: where `cli/` looks at them. Where ocihaul differs from the
official CLI on purpose and a script wants it not to, `OCIHAUL_COMPAT=official` turns that off, all
at once: docs/compatibility.md has the table, with the flags that do the same one by one.

What the exit status says to a script: 0 done; 1 failed; 2 the command line is wrong; 75 stopped but
resumable (the same command, run again, goes on); 130 a person or the system asked us to stop; 141
the reader of our output has gone.

Nothing is imported here that is not in the interpreter already: until its handler is there, Python
answers Ctrl-C with a traceback.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its import
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import FrameType

    from ocihaul.errors import OcihaulError


DONE = 0
FAILED = 1
USAGE = 2
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
UNREAD = 141  # 128 + SIGPIPE: `head` has enough, which is no failure that needs a message

_COMPAT = "OCIHAUL_COMPAT"
_OFFICIAL = "official"

#: What Python sets, for itself, where nothing else was asked for.
_PYTHONS = (_signal.default_int_handler, _signal.SIG_DFL)
_SIGNALS = (_signal.SIGINT, _signal.SIGTERM)


def hear_interrupts() -> None:
    """Let Ctrl-C and SIGTERM end the process with 130, and without a word.

    A command that has something to bring to an end has handlers of its own (see `stopping`).
    Signals that our parent has switched off stay off.
    """
    report = sys.unraisablehook

    def unraisable(event: "sys.UnraisableHookArgs", /) -> None:
        if event.exc_type is KeyboardInterrupt:  # it came in a callback, which cannot raise it
            os._exit(INTERRUPTED)
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
            os._exit(INTERRUPTED)
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


def worst(codes: "Iterable[int]") -> int:
    """The status of several things that were done: a failure outweighs what may work later."""
    rest = set(codes)
    return next((code for code in (FAILED, RESUMABLE) if code in rest), max(rest, default=DONE))


def code_of_one(code: int) -> int:
    """The status of one of several that has failed: the command line was good for the others."""
    return FAILED if code == USAGE else code


def exit_code(error: BaseException) -> int:
    """The status for `error`; what chained it counts where it was a request to stop."""
    from ocihaul.errors import OcihaulError, TransferCancelled, UsageError

    if any(isinstance(link, (TransferCancelled, KeyboardInterrupt)) for link in chain(error)):
        return INTERRUPTED
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, OcihaulError) and error.resumable:
        return RESUMABLE
    return FAILED


def is_of_one(error: "OcihaulError", *, one_bucket: bool = True) -> bool:
    """Whether it is about one object or file of several, so that the others can be done.

    `one_bucket`: all are in the same bucket, and one that is missing is about all of them.
    """
    import errno

    from ocihaul import errors

    if isinstance(error, errors.ServiceError):
        of_bucket = one_bucket and error.code in {"BucketNotFound", "NamespaceNotFound"}
        return 400 <= error.status < 500 and error.status not in {401, 429} and not of_bucket
    cause = error.__cause__
    if isinstance(cause, errors.OcihaulError) and not is_of_one(cause, one_bucket=one_bucket):
        return False
    disk = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
    if isinstance(cause, OSError) and cause.errno in disk:
        return False
    met_by_all = (
        errors.SessionError,
        errors.TransferCancelled,
        errors.ConfigError,
        errors.NetworkError,
        errors.JournalError,
        errors.SpoolError,
        errors.TooManyThreadsError,
    )
    return not isinstance(error, met_by_all)


def chain(error: BaseException) -> list[BaseException]:
    """`error` and its causes, the outermost first."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__
    return links


def mimics_official_cli(environ: "Mapping[str, str] | None" = None) -> bool:
    """Whether OCIHAUL_COMPAT wants the official CLI's behaviour. Raises UsageError."""
    value = (os.environ if environ is None else environ).get(_COMPAT, "")
    if value not in {"", _OFFICIAL}:
        from ocihaul.errors import UsageError

        raise UsageError(f"{_COMPAT}: {value!r} (it can be {_OFFICIAL!r})", hint="Or unset it.")
    return value == _OFFICIAL


def official_code(code: int) -> int:
    """An exit status as the official CLI has it: it knows neither 75 nor a 2 of its commands."""
    return FAILED if code in {USAGE, RESUMABLE} else code
