"""Many jobs at a time, few in memory; what is wrong for all of them stops them all.

A file to send or an object to fetch is a value, and so is what came of it: they may go to another
machine and back. What decides (walk, list, compare) and what remembers is one process; sending and
fetching is done by any that has a storage client and sees the files.
"""

import errno
import itertools
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.errors import (
    ConfigError,
    JournalError,
    LocalFileError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionError,
    TransferCancelled,
)
from ocihaul.events import Listener
from ocihaul.storage.calls import Headers
from ocihaul.storage.values import ListedObject
from ocihaul.threads import all_ended, started
from ocihaul.transfer.download.context import RangeExecutor
from ocihaul.transfer.monitor import AdaptiveConcurrency
from ocihaul.transfer.upload.context import PartExecutor

Job = Callable[[], None]

#: Codes that are about the place, not about one object.
_PLACES = frozenset({"BucketNotFound", "NamespaceNotFound", "NotAuthenticated"})


#: A disk that is full, broken or gone: it is for the next file, too.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOENT}
#: How often a large job that waits looks whether more may be at work meanwhile, seconds.
_GLANCE = 0.25


def concerns_all(error: BaseException) -> bool:
    """Whether the next file would fail for the same reason."""
    if isinstance(error, ServiceError):
        return error.status == 401 or error.code in _PLACES
    if isinstance(error, OcihaulError):
        if isinstance(error.__cause__, OcihaulError) and concerns_all(error.__cause__):
            return True
        return isinstance(error, SessionError | TransferCancelled | ConfigError | JournalError)
    return True  # a fault of ours


def is_outage(error: BaseException) -> bool:
    """Whether the service was out of reach, for as long as one file is tried, or the disk."""
    if isinstance(error, LocalFileError) and isinstance(error.__cause__, OSError):
        return error.__cause__.errno in _DISK
    if isinstance(error, ServiceError):
        return error.status >= 500 or error.status == 429
    if isinstance(error.__cause__, OcihaulError) and is_outage(error.__cause__):
        return True
    return isinstance(error, NetworkError)


class FailurePolicy:
    """The first error that concerns all, and the outages in a row. Thread-safe.

    `most` outages without a success in between are one that concerns all. `interrupted` is an
    event of this run alone, which `stop` hears of; without one an interrupt stops nothing.
    """

    def __init__(
        self, most: int, stop: threading.Event, interrupted: threading.Event | None = None
    ) -> None:
        self._lock = threading.Lock()  # guards all below
        self._most = most
        self._row = 0
        self._stop = stop
        self._interrupted = interrupted or threading.Event()
        self.error: BaseException | None = None

    def judge(self, error: BaseException) -> bool:
        """True when `error` is one file's own."""
        with self._lock:
            if is_outage(error):
                self._row += 1
            if concerns_all(error) or self._row >= self._most:
                self.error = self.error or error
                return False
            return True

    def success(self) -> None:
        """The service is there."""
        self._row = 0

    def interrupt(self, error: BaseException) -> None:
        """End what is under way, too: a KeyboardInterrupt leaves no thread that goes on."""
        with self._lock:
            self.error = self.error or error
        self._interrupted.set()

    @property
    def stopped(self) -> bool:
        """Whether we were asked to stop, or interrupted."""
        return self._stop.is_set() or self._interrupted.is_set()

    @property
    def over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.error is not None or self.stopped

    def check(self) -> None:
        """Raise the error that concerns all, or TransferCancelled."""
        if self.error is not None:
            raise self.error
        if self.stopped:
            raise TransferCancelled("stopped between two files")


class Crew:
    """Workers for small jobs, and slots for large ones; leave the context to wait for them: not
    for long after a stop, which some cannot hear.

    A job reports its own failures; what it raises concerns all. A large job takes as many of
    `workers` slots as it has parts to send at a time, so large files never have more than
    `workers` parts in flight together, however many they are. With a `pace` there may be fewer of
    both; one that is for small jobs only (`small_only`) says how many of these are done at a time,
    and `workers` is for the large ones. Where there may be no thread for a job, another one does
    it: at the worst the one that brings them.
    """

    def __init__(
        self,
        workers: int,
        trouble: FailurePolicy,
        pace: AdaptiveConcurrency | None = None,
        *,
        small_only: bool = False,
    ) -> None:
        self._workers = workers
        self._small_only = small_only
        self._most = pace.most if pace is not None and small_only else workers
        self._trouble = trouble
        self._pace = pace
        self._drained = False  # there are no small jobs left
        self._small: Backlog[Job] = Backlog(max(2 * self._most, 32))
        self._large: queue.Queue[tuple[int, Job] | None] = queue.Queue(1000)
        self._threads: list[threading.Thread] = []
        self._dispatcher: threading.Thread | None = None
        self._parts: list[int] = []  # of the large jobs that run
        self._freed = threading.Condition()  # guards _parts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        if isinstance(value, Exception) and self._trouble.error is None:
            self._trouble.error = value
        elif isinstance(value, BaseException):
            self._trouble.interrupt(value)
        try:
            self._end()
        except BaseException as error:  # a KeyboardInterrupt in the midst of the wait
            self._trouble.interrupt(error)
            all_ended(self._threads, lambda: True)
            raise
        if kind is None:
            self._trouble.check()

    def _end(self) -> None:
        """Bring nothing more, and wait for what is under way."""
        self._small.end(len(self._threads))
        if self._dispatcher is not None:
            self._threads.append(self._dispatcher)
            self._large.put(None)
        all_ended(self._threads, lambda: self._trouble.stopped)

    def do(self, job: Job) -> None:
        """Have a small job done; waits while there are enough. Raises what concerns all."""
        self._trouble.check()
        if len(self._threads) < self._most:
            self._hire()
        if self._threads:
            self._small.put(job)
        else:
            self._run(job)

    def do_large(self, parts: int, job: Job) -> None:
        """Have a job done that has `parts` parts."""
        self._trouble.check()
        if self._dispatcher is None and started(thread := _thread(self._dispatch)):
            self._dispatcher = thread
        if self._dispatcher is not None:
            self._large.put((parts, job))
        else:
            self.do(job)

    def _allowed(self) -> int:
        """How many parts of large jobs may be on their way now."""
        if self._pace is None or self._small_only:
            return self._workers
        return min(self._workers, self._pace.target)

    def _hire(self) -> None:
        member = len(self._threads)
        if started(thread := _thread(lambda: self._work(member))):
            self._threads.append(thread)
        else:
            self._most = max(len(self._threads), 1)

    def _work(self, member: int) -> None:
        while self._has_turn(member):
            job = self._small.get()
            if job is None:
                self._drained = True
                if self._pace is not None:
                    self._pace.wake()
                return
            self._run(job)

    def _has_turn(self, member: int) -> bool:
        """Wait for this worker's turn; False when there will be none."""
        return self._pace is None or self._pace.wait_turn(member, self._is_ending)

    def _is_ending(self) -> bool:
        return self._drained or self._trouble.over

    def _run(self, job: Job) -> None:
        if self._trouble.over:
            return
        try:
            job()
        except BaseException as error:  # noqa: BLE001  told by whoever waits for the crew
            self._trouble.judge(error)
            self._trouble.error = self._trouble.error or error

    def _dispatch(self) -> None:
        running: list[threading.Thread] = []
        while (item := self._large.get()) is not None:
            parts, job = item
            with self._freed:
                while not self._has_room(parts):
                    self._freed.wait(None if self._pace is None else _GLANCE)
                self._parts.append(parts)
            running = [thread for thread in running if thread.is_alive()]
            thread = _thread(lambda parts=parts, job=job: self._run_large(parts, job))  # type: ignore[misc]
            if started(thread):
                running.append(thread)
            else:
                self._run_large(parts, job)
        for thread in running:
            thread.join()

    def _has_room(self, parts: int) -> bool:
        """Whether a large job of so many parts may run beside the others. One always may."""
        allowed = self._allowed()
        taken = sum(min(each, allowed) for each in self._parts)
        return not taken or taken + min(parts, allowed) <= allowed

    def _run_large(self, parts: int, job: Job) -> None:
        try:
            self._run(job)
        finally:
            with self._freed:
                self._parts.remove(parts)
                self._freed.notify_all()


def _thread(target: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=target, name="tree", daemon=True)


T = TypeVar("T")


class Backlog(Generic[T]):
    """A queue of at most about `3 * many` things, for one thread that brings and many that take.

    The first sleeps while it is full, and until there is room for `many`. To be woken for each
    thing that is taken would cost two switches between threads each time: 6 to 8 % of the CPU
    that a small file costs.
    """

    def __init__(self, many: int) -> None:
        self._many = many
        self._things: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._brought = 0
        self._taken = itertools.count(1)  # one step of it cannot be interrupted by another thread
        self._room = threading.Semaphore(2)  # each of them is room for `many`

    def put(self, thing: T) -> None:
        """Bring one; waits while there are enough."""
        self._things.put(thing)
        self._brought += 1
        if self._brought % self._many == 0:
            self._room.acquire()

    def get(self) -> T | None:
        """Take one, and wait for it; None when there will be no more."""
        thing = self._things.get()
        if next(self._taken) % self._many == 0:
            self._room.release()
        return thing

    def end(self, takers: int) -> None:
        """There is no more: each of so many takers hears it once."""
        for _ in range(takers):
            self._things.put(None)


#: What came of a file or an object.
DONE = "done"
#: It has the content of what it was compared with.
SAME = "same"
#: It has not, and nothing was sent or fetched: that was only to be compared.
DIFFERENT = "different"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SendFile:
    """A file to send. `path` is relative to the directory; a directory's ends with "/".

    `size` (bytes) and `mtime_ns` are what the walk has seen. With `compared` it is sent only if it
    differs from that object, and with `compare_only` not even then. `is_second`: another machine
    could not.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    preconditions: Headers = field(default_factory=dict)
    compared: ListedObject | None = None
    compare_only: bool = False
    is_second: bool = False

    @property
    def weight(self) -> int:
        """Bytes that it may move."""
        return self.size


@dataclass(frozen=True, slots=True)
class FetchObject:
    """An object to fetch to the relative `path`; with `compare` only if it is not that file."""

    there: ListedObject
    path: str
    compare: bool = False
    compare_only: bool = False
    is_second: bool = False

    @property
    def weight(self) -> int:
        """Bytes that it may move."""
        return self.there.size or 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: DONE, SAME, DIFFERENT, or FAILED with its `error`.

    `headers` are the service's; `mtime_ns` is the time of a file that was fetched.
    """

    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    mtime_ns: int = 0
    error: OcihaulError | None = None


Task = TypeVar("Task", SendFile, FetchObject)
T_contra = TypeVar("T_contra", contravariant=True)


class FileTasks(Protocol, Generic[T_contra]):
    """Takes tasks; what came of them is told as they end."""

    def do(self, task: T_contra) -> None:
        """Have it done; waits while there are enough under way. Raises what concerns all."""


class FileExecutor(PartExecutor, RangeExecutor, Protocol):
    """Other machines that send and fetch files, and parts of large ones.

    Each context is a run: `note` is called in the thread that calls `do`, once for each task, and
    leaving the context waits for all of them. What they do not see is given to `here` instead.
    """

    @property
    def slots(self) -> int:
        """How many parts of large files may be under way."""

    def sending(
        self,
        request: DirectoryUpload,
        note: Callable[[SendFile, Outcome], None],
        here: Callable[[SendFile], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> AbstractContextManager[FileTasks[SendFile]]:
        """Files of a directory that all of them see."""

    def fetching(
        self,
        request: DirectoryDownload,
        note: Callable[[FetchObject, Outcome], None],
        here: Callable[[FetchObject], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> AbstractContextManager[FileTasks[FetchObject]]:
        """Objects to a directory that all of them see."""
