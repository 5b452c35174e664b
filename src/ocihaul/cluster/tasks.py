"""Tasks on the workers: a bounded number under way, what came of them as they end.

One thread brings tasks and hears of their ends; so the memory for them is bounded by what is under
way, and nothing needs a lock. What Dask does not mend (a task that several workers died with, a
worker that is unfit or whose network is broken) is brought again, elsewhere. All that is asked of
the scheduler goes through `Scheduler`, so that no question outlives it.
"""

import concurrent.futures
import math
import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from ocihaul.cluster.jobs import Job, TaskResult, WorkerFault, run_task, stop_job
from ocihaul.cluster.workers import NoWorkerLeft, Workers
from ocihaul.errors import (
    ChecksumError,
    LocalFileError,
    NetworkError,
    OcihaulError,
    SourceError,
    TransferCancelled,
)
from ocihaul.events import Listener, Notice
from ocihaul.threads import started

if TYPE_CHECKING:
    import distributed

#: Tasks under way for each thread of the workers: one at work, and one that waits.
_FOR_EACH_THREAD = 2
#: Seconds between two looks at a stop, at the scheduler and at the workers that are there.
_GLANCE = 0.2
#: How long Dask may take to see that the scheduler has gone, seconds.
_NOTICE = 2.0
#: How long workers may take to end what they are at: put it on their disks, or stop. Seconds.
_PATIENCE, _HURRY = 120.0, 5.0
#: How often a task is brought again that Dask has given up, as workers died with it. Dask itself
#: tries four times.
_MOST_DEATHS = 25
#: How often one is brought again after a failure that may be its worker's.
_MOST_FAILURES = 5

#: What Dask raises when the scheduler has gone; its streams have other errors, too, at that moment.
_GONE = (OSError, CommClosedError, concurrent.futures.CancelledError)

P = TypeVar("P")
R = TypeVar("R")

#: Failures that another worker need not have.
_OF_WORKER = (
    ChecksumError,
    LocalFileError,
    NetworkError,
    SourceError,
    TransferCancelled,
    WorkerFault,
)


@dataclass(frozen=True, slots=True)
class TaskUnderWay(Generic[P]):
    """A task that is under way: what it brings along, and where it must not go."""

    payload: P
    without: frozenset[str] = field(default_factory=frozenset)
    deaths: int = 0
    failures: int = 0


class SchedulerLost(NetworkError):
    """The scheduler has gone, and with it all that was under way."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the Dask scheduler at {address} cannot be reached any more",
            hint="What is finished is kept: the same command, run again with or without "
            "`executor`, goes on.",
        )


class Tasks(Generic[P]):
    """The tasks of one job. Use it as a context, in one thread.

    `handle` gets the payload and the answer of each that has ended. `check` is called now and then,
    and may raise. `eager` and `same_version` are as for `Workers`.
    """

    def __init__(
        self,
        cluster: "distributed.Client",
        job: Job,
        handle: Callable[[P, TaskResult], None],
        *,
        stop: threading.Event,
        listener: Listener,
        patience: float,
        check: Callable[[], None] | None = None,
        eager: bool = True,
        same_version: set[str] | None = None,
    ) -> None:
        self._cluster = cluster
        self._job = job
        self._handle = handle
        self._check = check
        self._listener = listener
        self._scheduler = Scheduler(cluster, stop)
        self.workers = Workers(
            cluster,
            job,
            self._scheduler.ask,
            listener=listener,
            patience=patience,
            eager=eager,
            same_version=same_version,
        )
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._under_way: dict[str, tuple[TaskUnderWay[P], Any, list[str] | None]] = {}
        self._answered: set[str] = set()
        self._count = 0

    def __enter__(self) -> Self:
        self.workers.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._close()

    def put(self, payload: P) -> None:
        """Bring one; waits while there are enough. Raises what `handle` raises, SchedulerLost."""
        while self._under_way and len(self._under_way) >= self._window:
            self._step(_GLANCE)
        self._submit(TaskUnderWay(payload))
        while not self._ended.empty():
            self._step(0.0)

    def finish(self) -> None:
        """Wait for all. Raises as `put`."""
        while self._under_way:
            self._step(_GLANCE)

    def leave_out(self, address: str, reason: str) -> None:
        """Give this worker nothing any more."""
        self.workers.leave_out(address, reason)

    def again(self, payload: P, *, without: frozenset[str]) -> None:
        """Bring one again, not to these addresses. Raises NoWorkerLeft."""
        self._submit(TaskUnderWay(payload, without))

    @property
    def _window(self) -> int:
        return max(_FOR_EACH_THREAD * self.workers.threads, 1)

    def _submit(self, sent: TaskUnderWay[P]) -> None:
        self._check_stop()
        self._count += 1
        key = f"ocihaul-{self._job.id}-{self._count}"
        self.workers.look()
        only = self.workers.allowed(sent.without)
        future = self._cluster.submit(
            run_task, self._job, sent.payload, key=key, workers=only, pure=False
        )
        self._under_way[key] = sent, future, only
        future.add_done_callback(self._ended.put)

    def _step(self, timeout: float) -> None:
        """Hear of those that have ended."""
        self._check_stop()
        ended = []
        try:
            ended.append(self._ended.get(timeout=timeout) if timeout else self._ended.get_nowait())
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            pass
        self.workers.look()
        self._free_stuck()
        known = [each for each in ended if each.key in self._under_way]
        outcomes = self._scheduler.ask(lambda: self._outcomes(known)) if known else []
        for future, outcome in outcomes:
            if future.key not in self._under_way:
                continue
            if isinstance(outcome, TaskResult):
                self._one_ended(future.key, outcome)
            elif isinstance(outcome, BaseException):
                self._given_up(future.key, outcome)
            elif future.status == "cancelled":
                raise SchedulerLost(self._scheduler.address)
            else:  # its worker has died with the answer: Dask has it done again
                future.add_done_callback(self._ended.put)

    def _outcomes(self, futures: list[Any]) -> list[tuple[Any, Any]]:
        """The answer of each, or the error that it ended with; None where it has not ended."""
        good = [each for each in futures if each.status == "finished"]
        try:
            answers = dict(zip(good, self._cluster.gather(good), strict=True))
        except Exception:  # noqa: BLE001  of one of them: each is asked for by itself
            answers = {}
        return [(each, answers.get(each) or _outcome(each)) for each in futures]

    def _free_stuck(self) -> None:
        """Bring again what only workers may do that have gone: Dask would wait for them."""
        for key, (sent, future, only) in list(self._under_way.items()):
            if only is not None and not self.workers.present(only):
                del self._under_way[key]
                self._scheduler.ask(partial(self._cluster.cancel, [future]))
                self._submit(sent)

    def _one_ended(self, key: str, answer: TaskResult) -> None:
        sent, future, _ = self._under_way.pop(key)
        future.release()
        self.workers.name(answer.address, answer.worker)
        self._answered.add(answer.address)
        if answer.refused is not None:
            self.workers.leave_out(answer.address, answer.refused)
            self._submit(replace(sent, without=sent.without | {answer.address}))
        elif isinstance(answer.error, _OF_WORKER):
            self._failed(sent, answer)
        elif answer.error is not None:
            raise answer.error
        else:
            self._handle(sent.payload, answer)

    def _failed(self, sent: TaskUnderWay[P], answer: TaskResult) -> None:
        """Have it done elsewhere, if there is another worker."""
        error = answer.error
        if error is None:
            return
        without = sent.without | {answer.address}
        if sent.failures + 1 >= _MOST_FAILURES:
            raise error
        named = self.workers.named(answer.address)
        self._listener(Notice(f"{named} has failed, its task goes to another: {error.message}."))
        try:
            self._submit(replace(sent, without=without, failures=sent.failures + 1))
        except NoWorkerLeft:
            raise error from None

    def _given_up(self, key: str, error: BaseException | None) -> None:
        """A task without an answer: workers have died with it, or it could not be begun there."""
        sent, _, _ = self._under_way.pop(key)
        most = _MOST_DEATHS if isinstance(error, KilledWorker) else _MOST_FAILURES
        if sent.deaths >= most:
            raise OcihaulError(
                f"workers fail with one task again and again: {type(error).__name__}: {error}",
                hint="Look at the workers' logs: they may lack memory.",
            )
        if not isinstance(error, KilledWorker):
            text = f"A task could not be done: {type(error).__name__}: {error}"
            self._listener(Notice(text))
        self._submit(replace(sent, deaths=sent.deaths + 1))

    def _check_stop(self) -> None:
        if self._check is not None:
            self._check()
        self._scheduler.check()

    def _close(self) -> None:
        """Cancel what is under way, and have the workers end what they keep for the job."""
        futures = [future for _, future, _ in self._under_way.values()]
        self._under_way.clear()
        if not self._scheduler.is_there or not self._count:
            return
        unstopped = Scheduler(self._cluster, threading.Event())
        # Those that are at it may be any; at the end they are those that have answered.
        at_it = (
            None if futures else [each for each in self._answered if self.workers.present([each])]
        )
        if at_it == []:
            return
        try:
            if futures:
                cancel = partial(self._cluster.cancel, futures, force=True)
                unstopped.ask_within(cancel, _HURRY)
            stop = partial(self._cluster.run, stop_job, self._job.id, on_error="ignore")
            within = _HURRY if futures else _PATIENCE
            if unstopped.ask_within(lambda: stop(workers=at_it), within) is None:
                self._listener(Notice("Not all workers have told that they have ended."))
        except SchedulerLost:
            return  # no worker can be told any more


def _outcome(future: Any) -> Any:
    """One answer, or the error that it ended with; None where there is neither (yet)."""
    if future.status == "error":
        return future.exception()
    if future.status != "finished":
        return None
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001  told to who brought it
        if future.status in {"finished", "error"}:
            return error
        return None


class Scheduler:
    """Questions to the scheduler that end when it has gone.

    Dask itself tries to connect again for as long as its timeout, and holds the caller meanwhile.
    """

    def __init__(self, cluster: "distributed.Client", stop: threading.Event) -> None:
        self._cluster = cluster
        self._stop = stop
        self.address = str(cluster.scheduler.address)

    @property
    def is_there(self) -> bool:
        """Whether the connection to it stands."""
        return bool(self._cluster.status == "running")

    def check(self) -> None:
        """Raise SchedulerLost, TransferCancelled."""
        if self._stop.is_set():
            raise TransferCancelled("stopped while workers were at it")
        if not self.is_there:
            raise SchedulerLost(self.address)

    def ask(self, question: Callable[[], R]) -> R:
        """The answer. Raises SchedulerLost, TransferCancelled."""
        return cast("R", self._asked(question, math.inf))

    def ask_within(self, question: Callable[[], R], seconds: float) -> R | None:
        """The answer; None where there is none in time. Raises as `ask`."""
        return self._asked(question, seconds)

    def _asked(self, question: Callable[[], R], seconds: float) -> R | None:
        until = time.monotonic() + seconds
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def asking() -> None:
            try:
                answers.put((True, question()))
            except BaseException as error:  # noqa: BLE001  raised below
                answers.put((False, error))

        if not started(threading.Thread(target=asking, name="ocihaul-dask", daemon=True)):
            asking()
        while time.monotonic() < until:
            self.check()
            try:
                good, answer = answers.get(timeout=_GLANCE)
            except queue.Empty:
                continue
            if good:
                return cast("R", answer)
            if not isinstance(answer, OcihaulError) and self._has_gone(answer):
                raise SchedulerLost(self.address) from answer
            raise cast("BaseException", answer)
        return None

    def _has_gone(self, error: BaseException) -> bool:
        """Whether that is what its end looks like: any error may, if the connection soon ends."""
        until = time.monotonic() + _NOTICE
        while not isinstance(error, _GONE) and self.is_there:
            if time.monotonic() > until:
                return False
            time.sleep(_GLANCE)  # Dask does not tell when its connection ends
        return True


def new_id() -> str:
    """A name for a job that no other has."""
    return uuid.uuid4().hex[:12]
