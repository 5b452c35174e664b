"""Questions to a scheduler that goes away: Dask has many errors for that, and we have one."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocihaul.cluster.executor import ClusterExecutor
from ocihaul.cluster.tasks import Scheduler, SchedulerLost
from ocihaul.cluster.workers import Workers
from ocihaul.errors import NetworkError, TransferCancelled, UsageError
from ocihaul.events import Notice
from tests.support import Recorder


def scheduler(stop: threading.Event | None = None) -> tuple[Scheduler, Any]:
    cluster = SimpleNamespace(status="running", scheduler=SimpleNamespace(address="tls://x:1"))
    return Scheduler(cast("Any", cluster), stop or threading.Event()), cluster


def test_an_error_of_a_stream_whose_connection_then_ends_is_the_end_of_the_scheduler() -> None:
    asked, cluster = scheduler()

    def question() -> None:
        threading.Timer(0.3, setattr, (cluster, "status", "connecting")).start()
        raise ValueError("IOStream is not idle; cannot convert to SSL")

    with pytest.raises(SchedulerLost) as caught:
        asked.ask(question)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.slow
def test_an_error_while_the_connection_stands_is_that_error() -> None:
    asked, _ = scheduler()

    def question() -> None:
        raise ValueError("no such key")

    with pytest.raises(ValueError, match="no such key"):
        asked.ask(question)


def test_our_own_errors_and_answers_go_through() -> None:
    asked, _ = scheduler()

    def question() -> None:
        raise UsageError("ours")

    assert asked.ask(lambda: 7) == 7
    with pytest.raises(UsageError, match="ours"):
        asked.ask(question)


def test_a_scheduler_that_has_gone_is_not_waited_for() -> None:
    asked, cluster = scheduler()
    cluster.status = "closed"
    never = threading.Event()
    with pytest.raises(SchedulerLost, match="tls://x:1"):
        asked.ask(never.wait)
    never.set()


def test_a_stop_ends_a_question_that_is_not_answered() -> None:
    stop = threading.Event()
    asked, _ = scheduler(stop)
    never = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(TransferCancelled):
        asked.ask(never.wait)
    never.set()


def test_a_question_with_a_limit_has_no_answer_after_it() -> None:
    asked, _ = scheduler()
    never = threading.Event()
    assert asked.ask_within(never.wait, 0.3) is None
    never.set()


def test_how_many_may_be_under_way_is_asked_of_a_scheduler_that_may_go() -> None:
    _, cluster = scheduler()
    call: Any = SimpleNamespace(stop=threading.Event())
    executor = ClusterExecutor(cluster, cast("Any", None), call)
    cluster.scheduler_info = lambda **_: {"workers": {"a": {"nthreads": 3}}}
    assert executor.slots == 6

    def gone(n_workers: int) -> None:
        raise OSError(f"asked for {n_workers}, connection closed")

    cluster.scheduler_info = gone
    with pytest.raises(SchedulerLost):
        _ = executor.slots


@pytest.mark.parametrize(
    ("there", "text"),
    [({}, "no worker in the cluster:"), ({"tls://w:1": None}, "no worker in the cluster that can")],
)
def test_workers_that_are_left_out_are_not_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, None], text: str
) -> None:
    now, heard = 100.0, Recorder()
    monkeypatch.setattr("ocihaul.cluster.workers.time.monotonic", lambda: now)
    info = {"workers": {address: {"nthreads": 1, "name": "w"} for address in there}}
    cluster: Any = SimpleNamespace(scheduler_info=lambda **_: info)
    found = Workers(
        cluster,
        cast("Any", None),
        lambda question: question(),
        listener=heard,
        patience=10.0,
        eager=False,
        same_version=set(there),
    )
    for address in there:
        found.leave_out(address, "it has another disk")
    now += 2
    found.look()
    assert text in heard.of(Notice)[-1].text
    now += 11
    with pytest.raises(NetworkError, match="for 10 s") as caught:
        found.look()
    assert text.removesuffix(":") in caught.value.message
