"""Calls that are made ahead of their use, or several at a time."""

import threading
from collections.abc import Iterator

import pytest

from ocihaul.threads import Later, ahead, call_for_each


def test_items_come_in_their_order_and_each_is_asked_for_ahead() -> None:
    asked: list[int] = []
    third = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(5):
            asked.append(number)
            if number == 2:
                third.set()
            yield number

    items = ahead(numbers())
    assert [next(items), next(items)] == [0, 1]
    assert third.wait(30)
    assert asked == [0, 1, 2]
    assert list(items) == [2, 3, 4]


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise LookupError("no second one")

    items = ahead(numbers())
    assert next(items) == 1
    with pytest.raises(LookupError, match="no second one"):
        next(items)


def test_nothing_is_asked_for_before_the_first_item_is() -> None:
    items = iter(range(3))
    ahead(items)
    assert next(items) == 0


def test_where_there_may_be_no_thread_the_call_is_made_when_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    threads: list[threading.Thread] = []
    later = Later(lambda: threads.append(threading.current_thread()))
    assert threads == []
    later.result()
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_each_is_called_for_with_the_threads_that_there_may_be(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    really = threading.Thread.start
    began: list[str] = []

    def start(thread: threading.Thread) -> None:
        if len(began) >= most:
            raise RuntimeError("can't start new thread")
        began.append(thread.name)
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[int] = []
    call_for_each(iter(range(50)), done.append, parallel=7, name="w")
    assert sorted(done) == list(range(50))
    assert began == [f"w-{number}" for number in range(min(most, 7))]


@pytest.mark.parametrize("parallel", [1, 4])
def test_the_first_error_is_raised_and_nothing_is_begun_after_it(parallel: int) -> None:
    met: list[int] = []

    def call(number: int) -> None:
        met.append(number)
        if number == 3:
            raise LookupError("the third")
        if number > 3:
            raise AssertionError("after it")

    def numbers() -> Iterator[int]:
        yield from range(4)
        raise KeyError("the list itself")

    with pytest.raises((LookupError, KeyError)):
        call_for_each(numbers(), call, parallel=parallel, name="w")
    assert sorted(met) == [0, 1, 2, 3]
    with pytest.raises(LookupError, match="the third"):
        call_for_each([3], call, parallel=parallel, name="w")
