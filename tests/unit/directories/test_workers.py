"""Many jobs, few at a time, and what stops them."""

import threading
import time
from collections.abc import Callable, Iterable

import pytest

from ocihaul.directories import workers
from ocihaul.directories.workers import Crew, FailurePolicy, Job, concerns_all, is_outage
from ocihaul.errors import (
    LocalFileError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionExpiredError,
    SourceError,
    TransferCancelled,
    UploadIncompleteError,
)
from ocihaul.events import BytesSent
from ocihaul.transfer.monitor import FIRST, WINDOW, AdaptiveConcurrency


def service(status: int, code: str | None = None) -> ServiceError:
    return ServiceError(status=status, code=code, message="", operation="PutObject")


def feed(crew: Crew, jobs: Iterable[Job]) -> None:
    with crew:
        for job in jobs:
            crew.do(job)


def stopped(cause: OcihaulError) -> UploadIncompleteError:
    error = UploadIncompleteError("stopped", upload_id="u", resumable=True)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        SessionExpiredError("over"),
        TransferCancelled("stop"),
        service(401),
        service(404, "BucketNotFound"),
        stopped(SessionExpiredError("over")),
        ValueError("a fault of ours"),
    ],
)
def test_what_concerns_all(error: Exception) -> None:
    assert concerns_all(error)


@pytest.mark.parametrize(
    "error",
    [
        SourceError("one"),
        LocalFileError("one"),
        service(403),
        service(404, "ObjectNotFound"),
        service(412),
        service(503),
    ],
)
def test_what_is_one_files_own(error: Exception) -> None:
    assert not concerns_all(error)


def test_outages_in_a_row_concern_all() -> None:
    trouble = FailurePolicy(3, threading.Event())
    gone = NetworkError("gone")
    assert is_outage(stopped(gone))
    assert trouble.judge(gone)
    assert trouble.judge(service(503))
    trouble.success()
    assert trouble.judge(gone)
    assert trouble.judge(gone)
    assert not trouble.judge(gone)
    with pytest.raises(NetworkError):
        trouble.check()


def test_never_more_jobs_at_a_time_than_workers() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def job() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    with Crew(3, FailurePolicy(3, threading.Event())) as crew:
        for _ in range(50):
            crew.do(job)
    assert most == 3


def test_large_jobs_share_the_slots_by_their_parts() -> None:
    lock, parts_now, most = threading.Lock(), 0, 0

    def job(parts: int) -> None:
        nonlocal parts_now, most
        with lock:
            parts_now += parts
            most = max(most, parts_now)
        time.sleep(0.005)
        with lock:
            parts_now -= parts

    with Crew(4, FailurePolicy(4, threading.Event())) as crew:
        for parts in (1, 2, 2, 9, 1, 3, 4, 1) * 3:
            crew.do_large(parts, lambda parts=parts: job(min(parts, 4)))  # type: ignore[misc]
    assert most == 4


def test_what_a_job_raises_ends_the_crew_and_the_rest_is_not_begun() -> None:
    begun: list[int] = []

    def bad() -> None:
        raise SessionExpiredError("over")

    with pytest.raises(SessionExpiredError):
        feed(Crew(1, FailurePolicy(2, threading.Event())), [bad, *[lambda: begun.append(1)] * 1000])
    assert not begun


def test_a_stop_is_an_interruption() -> None:
    stop = threading.Event()
    with pytest.raises(TransferCancelled):
        feed(Crew(1, FailurePolicy(2, stop)), [stop.set, *[lambda: time.sleep(0.001)] * 1000])


def test_an_error_of_the_feeder_comes_through_and_ends_the_work() -> None:
    def jobs() -> Iterable[Job]:
        yield lambda: None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        feed(Crew(2, FailurePolicy(2, threading.Event())), jobs())


@pytest.mark.parametrize("large", [False, True])
def test_a_job_that_cannot_hear_a_stop_is_left_behind(large: bool) -> None:
    """As in getaddrinfo, or while a connection is opened in a network that is away."""
    stop, resolved = threading.Event(), threading.Event()

    def stuck() -> None:
        stop.set()
        resolved.wait()

    def bring() -> None:
        with Crew(3, FailurePolicy(3, stop)) as crew:
            if large:
                crew.do_large(1, stuck)
            else:
                crew.do(stuck)
            stop.wait(10)

    release = threading.Timer(5.0, resolved.set)  # who waits for ever is let go in the end
    release.start()
    with pytest.raises(TransferCancelled):
        bring()
    assert not resolved.is_set()
    release.cancel()
    resolved.set()


def waited(event: threading.Event) -> None:
    """Work that lasts until the event."""
    assert event.wait(20)


class Gauge:
    """How many are at it now, and the most there were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    def busy(self, many: int = 1) -> None:
        """A moment of work of so many."""
        with self._lock:
            self._now += many
            self.most = max(self.most, self._now)
        time.sleep(0.002)  # so that others come in beside it
        with self._lock:
            self._now -= many


def test_with_a_pace_there_are_no_more_at_a_time_than_it_allows() -> None:
    gauge = Gauge()
    feed(
        Crew(64, FailurePolicy(3, threading.Event()), AdaptiveConcurrency(monotonic=lambda: 0.0)),
        [gauge.busy] * 300,
    )
    assert gauge.most == FIRST


def test_there_are_more_at_a_time_when_the_pace_grows_behind_the_one_that_brings() -> None:
    clock, gauge = [0.0], Gauge()
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    brought = threading.Event()

    def grow() -> None:
        waited(brought)
        pace(BytesSent(1, 1))
        clock[0] += WINDOW
        pace(BytesSent(1, 1))

    with Crew(64, FailurePolicy(3, threading.Event()), pace) as crew:
        for _ in range(FIRST):
            crew.do(lambda: waited(brought))
        crew.do(grow)
        for _ in range(300):
            crew.do(gauge.busy)  # all of them are waiting before the first ends
        brought.set()
    assert FIRST < gauge.most <= 2 * FIRST


def test_large_jobs_share_what_the_pace_allows() -> None:
    gauge = Gauge()
    with Crew(
        64, FailurePolicy(4, threading.Event()), AdaptiveConcurrency(monotonic=lambda: 0.0)
    ) as crew:
        for parts in (1, 2, 2, 9, 1, 3, 4, 1) * 3:
            crew.do_large(parts, lambda parts=parts: gauge.busy(min(parts, FIRST)))  # type: ignore[misc]
    assert gauge.most == FIRST


def test_a_large_job_that_waits_for_room_begins_when_the_pace_grows() -> None:
    clock, first, second = [0.0], threading.Event(), threading.Event()
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    with Crew(64, FailurePolicy(4, threading.Event()), pace) as crew:
        crew.do_large(FIRST, lambda: waited(first))
        crew.do_large(FIRST, second.set)
        assert not second.wait(0.3)
        pace(BytesSent(1, 1))
        clock[0] += WINDOW
        pace(BytesSent(1, 1))
        assert second.wait(10)
        first.set()


def test_a_pace_for_small_jobs_leaves_the_large_ones_their_number() -> None:
    clock, small, large = [0.0], Gauge(), Gauge()
    pace = AdaptiveConcurrency(most=24, window=1.0, monotonic=lambda: clock[0])
    with Crew(7, FailurePolicy(4, threading.Event()), pace, small_only=True) as crew:
        for rate in (1, 2, 4):  # each level brings twice as much
            pace(BytesSent(1, rate))
            clock[0] += 1.0
            pace(BytesSent(1, rate))
        for _ in range(300):
            crew.do(small.busy)
        for parts in (1, 2, 2, 9, 1, 3, 4, 1) * 3:
            crew.do_large(parts, lambda parts=parts: large.busy(min(parts, 7)))  # type: ignore[misc]
    assert FIRST < small.most <= pace.target == 24
    assert large.most <= 7


@pytest.mark.parametrize("ends", ["a stop", "an error"])
def test_workers_without_a_turn_are_let_go_at_the_end(ends: str) -> None:
    stop, trouble = threading.Event(), SessionExpiredError("over")

    def last() -> None:
        if ends == "a stop":
            stop.set()
        else:
            raise trouble

    with pytest.raises(TransferCancelled if ends == "a stop" else SessionExpiredError):
        feed(
            Crew(64, FailurePolicy(3, stop), AdaptiveConcurrency(monotonic=lambda: 0.0)),
            [*[lambda: None] * 100, last, *[lambda: None] * 1000],
        )
    until = time.monotonic() + 20
    while any(each.name == "tree" for each in threading.enumerate()):
        assert time.monotonic() < until, "some wait for ever"
        time.sleep(0.01)  # nobody tells of the end of a thread that is not ours


def test_an_interrupt_ends_what_is_under_way() -> None:
    interrupted, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def large() -> None:
        begun.set()
        interrupted.wait(60)
        ended.set()

    def interrupt() -> None:
        with Crew(2, trouble) as crew:
            crew.do_large(2, large)
            assert begun.wait(30)
            raise KeyboardInterrupt

    trouble = FailurePolicy(2, interrupted, interrupted)
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert ended.wait(30)
    assert isinstance(trouble.error, KeyboardInterrupt)


def test_so_does_one_that_comes_while_the_end_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def large() -> None:
        begun.set()
        interrupted.wait(60)
        ended.set()

    calls = 0

    def all_ended(threads: list[threading.Thread], hurry: Callable[[], bool]) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            assert begun.wait(30)
            raise KeyboardInterrupt
        for thread in threads:
            thread.join(30)
        return hurry()

    monkeypatch.setattr(workers, "all_ended", all_ended)
    with (
        pytest.raises(KeyboardInterrupt),
        Crew(2, FailurePolicy(2, interrupted, interrupted)) as crew,
    ):
        crew.do_large(2, large)
    assert ended.is_set()
    assert calls == 2
