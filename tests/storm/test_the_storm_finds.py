"""A storm that cannot fail is worth nothing: each thing that it looks for is planted, and found."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.storm import storm as storm_module
from tests.storm.pieces import Part, Piece, Range, Whole, lost, moved_again
from tests.storm.plan import STRATA, Plan
from tests.storm.state import read_state
from tests.storm.storm import Storm, storm
from tests.storm.tally import FINDINGS, Tally
from tests.storm.transfers import (
    TRANSFERS,
    GetRanged,
    GetSmall,
    PutMultipart,
    PutSmall,
    SyncDown,
    SyncUp,
    Transfer,
)
from tests.storm.trial import Trial
from tests.world import Ran


@pytest.fixture
def blowing(tmp_path: Path) -> Iterator[Storm]:
    with storm(tmp_path, seed=1, tmpfs=False) as there:
        yield there


def trial(blowing: Storm, kind: type[Transfer], number: int = 1, *, old: bool = True) -> Trial:
    """A transfer before its first run, with or without something older under its names."""
    for seed in range(100):
        chance = Plan(seed, ()).chance(number)
        if (Plan(seed, ()).chance(number).random() < 0.5) is old:
            began = blowing.last_request()
            return Trial(number, kind(blowing.w, number, chance), full_disk=False, began=began)
    raise AssertionError("no such seed")


def ran(blowing: Storm, one: Trial) -> None:
    """Run it to its good end, without a fault."""
    assert blowing.start(one, one.transfer.command()).ran().code == 0


def found(blowing: Storm) -> set[str]:
    return {kind for kind, count in blowing.tally.findings.items() if count}


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_wrong(blowing: Storm) -> None:
    for number, kind in enumerate(TRANSFERS):
        one = trial(blowing, kind, number)
        ran(blowing, one)
        blowing.look(one, one.began)
        blowing.at_the_end(one)
    assert found(blowing) == set()


@pytest.mark.parametrize("kind", [PutSmall, SyncUp])
def test_a_wrong_object(blowing: Storm, kind: type[Transfer]) -> None:
    one = trial(blowing, kind)
    name = next(iter(one.transfer.wanted))
    flipped = bytearray(one.transfer.wanted[name] or b"x")
    flipped[-1] ^= 1
    blowing.w.oci.put_object("backups", name, bytes(flipped))
    blowing.look(one, one.began)
    assert found(blowing) == {"wrong objects"}


def test_an_old_object_that_is_gone(blowing: Storm) -> None:
    one = trial(blowing, PutSmall)
    with blowing.w.storage() as storage:
        storage.delete_object("ns1", "backups", next(iter(one.transfer.old)))
    blowing.look(one, one.began)
    assert found(blowing) == {"wrong objects"}


def test_an_object_that_was_wrong_for_a_moment(blowing: Storm) -> None:
    one = trial(blowing, PutSmall)
    name, right = next(iter(one.transfer.wanted.items()))
    with blowing.w.storage() as storage:
        storage.put_object("ns1", "backups", name, b"something else", {})
        storage.put_object("ns1", "backups", name, right, {})
    blowing.w.oci.log.wait_for(
        lambda entry: entry.operation == "PutObject" and entry.finished_at is not None
    )
    blowing.look(one, one.began)
    assert found(blowing) == {"objects wrong for a moment"}


@pytest.mark.parametrize("kind", [GetSmall, SyncDown])
def test_a_wrong_file(blowing: Storm, kind: type[GetSmall] | type[SyncDown]) -> None:
    one = trial(blowing, kind, old=False)
    assert isinstance(one.transfer, kind)
    path = one.transfer.directory / next(iter(one.transfer.wanted))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half of")
    blowing.look(one, one.began)
    assert found(blowing) == {"wrong files"}


def test_a_file_that_nobody_asked_for_and_a_temporary_one(blowing: Storm) -> None:
    one = trial(blowing, GetSmall)
    assert isinstance(one.transfer, GetSmall)
    ran(blowing, one)
    (one.transfer.directory / "another").touch()
    (one.transfer.directory / ".target.0123.ocihaul").touch()
    blowing.look(one, one.began)
    blowing.at_the_end(one)
    assert found(blowing) == {"wrong files", "temporaries left behind"}


def test_what_is_not_there_at_the_end(blowing: Storm) -> None:
    one = trial(blowing, PutSmall, old=False)
    blowing.at_the_end(one)
    assert found(blowing) >= {"wrong objects"}


def test_a_finished_part_that_is_sent_again_and_one_that_is_lost(blowing: Storm) -> None:
    one = trial(blowing, PutMultipart, old=False)
    ran(blowing, one)
    entries = blowing.entries(one.began)
    upload_id = next(entry.upload_id for entry in entries if entry.operation == "UploadPart")
    one.finished = {Part(upload_id or "", 2)}
    one.recorded = {Part("another upload", 1)}
    blowing.look(one, one.began)
    assert found(blowing) == {"sends of finished parts"}
    blowing.at_the_end(one)
    assert found(blowing) == {"sends of finished parts", "lost finished parts"}


def test_a_file_that_a_later_run_moves_again(
    blowing: Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trial(blowing, SyncUp, old=False)
    ran(blowing, one)
    monkeypatch.setattr(
        one.transfer, "later", lambda: (*one.transfer.command(), "--no-such-option")
    )
    blowing.at_the_end(one)
    assert found(blowing) == {"later runs that failed"}
    name = next(iter(one.transfer.wanted))
    (one.transfer.root / "src" / name.removeprefix(one.transfer.prefix)).write_bytes(b"newer")
    monkeypatch.setattr(one.transfer, "later", one.transfer.command)
    blowing.at_the_end(one)
    assert "sends of finished parts" in found(blowing)


def test_an_orphan_unless_it_is_named(blowing: Storm) -> None:
    one = trial(blowing, PutMultipart)
    ran(blowing, one)
    with blowing.w.storage() as storage:
        upload_id = storage.create_multipart_upload(
            "ns1", "backups", {"object": one.transfer.prefix}, {}
        )
    (orphan,) = blowing.orphans(one)
    assert f"{one.transfer.prefix} with 0 parts" in orphan
    one.texts.append(f"left behind: {upload_id}")
    assert list(blowing.orphans(one)) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Traceback (most recent call last):", "errors that should not happen"),
        ("This should not happen: KeyError", "errors that should not happen"),
        ("{token}", "secrets in output"),
    ],
)
def test_words_that_must_not_be_said(blowing: Storm, text: str, kind: str) -> None:
    one = trial(blowing, PutSmall)
    token = blowing.w.token_file.read_text()
    blowing.judge(one, Ran(0, "", text.replace("{token}", token)))
    assert found(blowing) == {kind}


def test_a_run_that_fails_and_a_transfer_that_never_ends_well(
    blowing: Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storm_module, "TRANSFERS", (PutSmall,))
    blowing.plan.kinds = [PutSmall.kind]
    blowing.w.oci.faults.add(
        Fault(operation="PutObject", status=400, code="InvalidParameter", times=None)
    )
    blowing.one(1, kills=0)
    assert found(blowing) >= {"failed runs", "transfers that never ended well", "wrong objects"}


def test_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"this is no database" * 1000)
    assert read_state(tmp_path).damage
    assert not read_state(tmp_path / "there is none").damage


def test_the_state_is_read_and_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite3") as journal:
        journal.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE uploads (id, upload_id);"
            "CREATE TABLE parts (upload, number); INSERT INTO uploads VALUES (1, 'u');"
            "INSERT INTO parts VALUES (1, 7);"
        )
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        state = read_state(tmp_path)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    journal.close()
    assert state.uploads == {"u"}
    assert state.parts == {Part("u", 7)}


# The pure parts


def test_the_same_seed_decides_the_same() -> None:
    def decisions(seed: int) -> list[object]:
        plan = Plan(seed, ["a", "b"])
        return [(plan.next_kind(n), plan.next_run("a", plan.chance(n))) for n in range(50)]

    assert decisions(1) == decisions(1)
    assert decisions(1) != decisions(2)


def test_kills_are_spread_over_the_whole_duration_and_over_all_commands() -> None:
    plan = Plan(3, ["a", "b", "c"])
    chance = plan.chance(1)
    runs = [plan.next_run("a", chance) for _ in range(400)]
    tenths = [int(run.kill_at * STRATA / 1.05) for run in runs if run.kill_at is not None]
    counts = [tenths.count(tenth) for tenth in range(STRATA)]
    assert max(counts) - min(counts) <= 1
    assert 0 < sum(run.kill_at is None for run in runs) < 100
    assert 0 < sum(run.calm for run in runs) < 100
    for number in range(30):
        plan.killed[plan.next_kind(number)] += 1
    assert sorted(plan.killed.values()) == [10, 10, 10]


def test_what_moves_a_piece(blowing: Storm) -> None:
    put, get = trial(blowing, PutMultipart, 1), trial(blowing, GetRanged, 2)
    ran(blowing, put)
    ran(blowing, get)
    entries = blowing.entries(put.began)
    upload_id = next(each.upload_id for each in entries if each.operation == "UploadPart") or ""
    size = len(get.transfer.wanted["target"])
    moved: list[Piece] = [
        Part(upload_id, 1),
        Range("t2/object", size - 1, size),
        Whole("t1/object"),
    ]
    not_moved: list[Piece] = [
        Part(upload_id, 99),
        Range("t2/object", size, size + 1),
        Whole("t1/other"),
    ]
    assert len(list(moved_again(moved, entries))) == len(moved)
    assert list(moved_again(not_moved, entries)) == []
    assert list(lost([Part(upload_id, 1)], entries)) == []
    assert list(lost([Part("other", 1)], entries)) == [str(Part("other", 1))]


def test_the_table_and_the_document_tell_all_of_it() -> None:
    tally = Tally(5)
    tally.killed("get", 0.04)
    tally.killed("get", 1.04)
    tally.found("wrong objects", ["one", "two"], "put t1/")
    document = tally.document()
    assert document["kills by tenth of the duration"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert document["findings"]["wrong objects"] == 2
    assert set(document["findings"]) == set(FINDINGS)
    assert "put t1/: two" in tally.table()
    assert "status-500" in tally.unfired()
