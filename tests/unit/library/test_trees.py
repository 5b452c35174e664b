"""`ocihaul.upload_directory`, `download_directory`: what they return, raise, send, leave."""

import _thread
import os
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

import ocihaul
from ocihaul.directories import run
from ocihaul.emulator import Fault
from ocihaul.errors import OcihaulError, ServiceError, SessionError, TransferCancelled, UsageError
from ocihaul.events import (
    BytesSent,
    Event,
    FileFailed,
    FileFinished,
    Listener,
    Notice,
    PartFinished,
)
from ocihaul.transfer import monitor, plan
from ocihaul.transfer.monitor import FIRST
from tests.functional.directories import content, make, operations
from tests.world import MIB, World

ODD = ("new\nline", "-rf", "ü", "e\u0301", "\u00e9", "sp ace", "%41", "a/b/c", "a.b", "'\"")
FILES = ("a", "b", "c", "d/e", "d/f")


def stopping_after(count: int, kind: type[Event], stop: threading.Event) -> Listener:
    """A listener that has enough after so many events of a kind."""
    heard = 0

    def listen(event: Event) -> None:
        nonlocal heard
        heard += isinstance(event, kind)
        if heard == count:
            stop.set()

    return listen


def interrupted(
    call: Callable[..., Any], *args: Any, after: int, of: type[Event], **how: Any
) -> None:
    """A call that is stopped after so many events."""
    stop = threading.Event()
    with pytest.raises(TransferCancelled):
        call(*args, listener=stopping_after(after, of, stop), cancel=stop, parallel=1, **how)


@pytest.mark.slow
def test_the_service_says_how_many_go_at_a_time(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "WINDOW", 0.1)
    src = make(tmp_path / "src", *map(str, range(30)))
    here.oci.faults.add(Fault(operation="PutObject", stall_seconds=0.1, times=None))
    for most in (2, 64):
        before = here.oci.log.count(operation="PutObject")
        how = {"parallel": most, "adaptive": True, "mode": ocihaul.SyncMode.REPLACE}
        assert ocihaul.upload_directory(src, "backups", **how).good  # type: ignore[arg-type]
        entries = here.oci.log.entries(operation="PutObject")[before:]
        begun = [entry.started_at for entry in entries]
        assert len(begun) == 30
        first = sum(at - begun[0] < 0.09 for at in begun)
        assert first <= min(most, FIRST)


def test_a_tree_goes_up_and_comes_back_as_it_was(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *ODD)
    (src / "empty" / "below").mkdir(parents=True)
    up = ocihaul.upload_directory(src, "backups", prefix="p/", listener=here.heard)
    size = sum(len(os.fsencode(name)) for name in ODD)
    assert up == ocihaul.DirectoryResult(
        transferred=len(ODD) + 1, skipped=0, deleted=0, failed=0, size=size
    )
    assert up.good
    assert here.oci.object_names("backups") == sorted(
        f"p/{name}" for name in (*ODD, "empty/below/")
    )
    assert len(here.heard.of(FileFinished)) == len(ODD) + 1

    down = ocihaul.download_directory("backups", str(tmp_path / "copy"), prefix="p/")
    assert (down.transferred, down.size, down.good) == (len(ODD) + 1, size, True)
    assert content(tmp_path / "copy") == content(src)
    modified = here.oci.object_info("backups", "p/-rf").headers["last-modified"]
    told = parsedate_to_datetime(modified).timestamp()
    assert (tmp_path / "copy" / "-rf").stat().st_mtime == told
    assert here.oci.log.count(operation="PutObject") == len(ODD) + 1
    assert here.oci.log.count(operation="GetObject") == len(ODD)


def test_what_is_alike_is_not_moved_again_and_what_differs_is(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES)
    ocihaul.upload_directory(src, "backups")
    ocihaul.download_directory("backups", tmp_path / "copy")
    make(src, "new")
    (src / "a").write_bytes(b"of another size")
    here.oci.log.clear()

    up = ocihaul.upload_directory(src, "backups")
    assert (up.transferred, up.skipped) == (2, 4)
    assert operations(here)["PutObject"] == 2

    down = ocihaul.download_directory("backups", tmp_path / "copy")
    assert (down.transferred, down.skipped) == (2, 4)
    assert operations(here)["GetObject"] == 2
    assert content(tmp_path / "copy") == content(src)


def test_one_file_that_fails_does_not_stop_the_others(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES, b"bad\xff")
    fault = here.oci.faults.add(
        Fault(operation="PutObject", object_name="p/b", status=403, code="NotYours", message="no")
    )
    result = ocihaul.upload_directory(src, "backups", prefix="p/", listener=here.heard)
    assert fault.fired == 1
    assert not result.good
    assert (result.transferred, result.failed) == (4, 2)
    assert result.failures.keys() == {"p/b", "p/bad\\udcff"}
    assert "NotYours" in result.failures["p/b"]
    assert not [secret for secret in here.secrets() if secret in repr(result)]
    assert len(here.heard.of(FileFailed)) == 2
    assert here.oci.object_names("backups") == ["p/a", "p/c", "p/d/e", "p/d/f"]


def test_one_object_that_fails_does_not_stop_the_others(here: World, tmp_path: Path) -> None:
    for name in (*FILES, "../out"):
        here.oci.put_object("backups", name, name.encode())
    fault = here.oci.faults.add(
        Fault(operation="GetObject", object_name="b", status=403, code="NotYours")
    )
    result = ocihaul.download_directory("backups", tmp_path / "copy")
    assert fault.fired == 1
    assert (result.transferred, result.failed) == (4, 2)
    assert result.failures.keys() == {"b", "../out"}
    assert content(tmp_path / "copy").keys() == {"a", "c", "d/", "d/e", "d/f"}
    assert not (tmp_path / "out").exists()


def test_only_so_many_failures_are_told(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MOST_FAILURES", 3)
    src = make(tmp_path / "src", *FILES)
    here.oci.faults.add(Fault(operation="PutObject", times=None, status=403, code="No"))
    result = ocihaul.upload_directory(src, "backups")
    assert result.failed == 5
    assert list(result.failures) == ["a", "b", "c"]


@pytest.mark.slow
def test_what_concerns_all_is_raised(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES)
    with pytest.raises(ServiceError, match="BucketNotFound"):
        ocihaul.upload_directory(src, "nowhere")
    with pytest.raises(ServiceError, match="BucketNotFound"):
        ocihaul.download_directory("nowhere", tmp_path / "copy")
    here.end_sessions()
    with pytest.raises(SessionError):
        ocihaul.upload_directory(src, "backups")
    assert here.oci.log.count(operation="PutObject") == 0


@pytest.mark.parametrize(
    ("mode", "counts"),  # transferred, skipped, failed
    [
        (ocihaul.SyncMode.REPLACE, (2, 0, 0)),
        (ocihaul.SyncMode.KEEP, (1, 1, 0)),
        (ocihaul.SyncMode.ASK, (1, 0, 1)),
        (ocihaul.SyncMode.SYNC, (1, 1, 0)),
    ],
)
def test_the_mode_says_what_becomes_of_what_is_there(
    here: World, tmp_path: Path, mode: ocihaul.SyncMode, counts: tuple[int, int, int]
) -> None:
    src = make(tmp_path / "src", "new", "old")
    here.oci.put_object("backups", "old", b"OLD")  # as large as the file, and newer
    up = ocihaul.upload_directory(src, "backups", mode=mode)
    assert (up.transferred, up.skipped, up.failed) == counts
    assert list(up.failures) == ["old"] * counts[2]
    replaced = mode is ocihaul.SyncMode.REPLACE
    assert here.oci.read_object("backups", "old") == (b"old" if replaced else b"OLD")

    copy = make(tmp_path / "copy")
    (copy / "old").write_bytes(b"xxx")  # as large as the object, and newer
    down = ocihaul.download_directory("backups", copy, mode=mode)
    assert (down.transferred, down.skipped, down.failed) == counts
    assert (copy / "old").read_bytes() == (b"old" if replaced else b"xxx")


def test_what_has_no_counterpart_is_deleted_when_asked(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES)
    for name in ("p/gone", "p/d/gone", "elsewhere"):
        here.oci.put_object("backups", name, b"x")
    assert ocihaul.upload_directory(src, "backups", prefix="p/").deleted == 0
    up = ocihaul.upload_directory(src, "backups", prefix="p/", delete=True)
    assert (up.transferred, up.skipped, up.deleted) == (0, 5, 2)
    assert here.oci.object_names("backups") == ["elsewhere", *(f"p/{name}" for name in FILES)]

    copy = make(tmp_path / "copy", "gone", "dir/gone")
    assert ocihaul.download_directory("backups", copy, prefix="p/").deleted == 0
    down = ocihaul.download_directory("backups", copy, prefix="p/", delete=True)
    assert (down.transferred, down.skipped, down.deleted) == (0, 5, 3)
    assert content(copy) == content(src)


def test_an_empty_source_deletes_nothing(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src")
    here.oci.put_object("backups", "a", b"x")
    with pytest.raises(OcihaulError, match="nothing was deleted"):
        ocihaul.upload_directory(src, "backups", delete=True)
    copy = make(tmp_path / "copy", "b")
    with pytest.raises(OcihaulError, match="was deleted"):
        ocihaul.download_directory("backups", copy, prefix="misspelt/", delete=True)
    assert here.oci.object_names("backups") == ["a"]
    assert content(copy) == {"b": b"b"}


def test_a_dry_run_only_looks(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES)
    for name in ("a", "gone"):
        here.oci.put_object("backups", name, b"x")
    up = ocihaul.upload_directory(
        src, "backups", delete=True, dry_run=True, mode=ocihaul.SyncMode.KEEP, namespace="ns1"
    )
    assert (up.transferred, up.skipped, up.deleted, up.size) == (4, 1, 1, 0)
    down = ocihaul.download_directory(
        "backups", tmp_path / "copy", dry_run=True, mode=ocihaul.SyncMode.REPLACE, namespace="ns1"
    )
    assert (down.transferred, down.skipped, down.deleted, down.size) == (2, 0, 0, 0)
    copy = make(tmp_path / "other", "a", "gone", "mine")
    down = ocihaul.download_directory("backups", copy, dry_run=True, delete=True, namespace="ns1")
    assert (down.transferred, down.skipped, down.deleted) == (2, 0, 1)
    assert content(copy).keys() == {"a", "gone", "mine"}
    assert operations(here) == {"ListObjects": 3}
    assert here.oci.object_names("backups") == ["a", "gone"]
    assert not (tmp_path / "copy").exists()
    assert not (here.home / "state").exists()


@pytest.mark.parametrize(
    "mode", [ocihaul.SyncMode.REPLACE, ocihaul.SyncMode.KEEP, ocihaul.SyncMode.SYNC]
)
def test_an_interrupted_run_goes_on_and_moves_nothing_twice(
    here: World, tmp_path: Path, mode: ocihaul.SyncMode
) -> None:
    src, copy = make(tmp_path / "src", *FILES), tmp_path / "copy"
    remembers = mode is not ocihaul.SyncMode.SYNC  # which sees what is done by the rule it has
    expected = (5, 0) if remembers else (3, 2)

    interrupted(ocihaul.upload_directory, src, "backups", mode=mode, after=2, of=FileFinished)
    assert here.oci.log.count(operation="PutObject") == 2
    up = ocihaul.upload_directory(src, "backups", mode=mode)
    assert here.oci.log.count(operation="PutObject") == 5
    assert (up.transferred, up.skipped) == expected

    interrupted(ocihaul.download_directory, "backups", copy, mode=mode, after=2, of=FileFinished)
    assert here.oci.log.count(operation="GetObject") == 2
    down = ocihaul.download_directory("backups", copy, mode=mode)
    assert here.oci.log.count(operation="GetObject") == 5
    assert (down.transferred, down.skipped) == expected
    assert content(copy) == content(src)
    assert up.size == down.size == sum(map(len, FILES if remembers else FILES[2:]))

    ocihaul.upload_directory(src, "backups", mode=ocihaul.SyncMode.REPLACE)
    assert here.oci.log.count(operation="PutObject") == 10, "what ended well is not remembered"


def test_a_large_file_of_a_tree_goes_on_with_its_parts(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LIMITS", plan.ServiceLimits(smallest_part=MIB))
    make(tmp_path / "src")
    large = here.file(4 * MIB, "src/large")
    how: dict[str, Any] = {"after": 2, "of": PartFinished, "part_size": MIB}
    interrupted(ocihaul.upload_directory, tmp_path / "src", "backups", **how)
    result = ocihaul.upload_directory(tmp_path / "src", "backups", part_size=MIB)
    assert (result.transferred, result.size) == (1, 4 * MIB)
    parts = [entry.part_number or 0 for entry in here.oci.log.entries(operation="UploadPart")]
    assert sorted(parts) == [1, 2, 3, 4]
    assert here.part_bytes_received() == 4 * MIB
    assert here.arrived_whole(large, "large")

    interrupted(ocihaul.download_directory, "backups", tmp_path / "copy", **how)
    ocihaul.download_directory("backups", tmp_path / "copy", part_size=MIB)
    assert here.object_bytes_sent() == 4 * MIB
    assert (tmp_path / "copy" / "large").read_bytes() == large.read_bytes()


def test_without_a_state_directory_it_works_and_says_so(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.home / "in the way").touch()
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(here.home / "in the way" / "state"))
    src = make(tmp_path / "src", *FILES)
    mode = ocihaul.SyncMode.REPLACE
    assert ocihaul.upload_directory(src, "backups", mode=mode, listener=here.heard).transferred == 5
    told = [event.text for event in here.heard.events if isinstance(event, Notice)]
    notices = [text for text in told if "anew" in text]
    assert [text.split(":")[0] for text in notices] == [
        "An interrupted upload will begin anew",
        "An interrupted run will begin anew",
    ]
    down = ocihaul.download_directory("backups", tmp_path / "copy", mode=mode)
    assert (down.transferred, down.good) == (5, True)


def test_patterns_choose_on_both_ways(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", *FILES)
    assert ocihaul.upload_directory(src, "backups", prefix="p/", include="d/*").transferred == 2
    assert here.oci.object_names("backups") == ["p/d/e", "p/d/f"]
    assert (
        ocihaul.upload_directory(src, "backups", prefix="p/", exclude=["d/*", "a"]).transferred == 2
    )
    assert here.oci.object_names("backups") == ["p/b", "p/c", "p/d/e", "p/d/f"]
    down = ocihaul.download_directory(
        "backups", tmp_path / "copy", prefix="p/", exclude=("*f", "b")
    )
    assert (down.transferred, down.skipped) == (2, 0)
    assert content(tmp_path / "copy").keys() == {"c", "d/", "d/e"}


def test_links_are_followed_unless_they_are_not_wanted(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", "a")
    (src / "link").symlink_to("a")
    assert ocihaul.upload_directory(src, "backups", follow_links=False).transferred == 1
    assert ocihaul.upload_directory(src, "backups").transferred == 1
    assert here.oci.object_names("backups") == ["a", "link"]


def test_every_object_gets_what_was_wished_for(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", "page.html", "d/none")
    wishes: dict[str, Any] = {"content_type": "auto", "metadata": {"who": "me"}}
    result = ocihaul.upload_directory(src, "backups", storage_tier="InfrequentAccess", **wishes)
    assert result.good
    page, none = (here.oci.object_info("backups", name) for name in ("page.html", "d/none"))
    assert page.headers["content-type"] == "text/html"
    assert none.headers.get("content-type") != "text/html"
    for each in (page, none):
        assert each.metadata == {"who": "me"}
        assert each.storage_tier == "InfrequentAccess"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mode": "everything"}, "is no SyncMode"),
        ({"include": ["a"], "exclude": ["b"]}, "exclude each other"),
        ({"include": [b"a"]}, "list of texts"),
        ({"parallel": 0}, "`parallel`: 0"),
        ({"part_size": 0}, "`part_size`: 0 bytes"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_moved(
    here: World, tmp_path: Path, wrong: dict[str, Any], told: str
) -> None:
    src = make(tmp_path / "src", "a")
    with pytest.raises(UsageError, match=told):
        ocihaul.upload_directory(src, "backups", namespace="ns1", **wrong)
    with pytest.raises(UsageError, match=told):
        ocihaul.download_directory("backups", tmp_path / "copy", namespace="ns1", **wrong)
    assert operations(here) == {}
    assert not (tmp_path / "copy").exists()


def test_what_is_one_files_own_cannot_be_wished_for_all(here: World, tmp_path: Path) -> None:
    src = make(tmp_path / "src", "a")
    for wish in ("receipt", "content_md5", "upload_id", "misspelt"):
        wishes: dict[str, Any] = {wish: "x"}
        with pytest.raises(UsageError, match=wish):
            ocihaul.upload_directory(src, "backups", **wishes)
    assert operations(here) == {}


def test_a_directory_that_is_none_is_told(here: World, tmp_path: Path) -> None:
    file = make(tmp_path / "src", "a") / "a"
    with pytest.raises(UsageError, match="cannot be read as a directory"):
        ocihaul.upload_directory(file, "backups")
    with pytest.raises(UsageError, match=r"`directory` .*/missing .*does not exist"):
        ocihaul.upload_directory(tmp_path / "missing", "backups")
    with pytest.raises(UsageError, match="not a directory"):
        ocihaul.download_directory("backups", file)
    assert operations(here) == {}


def test_an_interrupt_leaves_no_thread_that_goes_on(here: World, tmp_path: Path) -> None:
    (source := tmp_path / "source").mkdir()
    (source / "large").write_bytes(os.urandom(12 * MIB))
    fault = Fault(operation="UploadPart", stall_at_byte=MIB, stall_seconds=60.0, times=None)
    here.oci.faults.add(fault)

    once = threading.Lock()

    def listen(event: Event) -> None:
        if isinstance(event, BytesSent) and once.acquire(blocking=False):
            _thread.interrupt_main()

    before = set(threading.enumerate())
    with ocihaul.Client.from_profile() as client:
        with pytest.raises(KeyboardInterrupt):
            client.upload_directory(source, "backups", listener=listen, part_size=6 * MIB)
        ours = [each for each in threading.enumerate() if each.name in {"tree", "ocihaul-0"}]
        for thread in set(ours) - before:
            thread.join(30)
            assert not thread.is_alive()
        assert "large" not in here.oci.object_names("backups")
        here.oci.faults.clear()
        client.upload_directory(source, "backups", part_size=6 * MIB)  # the client goes on
    assert here.oci.object_info("backups", "large").size == 12 * MIB
    assert fault.fired
