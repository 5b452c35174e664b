"""The result of a command that makes several transfers."""

import pytest

from ocihaul.cli.process import DONE, FAILED, INTERRUPTED, RESUMABLE
from ocihaul.cli.run_result import (
    KEPT,
    KEPT_DIFFERENT,
    FileCounts,
    LogOrigin,
    RunResult,
    combined,
    transfer_exposition,
)

ORIGIN = LogOrigin("cp", "backups/night/", sources=3)


def result(name: str, state: str, code: int, **more: object) -> RunResult:
    given: dict[str, object] = {"bytes": 10, "moved": 12, "seconds": 1.0, "retries": 1}
    return RunResult(command="cp", object=name, state=state, exit=code, **(given | more))  # type: ignore[arg-type]  # by name


def of(*results: RunResult, code: int, error: str | None = None) -> RunResult:
    return combined(ORIGIN, results, code, seconds=5.0, error=error)


def test_numbers_are_added_and_files_counted() -> None:
    counts = FileCounts(transferred=4, unchanged=3, deleted=2, failed=1)
    whole = of(
        result("b/a", "done", DONE),
        result("b/d", "partial", FAILED, files=counts),
        result("b/k", KEPT, DONE, bytes=0, moved=0),
        code=FAILED,
    )
    assert (whole.bytes, whole.moved, whole.retries, whole.seconds) == (20, 24, 3, 5.0)
    assert whole.files == FileCounts(transferred=5, unchanged=4, deleted=2, failed=1)
    assert (whole.object, whole.state, whole.exit) == ("backups/night/", "partial", FAILED)
    assert whole.reason == "b/d: partial"


def test_a_directory_that_failed_before_its_first_file_is_a_failure() -> None:
    empty = FileCounts(transferred=0, unchanged=0, deleted=0, failed=0)
    whole = of(result("b/d", "failed", FAILED, files=empty, reason="x"), code=FAILED)
    assert whole.files is not None
    assert (whole.files.failed, whole.state) == (1, "partial")


@pytest.mark.parametrize(
    ("states", "code", "state"),
    [
        (["done", "done"], DONE, "done"),
        ([KEPT, KEPT], DONE, KEPT),
        ([KEPT, "done"], DONE, "done"),
        (["done", KEPT_DIFFERENT, KEPT], DONE, KEPT_DIFFERENT),
        (["done"], RESUMABLE, "resumable"),
        (["done"], INTERRUPTED, "interrupted"),
        ([], FAILED, "failed"),
    ],
)
def test_the_state_is_that_of_all(states: list[str], code: int, state: str) -> None:
    assert of(*(result("b/x", each, DONE) for each in states), code=code).state == state


def test_each_reason_is_there_once_behind_what_it_is_about() -> None:
    parts = (
        result("b/a", "failed", FAILED, reason="404"),
        result("none", "failed", FAILED, reason="none: there is no such file"),
        result("b/c", "resumable", RESUMABLE, reason="the session has expired"),
    )
    said = "b/a: 404; none: there is no such file; b/c: the session has expired"
    assert of(*parts, code=RESUMABLE, error="the session has expired").reason == said
    assert of(*parts, code=RESUMABLE, error="stopped").reason == f"{said}; stopped"
    assert of(result("b/a", "done", DONE), code=DONE).reason is None


def test_an_object_that_was_kept_and_is_another_is_no_success() -> None:
    whole = of(result("b/a", "done", DONE), result("b/b", KEPT_DIFFERENT, DONE), code=DONE)
    assert 'transfer_success{command="cp"} 0' in transfer_exposition(whole, 1.0, earlier={})
