"""The first thing on the page: did the nights end well, and what is to be done."""

from datetime import timedelta

import pytest

from ocihaul.report.runs import LogReader
from ocihaul.report.verdict import ReportVerdict, verdict_of
from tests.nights import BEGAN, LoggedRun

MORNING = BEGAN + timedelta(hours=5)
LOST = (
    "Its log ends without a result: it was killed, or the machine went down. Run the same command "
    "again: what was finished is kept."
)
_RUNS = iter(range(10**6))


def run(
    state: str | None = "done",
    *,
    days: float = 0.0,
    name: str = "backups/db.tar",
    exit_status: int | None = None,
    reason: str = "",
    hints: tuple[str, ...] = (),
) -> LoggedRun:
    made = LoggedRun(name=name, began=BEGAN - timedelta(days=days), run=f"{next(_RUNS):016}")
    if reason:
        made.error(9.0, reason, *hints)
    if state is not None:
        good = state in {"done", "kept"}
        status = int(not good) if exit_status is None else exit_status
        made.result(10.0, state, status, reason=reason or None)
    else:
        made.say(10.0, "progress", bytes=5, rate=None)
    return made


def judged(*runs: LoggedRun, hours: float = 5.0) -> ReportVerdict:
    reader = LogReader()
    for each in runs:
        reader.read(each.lines)
    return verdict_of(reader.runs, BEGAN + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("runs", "headline", "good"),
    [
        ([], "There is no run to tell of.", False),
        ([run()], "The run ended well.", True),
        ([run("failed")], "The run did not end well.", False),
        ([run(), run(name="b/x")], "The night ended well.", True),
        ([run(), run("partial", name="b/x")], "The night did not end well.", False),
        ([run(), run("kept", days=1), run(days=2)], "All 3 nights ended well.", True),
        (
            [run(), run("failed", days=1, name="b/x"), run(days=2)],
            "Last night ended well; one of 3 nights did not.",
            False,
        ),
        ([run("failed"), run(days=1)], "Last night did not end well.", False),
        (
            [run("failed"), run(days=1), run("failed", days=2)],
            "Last night did not end well; 1 of the 2 nights before it did not either.",
            False,
        ),
        ([run("kept-different")], "The run did not end well.", False),
        ([run(None)], "The run did not end well.", False),
    ],
)
def test_the_answer(runs: list[LoggedRun], headline: str, good: bool) -> None:
    verdict = judged(*runs)
    assert verdict.headline == headline
    assert verdict.is_good is good


def test_a_later_run_of_the_same_night_mends_it() -> None:
    verdict = judged(run(None), run("done", days=-2 / 24), hours=9)
    assert (verdict.headline, verdict.is_good) == ("The night ended well.", True)
    other = judged(run(None), run("done", days=-2 / 24, name="backups/other.tar"), hours=9)
    assert not other.is_good


def test_a_later_night_mends_it_and_that_is_said() -> None:
    verdict = judged(run("failed", days=1), run())
    assert verdict.headline == "Last night ended well; one of 2 nights did not."
    (trouble,) = verdict.troubles
    assert trouble.mended_by is not None
    assert trouble.mended_by.began == BEGAN
    assert verdict.is_good  # nothing is left to be done


@pytest.mark.parametrize(
    ("made", "what", "todo"),
    [
        (
            run("failed", reason="no such bucket", hints=("Name another.",)),
            "failed, exit status 1: no such bucket",
            ("Name another.", "Then run the same command again."),
        ),
        (run("failed"), "failed, exit status 1", ("Mend that, and run the same command again.",)),
        (
            run("resumable", exit_status=75, reason="the session has expired", hints=("Log in.",)),
            "resumable, exit status 75: the session has expired",
            ("Log in.", "Run the same command again: it goes on where it stopped."),
        ),
        (
            run(None),
            "no result",
            (LOST,),
        ),
    ],
)
def test_what_to_do(made: LoggedRun, what: str, todo: tuple[str, ...]) -> None:
    (trouble,) = judged(made).troubles
    assert (trouble.what, trouble.todo, trouble.mended_by) == (what, todo, None)


def test_failed_files_are_counted() -> None:
    made = LoggedRun(command="sync", name="/srv/data")
    files = {"transferred": 5, "unchanged": 0, "deleted": 0, "failed": 3}
    made.result(10.0, "partial", 1, files=files)
    (trouble,) = judged(made).troubles
    assert trouble.what == "partial, exit status 1, 3 files failed"


def test_a_run_that_has_just_said_something_may_be_under_way() -> None:
    verdict = judged(run(None), hours=0.1)
    assert verdict.headline == "The run seems to be under way."
    assert verdict.troubles == []
    again = judged(run(None), run(days=-1 / 24), hours=1.1)
    assert again.headline == "The night ended well."  # a later run would wait for it
    assert not any(night.under_way for night in again.nights)
    both = judged(run(None), run(days=1), hours=0.1)
    assert both.headline == "A run seems to be under way; all else of 2 nights ended well."


def test_nights_without_a_run_are_missed() -> None:
    nightly = [run(days=days) for days in (0, 1, 2, 4, 5)]
    verdict = judged(*nightly)
    assert verdict.warnings == ["No run in 1 of 6 nights: 2026-11-24."]
    assert judged(*nightly, hours=30).warnings == verdict.warnings
    stale = judged(*nightly, hours=72)
    assert stale.warnings[0].startswith("Nothing has run for 71 h 59 min.")
    weekly = judged(run(), run(days=7), run(days=14))
    assert weekly.warnings == []  # it is not meant to run each night


def test_an_old_night_is_not_last_night() -> None:
    verdict = judged(run("failed"), run(days=1), hours=72)
    assert verdict.headline == "The night to 2026-11-27 did not end well."


def test_an_evening_belongs_to_the_next_morning() -> None:
    evening = run(days=4 / 24, name="backups/a.tar")  # 22:00
    verdict = judged(evening, run(), run(days=14.5 / 24, name="backups/b.tar"))  # 11:30
    assert [night.morning.isoformat() for night in verdict.nights] == ["2026-11-27", "2026-11-26"]
    assert [len(night.runs) for night in verdict.nights] == [2, 1]
