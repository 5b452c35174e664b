"""Lines of logs as runs: what is counted, what is left out, and what may be wrong with a log."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocihaul.report import runs
from ocihaul.report.records import Unreadable, read_record
from ocihaul.report.runs import NO_RESULT, LogReader, Run
from ocihaul.report.timeline import COLUMNS, LANES
from tests.nights import BEGAN, MIB, LoggedRun, a_night


def runs_of(*files: list[str]) -> list[Run]:
    reader = LogReader()
    for lines in files:
        reader.read(lines)
    return reader.runs


def the_run(*files: list[str]) -> Run:
    (run,) = runs_of(*files)
    return run


def test_a_night_is_what_its_log_says() -> None:
    run = the_run(a_night(parts=30, connections=3).lines)
    assert (run.command, run.object, run.state, run.version) == (
        "put",
        "backups/db.tar",
        "done",
        "1.0",
    )
    assert run.began == BEGAN
    counts = run.counts
    assert (counts.renewals, counts.rejections, counts.retries) == (2, 1, 1)
    assert (run.bytes, counts.moved, run.size) == (30 * MIB, 30 * MIB, 30 * MIB)
    assert [token.generation for token in run.tokens] == [1, 2, 3]
    assert run.timeline is not None
    assert len(run.timeline.lanes) == 3
    spans = [span for lane in run.timeline.lanes for span in lane]
    assert sum(span.size for span in spans) == 30 * MIB
    assert {span.label for span in spans} == {f"part {number}" for number in range(1, 31)}
    assert sum(run.timeline.moved) == pytest.approx(30 * MIB)
    assert {mark.kind for mark in run.timeline.marks} == {"401", "retry"}


def test_a_killed_run_has_no_result_and_counts_what_it_did() -> None:
    night = a_night(parts=30, connections=3)
    kept = [line for line in night.lines if '"result"' not in line]
    killed = [*kept, kept[-1][:40]]  # torn
    reader = LogReader()
    reader.read(killed)
    (run,) = reader.runs
    assert (run.state, run.is_good, reader.broken) == (NO_RESULT, False, 1)
    assert (run.counts.renewals, run.counts.rejections, run.counts.retries) == (2, 1, 1)
    assert run.bytes == 30 * MIB


def test_what_the_next_run_writes_behind_a_torn_line_is_read() -> None:
    killed = a_night(run="a" * 16).lines[:20]
    after = a_night(run="b" * 16, began=BEGAN + timedelta(hours=1)).lines
    torn = [*killed[:-1], killed[-1][:50] + after[0], *after[1:]]
    assert [run.state for run in runs_of(torn)] == ["done", NO_RESULT]


def test_two_runs_at_once_in_one_file_stay_apart() -> None:
    one = a_night(run="a" * 16, parts=20)
    two = a_night(run="b" * 16, parts=40, began=BEGAN + timedelta(seconds=3))
    mixed = sorted(one.lines + two.lines, key=lambda line: str(json.loads(line)["time"]))
    assert [run.bytes for run in runs_of(mixed)] == [40 * MIB, 20 * MIB]


def test_the_same_log_given_twice_counts_once() -> None:
    lines = a_night(parts=30).lines
    once, yesterday = the_run(lines), lines[: len(lines) // 2]
    for files in ([lines, lines], [yesterday, lines], [lines, yesterday]):
        run = the_run(*files)
        assert run.timeline is not None
        assert once.timeline is not None
        assert sum(run.timeline.moved) == pytest.approx(sum(once.timeline.moved))
        assert run.timeline.marks == once.timeline.marks
        assert run.counts == once.counts


def test_a_run_that_rotation_has_cut_is_one() -> None:
    lines = a_night(parts=30).lines
    run = the_run(lines[:25], lines[25:])
    assert (run.state, run.began) == ("done", BEGAN)
    assert run.timeline is not None
    assert sum(run.timeline.moved) == pytest.approx(30 * MIB)
    later = the_run(lines[25:])  # its first half is gone
    assert abs((later.began - BEGAN).total_seconds()) < 0.01  # a line's time has milliseconds


def without_run(lines: list[str]) -> list[str]:
    records = [json.loads(line) for line in lines]
    kept = [{k: v for k, v in each.items() if k not in {"run", "elapsed"}} for each in records]
    return [json.dumps(each) for each in kept]


def test_logs_of_before_lines_named_their_run_are_read() -> None:
    first = without_run(a_night(parts=20).lines[:30])
    second = without_run(a_night(parts=20, began=BEGAN + timedelta(hours=2)).lines)
    found = runs_of(first + second, first + second)
    assert [run.state for run in found] == ["done", NO_RESULT]
    assert found[0].seconds == pytest.approx(20.3, abs=0.1)
    assert found[0].timeline is not None
    assert sum(found[0].timeline.moved) == pytest.approx(20 * MIB)


@pytest.mark.parametrize(("jump", "words"), [(3600.0, "ahead by 1 h 00 min"), (-7200.0, "back")])
def test_a_clock_that_is_set_moves_nothing(jump: float, words: str) -> None:
    night = LoggedRun()
    night.attempt(5.0)
    night.ahead = jump
    night.attempt(10.0, seconds=2.0)
    night.result(12.0)
    run = the_run(night.lines)
    assert run.seconds == 12.0
    assert run.length == 12.0
    assert run.timeline is not None
    (mark,) = run.timeline.marks
    assert (mark.kind, mark.at) == ("clock", 10.0)
    assert words in mark.text


def test_waits_stalls_and_what_went_twice() -> None:
    night = LoggedRun()
    night.token(0.1, 1, "start")
    night.attempt(4.0, status=None, size=3 * MIB, stalled=True, connection=2)
    night.resent(4.1, 7, 3 * MIB)
    night.pause(5.0, 65.0)
    night.pause(70.0, None)
    night.say(71.0, "session_paused", reason="still", until=0, cure=None)
    run = the_run(night.lines)
    assert [(pause.start, pause.end) for pause in run.pauses] == [(5.0, 65.0), (70.0, None)]
    assert (run.stalls, run.counts.resent) == (1, 3 * MIB)
    assert run.timeline is not None
    assert {mark.kind for mark in run.timeline.marks} == {"stall", "resent"}
    ((span,),) = run.timeline.lanes
    assert (span.failed, span.connection) == (1, 2)
    assert sum(run.timeline.moved) == 0  # nothing of it counted


def test_documents_are_no_bytes_of_the_object() -> None:
    night = LoggedRun()
    night.attempt(5.0, operation="CommitMultipartUpload", size=500)
    run = the_run(night.lines)
    assert run.timeline is not None
    assert (run.counts.moved, run.timeline.lanes) == (0, [])


def test_what_is_not_known_shows_that_the_run_was_alive() -> None:
    night = LoggedRun()
    night.say(50.0, "coffee_made", cups=3)
    assert the_run(night.lines).elapsed == 50.0


LINE = json.loads(LoggedRun().lines[0])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", Unreadable.BROKEN),
        ("2026-11-27 02:00:01+09:00 backups/db.tar: uploading", Unreadable.BROKEN),
        ("[1]", Unreadable.BROKEN),
        ('{"schema": 1}', Unreadable.BROKEN),
        (json.dumps(LINE | {"time": "2026-11-27T02:00:00"}), Unreadable.BROKEN),
        (json.dumps(LINE | {"time": "9999-12-31T23:59:59-12:00"}), Unreadable.BROKEN),
        (json.dumps(LINE | {"event": 5}), Unreadable.BROKEN),
        (json.dumps(LINE | {"schema": 2}), Unreadable.LATER_SCHEMA),
    ],
)
def test_lines_that_are_none(line: str, why: Unreadable) -> None:
    assert read_record(line) is why


def test_runs_of_before_that_time_are_left_out() -> None:
    old = a_night(run="a" * 16, began=BEGAN - timedelta(days=40))
    new = a_night(run="b" * 16)
    reader = LogReader(since=BEGAN - timedelta(days=30))
    reader.read(old.lines + new.lines)
    assert [run.id for run in reader.runs] == ["b" * 16]


def test_a_run_may_be_left_out_as_it_is_known_already() -> None:
    reader = LogReader()
    own = a_night(run="a" * 16).lines
    for line in own:
        reader.add(line)
    reader.read(own + a_night(run="b" * 16).lines, without="a" * 16)
    assert sorted(run.bytes for run in reader.runs) == [60 * MIB, 60 * MIB]
    assert all(run.timeline and sum(run.timeline.moved) < 61 * MIB for run in reader.runs)


@pytest.mark.slow
def test_ten_thousand_parts_take_no_more_than_a_hundred() -> None:
    run = the_run(a_night(parts=10_000, connections=15).lines)
    assert run.timeline is not None
    assert len(run.timeline.moved) == COLUMNS
    spans = [span for lane in run.timeline.lanes for span in lane]
    assert len(run.timeline.lanes) == 15
    assert len(spans) <= 15 * COLUMNS
    assert sum(span.count for span in spans) == 10_000
    assert sum(span.size for span in spans) == 10_000 * MIB
    assert sum(run.timeline.moved) == pytest.approx(10_000 * MIB)


@pytest.mark.slow
def test_memory_is_bounded_whatever_happens() -> None:
    night = LoggedRun()
    for number in range(5000):
        at = 0.5 * number
        night.retry(at)
        night.resent(at, number, 5)
        night.attempt(
            at, seconds=0.01, connection=number, generation=number, status=[200, None][number % 2]
        )
        night.token(at, number)
        night.pause(at, at + 0.1)
    run = the_run(night.lines)
    assert run.timeline is not None
    assert len(run.timeline.lanes) <= LANES
    assert all(len(lane) <= 2 * COLUMNS for lane in run.timeline.lanes)
    assert len(run.timeline.marks) <= COLUMNS
    assert max(len(run.tokens), len(run.pauses)) <= 400
    assert run.counts.retries == 5000
    assert sum(mark.count for mark in run.timeline.marks if mark.kind == "retry") == 5000


def test_the_oldest_of_too_many_runs_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_RUNS", 5)
    monkeypatch.setattr(runs, "MOST_TIMELINES", 2)
    reader = LogReader()
    for number in range(8):
        began = BEGAN + timedelta(hours=number)
        reader.read(a_night(parts=2, run=f"{number:016}", began=began).lines)
    assert [run.id for run in reader.runs] == [f"{number:016}" for number in (7, 6, 5, 4, 3)]
    assert reader.left_out == 3
    assert [run.timeline is not None for run in reader.runs] == [True, True, False, False, False]
    assert reader.runs[4].bytes == 2 * MIB


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([*sorted(LINE), "size", "seconds"]), VALUES)
    )
)
def test_no_value_of_a_field_breaks_the_reading(changes: list[tuple[int, str, object]]) -> None:
    records = [json.loads(line) for line in a_night(parts=4).lines]
    for number, key, value in changes:
        records[number % len(records)][key] = value
    reader = LogReader()
    reader.read([json.dumps(each) for each in records])
    assert reader.lines + reader.broken + reader.later == len(records)


def test_a_command_with_several_transfers_is_no_run_of_its_own() -> None:
    run = a_night(run="a" * 16)
    whole = a_night(run="b" * 16)
    reader = LogReader()
    reader.read(run.lines + [json.dumps(json.loads(line) | {"sources": 2}) for line in whole.lines])
    assert [each.id for each in reader.runs] == ["a" * 16]
    assert (reader.broken, reader.lines) == (0, len(run.lines) + len(whole.lines))


def test_what_is_left_out_costs_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_MOST_KNOWN", 50)
    monkeypatch.setattr(runs, "MOST_RUNS", 20)
    monkeypatch.setattr(runs, "MOST_TIMELINES", 10)
    reader = LogReader(since=BEGAN)
    for number in range(400):
        began = BEGAN + timedelta(hours=number - 200)
        made = LoggedRun(name=f"b/{number}", began=began, run=f"{number:016}")
        made.result(5.0)
        reader.read(made.lines)
    assert [run.object for run in reader.runs] == [f"b/{399 - number}" for number in range(20)]
    assert reader.left_out == 180
    assert len(reader._ignored) <= 50
    unnamed = LogReader()
    unnamed.read(
        json.dumps(
            {"schema": 1, "time": BEGAN.isoformat(), "event": "begin", "object": f"b/{number}"}
        )
        for number in range(200)
    )
    assert len(unnamed._current) <= 50
    assert unnamed.runs[0].object.startswith("b/")
