"""How many parts at a time: the rule against lines of different kinds, then the gate itself."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.errors import SourceError
from ocihaul.events import AttemptFinished, BytesSent, ignore
from ocihaul.transfer.checksum import Integrity
from ocihaul.transfer.monitor import (
    FIRST,
    MOST,
    MOST_SMALL,
    WINDOW,
    AdaptiveConcurrency,
    ConcurrencyTarget,
    for_directory,
)
from ocihaul.transfer.source import FileSource, Piece
from ocihaul.transfer.upload.part_uploader import PartUploader
from ocihaul.transport.message import Answer, Body
from tests.support import upload_context


def drive(
    line: Callable[[int], float],
    windows: int,
    *,
    busy: Callable[[int], bool] = lambda _: False,
    state: ConcurrencyTarget = ConcurrencyTarget(),  # noqa: B008  a frozen value
) -> list[int]:
    """The targets over time on a line that brings `line(connections)` bytes per second."""
    targets = []
    for _ in range(windows):
        target = state.target
        state = state.after(line(target), throttled=False, busy=busy(target))
        targets.append(state.target)
    return targets


def test_weakness_27_it_grows_while_each_connection_brings_more() -> None:
    assert drive(lambda n: 5e6 * n, 6)[-1] == MOST


def test_it_stays_near_where_the_line_is_full() -> None:
    targets = drive(lambda n: 5e6 * min(n, 20), 60)
    assert targets[10:].count(20) > 40  # the other windows are tries of more
    assert max(targets) == 40


def test_a_line_that_is_full_at_once_is_not_crowded() -> None:
    targets = drive(lambda _: 50e6, 60)
    assert targets.count(FIRST) > 50
    assert max(targets) == 2 * FIRST


def test_throttling_halves_and_makes_cautious() -> None:
    state = ConcurrencyTarget(target=32, kept=32, rate=1e8)
    state = state.after(1e8, throttled=True)
    assert state.target == 16
    for _ in range(20):
        state = state.after(1e8, throttled=False)
        assert state.target == 16
    assert state.after(1e8, throttled=False).target == 17


def test_it_never_falls_below_one() -> None:
    state = ConcurrencyTarget()
    for _ in range(10):
        state = state.after(0.0, throttled=True)
    assert state.target == 1


def test_a_full_processor_gets_fewer() -> None:
    """Each thread more only takes turns: 15 bring less than 4."""
    first = ConcurrencyTarget(15, 15, 15, 15)
    targets = drive(lambda n: 9e6 - 1e5 * n, 40, busy=lambda _: True, state=first)
    assert targets == [7, 4] + [4] * 38


def test_a_full_processor_keeps_what_each_of_them_brings() -> None:
    """The bytes are hashed outside of Python, say: half as many would bring half."""
    targets = drive(lambda n: 5e6 * n, 60, busy=lambda _: True)
    assert targets.count(FIRST) > 50
    assert min(targets) == FIRST // 2


def test_once_the_line_is_slow_there_are_as_many_again() -> None:
    state = ConcurrencyTarget(4, 4, 32, rate=9e6)
    assert drive(lambda n: 1e5 * n, 4, state=state) == [FIRST, 20, 32, 32]


def test_a_step_down_that_does_not_pay_is_rare() -> None:
    targets = drive(lambda n: 5e6 * n, 600, busy=lambda _: True)
    assert targets.count(FIRST) >= 590


@pytest.mark.parametrize("number", [15, 50, 64])
def test_after_throttling_it_comes_back_to_what_was_named(number: int) -> None:
    first = ConcurrencyTarget(number, number, number, number).after(1e8, throttled=True)
    assert first.target == number // 2
    targets = drive(lambda n: 5e6 * n, 20 + number, state=first)
    assert targets[-1] == number


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fewer_than_a_few_are_left_alone(number: int) -> None:
    state = ConcurrencyTarget(number, number, number, number)
    assert drive(lambda _: 9e6, 5, busy=lambda _: True, state=state) == [number] * 5


def answered(status: int) -> AttemptFinished:
    return AttemptFinished("UploadPart", "PUT", "/", status, None, None, 0.1, 1, 0)


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def test_the_gate_opens_for_more_workers_as_bytes_flow(clock: list[float]) -> None:
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    admitted = threading.Event()

    def worker() -> None:
        pace.wait_turn(FIRST, lambda: False)
        admitted.set()

    thread = threading.Thread(target=worker, daemon=True)
    thread.start()
    assert not admitted.wait(0.3)
    pace(BytesSent(1, 10**6))
    clock[0] += WINDOW
    pace(BytesSent(1, 10**6))
    assert admitted.wait(10)
    thread.join()


@pytest.mark.parametrize(("share", "after"), [(0.75, 30), (0.85, 7)])
def test_how_busy_the_process_is_is_measured(clock: list[float], share: float, after: int) -> None:
    pace = AdaptiveConcurrency(
        first=15, most=40, monotonic=lambda: clock[0], processor=lambda: share * clock[0]
    )
    pace(answered(200))
    clock[0] += WINDOW
    pace(answered(200))
    assert pace.target == after


def test_parts_of_large_files_are_not_fewer_for_a_full_processor(clock: list[float]) -> None:
    """One may last for many windows: none of them tells what fewer would bring."""
    pace = AdaptiveConcurrency(
        first=15, most=15, monotonic=lambda: clock[0], processor=lambda: 2 * clock[0]
    )
    for _ in range(20):
        pace(BytesSent(1, 10**6))
        pace(answered(200))
        clock[0] += WINDOW
    assert pace.target == 15


def test_of_small_files_alone_there_are_fewer_until_a_large_one_comes(clock: list[float]) -> None:
    pace = AdaptiveConcurrency(
        first=15, most=15, monotonic=lambda: clock[0], processor=lambda: clock[0]
    )
    for _ in range(5):
        for _ in range(100):
            pace(answered(200))
        clock[0] += WINDOW
    pace(answered(200))
    assert pace.target == 4
    pace(BytesSent(1, 10**6))
    clock[0] += WINDOW
    pace(answered(200))
    assert pace.target == 15


@pytest.mark.parametrize("adaptive", [False, None, True])
def test_a_directory_has_no_more_than_was_named(adaptive: bool | None) -> None:
    pace = for_directory(adaptive, 15)
    named = {False: (15, 15), None: (FIRST, MOST_SMALL), True: (FIRST, MOST)}
    assert (pace.target, pace.most) == named[adaptive]


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_that_asks_for_less_closes_the_gate(clock: list[float], status: int) -> None:
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    pace(BytesSent(1, 10**6))
    pace(answered(status))
    clock[0] += WINDOW
    pace(answered(200))
    pace(BytesSent(1, 1))
    assert pace.target == FIRST // 2


@pytest.mark.parametrize(
    ("count", "seconds"), [(10**6, 3600.0), (-(10**6), WINDOW)], ids=["a park", "sent again"]
)
def test_what_says_nothing_of_the_line_does_not_steer(
    clock: list[float], count: int, seconds: float
) -> None:
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    pace(BytesSent(1, 1000))
    clock[0] += seconds
    pace(BytesSent(1, count))
    assert pace.target == FIRST
    pace(BytesSent(1, 10**6))
    clock[0] += WINDOW
    pace(BytesSent(1, 10**6))
    assert pace.target > FIRST, "it goes on from there"


def test_workers_are_let_go_when_others_end_with_an_error(tmp_path: Path) -> None:
    """Of more workers than may work, none waits for ever."""
    (tmp_path / "x").write_bytes(bytes(200))

    def upload_part(*, number: int, body: Body) -> Answer:
        raise SourceError("gone")

    with FileSource(tmp_path / "x") as source:
        integrity = Integrity(declared=None, want_md5=False, listener=ignore)
        pieces = deque(Piece(number, source, 10 * number - 10, 10) for number in range(1, 21))
        context = upload_context(integrity, concurrency=AdaptiveConcurrency())
        uploader = PartUploader(context, upload_part, record=lambda *_: None)
        outcome: list[BaseException] = []

        def run() -> None:
            try:
                uploader.run(pieces.popleft, parallel=20)
            except SourceError as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert len(outcome) == 1


def test_a_worker_whose_work_is_over_is_let_go(clock: list[float]) -> None:
    over = threading.Event()
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    thread = threading.Thread(target=pace.wait_turn, args=[MOST, over.is_set], daemon=True)
    thread.start()
    over.set()
    thread.join(10)
    assert not thread.is_alive()


def test_answers_count_beside_the_bytes(clock: list[float]) -> None:
    """Small files are little else: nothing tells of their bytes."""
    pace = AdaptiveConcurrency(monotonic=lambda: clock[0])
    for _ in range(2):
        pace(answered(200))
        clock[0] += WINDOW
    pace(answered(404))
    assert pace.target == 2 * FIRST


def test_a_worker_is_told_whether_it_has_its_turn() -> None:
    pace = AdaptiveConcurrency()
    assert pace.wait_turn(FIRST - 1, lambda: True)
    assert not pace.wait_turn(FIRST, lambda: True)
