"""What a download remembers, and what it makes of a file that was cut or meddled with."""

import json
import os
from pathlib import Path

import pytest

from ocihaul.events import Notice, ignore
from ocihaul.filesystem import FileSystem
from ocihaul.transfer.download.local_file import (
    BegunRange,
    DownloadCheckpoint,
    FinishedRange,
    Place,
)
from ocihaul.transfer.download.request import RangePlan
from tests.support import Recorder

PLAN = RangePlan(start=0, end=100, part_size=10, block=None)
ONE = FinishedRange(b"abcd", (b"m1", b"m2"))


def at(path: Path) -> DownloadCheckpoint:
    return DownloadCheckpoint(Place.at(path, FileSystem(ignore)), path.name, Recorder())


def begun(path: Path) -> DownloadCheckpoint:
    finished = at(path)
    finished.begin("e1", 100, PLAN)
    return finished


def test_what_was_recorded_is_found_again(tmp_path: Path) -> None:
    finished = begun(tmp_path / "f")
    finished.record(3, ONE)
    finished.close()
    again = at(tmp_path / "f")
    assert again.load("e1", 100) == (PLAN, {3: ONE}, {})
    again.resume()
    again.record(4, ONE)
    again.close()
    assert set(at(tmp_path / "f").load("e1", 100)[1]) == {3, 4}
    again.forget()
    assert list(tmp_path.iterdir()) == []


def test_how_far_a_range_is_is_found_again(tmp_path: Path) -> None:
    finished = begun(tmp_path / "f")
    finished.record_begun(3, BegunRange(4, b"abcd"))
    finished.record_begun(4, BegunRange(1, b"abcd"))
    finished.record_begun(3, BegunRange(9, b"efgh"))
    finished.record(4, ONE)
    finished.close()
    half = {3: BegunRange(9, b"efgh"), 4: BegunRange(1, b"abcd")}
    assert at(tmp_path / "f").load("e1", 100) == (PLAN, {4: ONE}, half)


@pytest.mark.parametrize("line", ['[1,"",0]', '[1,"",10]', '[1,"",-1]', '[1,"",true]', '[11,"",5]'])
def test_begun_ranges_that_cannot_be_are_not_believed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "f"
    begun(path).close()
    path.write_text(path.read_text() + line + "\n")
    assert at(path).load("e1", 100)[1:] == ({}, {})


@pytest.mark.parametrize(("etag", "size"), [("e2", 100), ("e1", 101), (None, 100)])
def test_another_object_is_not_gone_on_with(tmp_path: Path, etag: str | None, size: int) -> None:
    begun(tmp_path / "f").close()
    with pytest.raises(LookupError):
        at(tmp_path / "f").load(etag, size)


def test_a_line_that_was_cut_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "f"
    finished = begun(path)
    for number in (1, 2, 3):
        finished.record(number, ONE)
    finished.close()
    path.write_bytes(path.read_bytes()[:-5])
    again = at(path)
    assert set(again.load("e1", 100)[1]) == {1, 2}
    again.resume()
    again.record(5, ONE)
    again.close()
    assert set(at(path).load("e1", 100)[1]) == {1, 2, 5}


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\n",
        b"[" * 10**6,
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"version": 9}',
        b'{"version": 1}' * 2,
    ],
)
def test_rubbish_is_nothing_to_go_on_with(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "f").write_bytes(rubbish)
    with pytest.raises(LookupError):
        at(tmp_path / "f").load("e1", 100)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"part_size": 10', '"part_size": 0'),
        ('"part_size": 10', '"part_size": 1.5'),
        ('"end": 100', '"end": "100"'),
        ('"start": 0', '"start": true'),
        ('"block": null', '"block": 0'),
        ('"block": null', '"block": -5'),
        ('"block": null', '"block": "5"'),
    ],
)
def test_a_plan_that_cannot_be_is_not_believed(tmp_path: Path, was: str, now: str) -> None:
    path = tmp_path / "f"
    begun(path).close()
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, now))
    with pytest.raises(LookupError):
        at(path).load("e1", 100)


@pytest.mark.parametrize(
    "line",
    ['[0,"",[]]', '[11,"",[]]', '["1","",[]]', "[1]", '[1,"x",[]]', '[1.5,"",[]]', "[" * 10**6],
)
def test_ranges_that_cannot_be_are_not_believed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "f"
    begun(path).close()
    path.write_text(path.read_text() + line + "\n")
    assert at(path).load("e1", 100)[1] == {}


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    heard = Recorder()
    (tmp_path / "f").mkdir()
    finished = DownloadCheckpoint(Place.at(tmp_path / "f", FileSystem(ignore)), "f", heard)
    finished.begin("e1", 100, PLAN)
    finished.record(1, ONE)
    finished.record(2, ONE)
    assert len(heard.of(Notice)) == 1
    finished.forget()


@pytest.mark.parametrize(
    "plan",
    [
        {"part_size": 1, "workers": 10**12},
        {"part_size": 1, "workers": 0},
        {"part_size": 2**20, "workers": 1001},
    ],
)
def test_a_plan_of_more_ranges_than_memory_has_is_not_cut(
    tmp_path: Path, plan: dict[str, int]
) -> None:
    size = 10 * 2**40
    path = tmp_path / "f"
    at(path).begin("e1", size, RangePlan(0, size, 2**20, None, 10))
    assert at(path).load("e1", size)[0].part_count > 2**20
    head = json.loads(path.read_text())
    head["plan"] |= plan
    path.write_text(json.dumps(head) + "\n")
    with pytest.raises(LookupError):
        at(path).load("e1", size)


def test_a_line_that_is_written_in_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    finished = begun(tmp_path / "f")
    finished.record(1, ONE)
    finished.record(2, ONE)
    finished.close()
    assert at(tmp_path / "f").load("e1", 100) == (PLAN, {1: ONE, 2: ONE}, {})
