"""Running a program in our place: its signals, its exit status, its streams.

The child stays in our process group. What the terminal sends (Ctrl-C, a new size) the kernel gives
to the whole group, so it has the child already and is not passed on; what somebody sends to our
process alone is. So is a hang-up that finds us leading the session (`ssh -t host ocihaul exec …`):
the kernel tells the leader only. The two are told apart by the signal's origin, which a handler
does not learn and `sigtimedwait` does. So the signals are blocked in every thread of ours and
waited for in the main one, and the child starts with none blocked.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence

NOT_EXECUTABLE = 126
NOT_FOUND = 127

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGUSR1", "SIGUSR2")
_PASSED = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
#: `si_code` of a signal that the kernel sent by itself, such as for a key pressed (Linux: 0x80).
_FROM_KERNEL = 0x80
#: How often the child is looked at although nothing was heard of it, seconds.
_LOOK_EVERY = 1.0


class CannotRun(Exception):
    """The program was not started; `code` is what a shell would exit with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def has_signal_waits() -> bool:
    """Whether this system can tell who sent a signal."""
    return hasattr(signal, "sigtimedwait") and hasattr(os, "posix_spawnp")


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Keep the signals for `run_child`. Enter it before any thread is started."""
    if not has_signal_waits():
        yield
        return
    waited = {*_PASSED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_child(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end, inside `blocked_signals`; its exit status, 128+n for a signal.

    Raises CannotRun when it cannot be started.
    """
    try:
        if not has_signal_waits():
            return _run_plainly(argv, environ)
        # Python ignores these two; the child is to find them as every program does.
        undone = [signal.SIGPIPE, signal.SIGXFSZ]
        child = os.posix_spawnp(argv[0], list(argv), environ, setsigmask=[], setsigdef=undone)
    except (FileNotFoundError, NotADirectoryError):
        raise CannotRun(NOT_FOUND, f"{argv[0]}: command not found") from None
    except OSError as error:
        raise CannotRun(NOT_EXECUTABLE, f"{argv[0]}: {error.strerror}") from None
    except ValueError as error:  # a NUL in an argument or in the environment
        raise CannotRun(NOT_EXECUTABLE, f"{argv[0]}: {error}") from None
    return _wait_for(child)


def _wait_for(child: int) -> int:
    waited = {*_PASSED, signal.SIGCHLD}
    while True:
        heard = signal.sigtimedwait(waited, _LOOK_EVERY)
        if heard is not None and heard.si_signo in _PASSED and not _has_reached_all(heard):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, heard.si_signo)
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _has_reached_all(heard: signal.struct_siginfo) -> bool:
    """Whether the kernel has given it to the child as well."""
    told_alone = heard.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
    return heard.si_code == _FROM_KERNEL and not told_alone


def _run_plainly(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Without signal waits: Ctrl-C reaches the child by itself, and is not ours to act on."""
    with subprocess.Popen(list(argv), env=dict(environ)) as child:  # noqa: S603  what was asked for
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                code = child.wait()
                return code if code >= 0 else 128 - code
