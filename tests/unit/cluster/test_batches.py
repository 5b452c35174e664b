"""Files in batches: how many go together, and what becomes of what a worker does not see."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocihaul.cluster import files
from ocihaul.cluster.files import MOST_BYTES, MOST_FILES, Batches, Unseen
from ocihaul.cluster.jobs import TaskResult
from ocihaul.cluster.workers import NoWorkerLeft
from ocihaul.directories.workers import DONE, FAILED, Outcome, SendFile
from ocihaul.errors import NetworkError, ServiceError


class Fake:
    """Takes batches, and remembers who was left out."""

    def __init__(self) -> None:
        self.batches: list[list[SendFile]] = []
        self.left_out: dict[str, str] = {}
        self.alone = False

    def again(self, batch: list[SendFile], *, without: frozenset[str]) -> None:
        if self.alone:
            raise NoWorkerLeft("no worker is left")
        assert without == {"tls://a"}
        self.batches.append(batch)

    def put(self, batch: list[SendFile]) -> None:
        self.batches.append(batch)

    def leave_out(self, address: str, reason: str) -> None:
        self.left_out[address] = reason


def made() -> tuple[Batches[SendFile], Fake, list[str], list[str]]:
    noted: list[str] = []
    here: list[str] = []
    batches: Batches[SendFile] = Batches(
        lambda task, outcome: noted.append(f"{task.name} {outcome.kind}"),
        lambda task: here.append(task.name),
    )
    fake: Any = Fake()
    batches.attach(fake)
    return batches, fake, noted, here


def a_file(number: int, size: int = 1) -> SendFile:
    return SendFile(str(number), str(number), size, 0)


def test_a_batch_ends_by_its_count_or_by_its_bytes() -> None:
    batches, fake, _, _ = made()
    for number in range(MOST_FILES + 1):
        batches.do(a_file(number))
    assert [len(each) for each in fake.batches] == [MOST_FILES]
    batches.do(a_file(100, MOST_BYTES - 2))
    assert len(fake.batches) == 1
    batches.do(a_file(101, 1))
    assert [len(each) for each in fake.batches] == [MOST_FILES, 3]
    batches.flush()
    batches.flush()
    assert len(fake.batches) == 2, "nothing is left, and nothing is no batch"


@pytest.mark.parametrize("alone", [False, True])
def test_what_may_be_a_workers_own_trouble_is_tried_elsewhere_once(*, alone: bool) -> None:
    batches, fake, noted, _ = made()
    fake.alone = alone
    refused = ServiceError(status=500, code=None, message="", operation="PutObject")
    told = [Outcome(FAILED, error=error) for error in (NetworkError("no answer"), refused)]
    batches.handle([a_file(1), a_file(2)], TaskResult("tls://a", "a", told))
    assert noted == (["2 failed", "1 failed"] if alone else ["2 failed"])
    if not alone:
        assert fake.batches == [[replace(a_file(1), is_second=True)]]
        batches.handle(fake.batches[0], TaskResult("tls://b", "b", told[:1]))
        assert noted == ["2 failed", "1 failed"], "and not a third time"


def test_what_a_worker_does_not_see_is_sent_from_here() -> None:
    batches, fake, noted, here = made()
    batch = [a_file(1), a_file(2)]
    batches.handle(batch, TaskResult("tls://a", "a", [Outcome(DONE), Unseen("another time")]))
    assert (noted, here) == (["1 done"], ["2"])
    assert not fake.left_out


@pytest.mark.parametrize(("first", "left_out"), [(None, True), (Outcome(DONE), False)])
def test_a_worker_that_has_seen_nothing_right_is_left_out(
    first: Outcome | None, *, left_out: bool
) -> None:
    batches, fake, _, here = made()
    if first is not None:
        batches.handle([a_file(0)], TaskResult("tls://a", "a", [first]))
    batch = [a_file(number) for number in range(MOST_FILES)]
    batches.handle(batch, TaskResult("tls://a", "a", [Unseen("x cannot be read")] * MOST_FILES))
    assert len(here) == MOST_FILES
    assert ("tls://a" in fake.left_out) is left_out
    assert all("x cannot be read" in reason for reason in fake.left_out.values())


def test_a_file_that_is_not_as_the_walk_has_seen_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"four")
    status = file.stat()
    task = SendFile("file", "file", 4, status.st_mtime_ns)
    assert files._difference(str(file), task) is None
    os.utime(file, ns=(0, status.st_mtime_ns + 1))
    assert "another size or time" in str(files._difference(str(file), task))
    file.unlink()
    assert "cannot be read" in str(files._difference(str(file), task))
