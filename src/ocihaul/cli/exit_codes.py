"""What the process's exit status says to a script, and which error leads to which.

0 done; 1 failed; 2 the command line is wrong; 75 stopped but resumable (the same command, run
again, goes on); 130 a person or the system asked us to stop; 141 the reader of our output has gone.
"""

from collections.abc import Iterable

from ocihaul.errors import OcihaulError, TransferCancelled, UsageError

DONE = 0
FAILED = 1
USAGE = 2
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
UNREAD = 141  # 128 + SIGPIPE: `head` has enough, which is no failure that needs a message


def worst(codes: Iterable[int]) -> int:
    """The status of several things that were done: a failure outweighs what may work later."""
    rest = set(codes)
    return next((code for code in (FAILED, RESUMABLE) if code in rest), max(rest, default=DONE))


def exit_code(error: BaseException) -> int:
    """The status for `error`; what chained it counts where it was a request to stop."""
    if any(isinstance(link, (TransferCancelled, KeyboardInterrupt)) for link in chain(error)):
        return INTERRUPTED
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, OcihaulError) and error.resumable:
        return RESUMABLE
    return FAILED


def chain(error: BaseException) -> list[BaseException]:
    """`error` and its causes, the outermost first."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__
    return links
