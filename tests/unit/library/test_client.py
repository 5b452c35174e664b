"""`ocihaul.Client`: what it keeps between calls, whose events are whose, and how a call ends."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import ocihaul
from ocihaul.client import find_incomplete_uploads_here, forget_incomplete_upload
from ocihaul.emulator import Fault
from ocihaul.errors import (
    ObjectExistsError,
    ServiceError,
    TransferCancelled,
    UploadIncompleteError,
    UsageError,
)
from ocihaul.events import Event, Notice, PartFinished, SessionPaused, TokenChanged, UploadFinished
from tests.support import Recorder
from tests.world import MIB, World


def small_files(world: World, count: int) -> list[Path]:
    return [world.file(1024 + number, f"small-{number}") for number in range(count)]


def test_finding_d18_twenty_uploads_go_over_one_connection_and_ask_once_for_the_namespace(
    here: World,
) -> None:
    files = small_files(here, 20)
    with ocihaul.Client.from_profile() as client:
        for file in files:
            client.upload(file, "backups")
    assert here.oci.log.count(operation="GetNamespace") == 1
    puts = here.oci.log.entries(operation="PutObject")
    assert len(puts) == 20
    assert len({entry.connection for entry in puts}) == 1
    assert here.oci.object_names("backups") == sorted(file.name for file in files)


def test_eight_threads_share_one_session_and_each_hears_its_own_upload(here: World) -> None:
    files = small_files(here, 24)
    heard = {file.name: Recorder() for file in files}
    everything = Recorder()
    with (
        ocihaul.Client.from_profile(listener=everything) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        done = [
            threads.submit(client.upload, file, "backups", listener=heard[file.name])
            for file in files
        ]
        assert all(each.result().size for each in done)
    for name, recorder in heard.items():
        assert [event.name for event in recorder.of(UploadFinished)] == [name]
    assert len(everything.of(UploadFinished)) == 24
    assert [event.source for event in everything.of(TokenChanged)] == ["start"]


def test_a_renewal_is_heard_by_the_call_that_it_happens_in_and_counted_once(here: World) -> None:
    source = here.file(3 * MIB)
    heard = Recorder()
    with ocihaul.Client.from_profile() as client:
        client.upload(source, "backups", "before", listener=heard)
        assert heard.of(TokenChanged)[1:] == []
        here.oci.revoke_all(refreshable=True)
        result = client.upload(source, "backups", "after", listener=heard)
    assert here.refreshes() == 1
    assert [event.source for event in heard.of(TokenChanged)][-1:] == ["refresh"]
    assert result.receipt is not None
    assert result.receipt.counts is not None
    assert result.receipt.counts.renewals == 1


def test_cancelling_one_call_leaves_the_others_alone(here: World) -> None:
    stuck_file, other = here.file(1001, "stuck"), here.file(1000, "other")
    cancel = threading.Event()
    stall = here.oci.faults.add(Fault(operation="PutObject", stall_seconds=60, times=1))
    with ocihaul.Client.from_profile() as client, ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(client.upload, stuck_file, "backups", cancel=cancel)
        wait_for(lambda: stall.fired > 0)
        cancel.set()
        with pytest.raises(TransferCancelled):
            stuck.result(timeout=50)
        assert client.upload(other, "backups").size == 1000
    assert here.arrived_whole(other)


@pytest.mark.slow
def test_a_call_that_waits_for_a_login_ends_when_it_is_cancelled(here: World) -> None:
    cancel = threading.Event()
    heard = Recorder()

    def paused(event: Event) -> None:
        heard(event)
        if isinstance(event, SessionPaused):
            cancel.set()

    with ocihaul.Client.from_profile(session_wait=600.0) as client:
        client.upload(here.file(10), "backups")
        here.oci.revoke_all(refreshable=False)
        began = time.monotonic()
        with pytest.raises(TransferCancelled):
            client.upload(here.file(11), "backups", "b", cancel=cancel, listener=paused)
        assert time.monotonic() - began < 60
    assert heard.of(SessionPaused)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"partsize": 5}, "there is no option 'partsize'"),
        ({"paralel": 3}, "there is no option 'paralel'"),
        ({"part_size": "128M"}, "part_size: '128M' is no integer"),
        ({"part_size": True}, "part_size: True is no integer"),
        ({"metadata": {"a": 1}}, "metadata: .* is no mapping of texts to texts"),
        (
            {"existing": "replace"},
            "'replace' is no IfExists\nIt can be .*IfExists.REPLACE",
        ),
        ({"multipart": 1}, "multipart: 1 is no bool"),
    ],
)
def test_finding_d06_an_option_that_is_none_is_told_in_the_words_of_the_library(
    here: World, options: dict[str, Any], told: str
) -> None:
    with ocihaul.Client.from_profile() as client, pytest.raises(UsageError, match=told) as caught:
        client.upload(here.file(10), "backups", **options)
    assert "--" not in str(caught.value)
    assert here.oci.log.count(operation="PutObject") == 0


def test_finding_d06_the_hint_about_an_object_that_exists_can_be_followed(here: World) -> None:
    with ocihaul.Client.from_profile() as client:
        client.upload(here.file(10), "backups", "o")
        with pytest.raises(ObjectExistsError) as caught:
            client.upload(here.file(11), "backups", "o")
        named = re.findall(r"`existing=IfExists\.(\w+)`", caught.value.hint or "")
        assert named == ["REPLACE", "KEEP"]
        with pytest.raises(ObjectExistsError):
            client.upload(here.file(11), "backups", "o", existing=ocihaul.IfExists[named[1]])
        assert client.head_object("backups", "o").size == 10
        client.upload(here.file(11), "backups", "o", existing=ocihaul.IfExists[named[0]])
        assert client.head_object("backups", "o").size == 11


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"bucket": b"backups"}, "bucket name: b'backups' is not a text"),
        ({"bucket": None}, "bucket name: None is not a text"),
        ({"name": 7}, "object name: 7 is not a text"),
        ({"cancel": True}, "cancel: True is not a threading.Event"),
        ({"listener": "x"}, "listener: it has to be a function"),
        ({"source": 5, "name": "x"}, "source: 5 is not a path or a binary file object"),
    ],
)
def test_finding_d06_an_argument_of_a_wrong_type_is_told(
    here: World, given: dict[str, Any], told: str
) -> None:
    call = {"source": here.file(10), "bucket": "backups", **given}
    with ocihaul.Client.from_profile() as client, pytest.raises(UsageError, match=told):
        client.upload(**call)
    assert here.oci.log.count(operation="PutObject") == 0


def test_a_call_with_a_cancel_of_its_own_hears_the_clients_too(here: World) -> None:
    cancel = threading.Event()
    stall = here.oci.faults.add(Fault(operation="PutObject", stall_seconds=60, times=1))
    with (
        ocihaul.Client(here.settings(), cancel=cancel) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        stuck = threads.submit(client.upload, here.file(10), "backups", cancel=threading.Event())
        wait_for(lambda: stall.fired > 0)
        cancel.set()
        with pytest.raises(TransferCancelled):
            stuck.result(timeout=50)


def test_each_call_hears_that_nothing_can_be_remembered(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.home / "in the way").touch()
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(here.home / "in the way" / "state"))
    with ocihaul.Client.from_profile() as client:
        for name in ("a", "b"):
            heard = Recorder()
            client.upload(here.file(10), "backups", name, listener=heard)
            assert any("will begin anew" in event.text for event in heard.of(Notice))


def test_a_file_is_verified_without_any_profile(
    here: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, receipt = here.file(1000), tmp_path / "receipt"
    ocihaul.upload(file, "backups", receipt=receipt)
    for name in ("OCI_CLI_CONFIG_FILE", "OCI_CLI_ENDPOINT"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    assert ocihaul.verify(receipt, file=file, stored=False).good
    for stored in (False, True):
        with pytest.raises(UsageError, match="'regoin'"):
            ocihaul.verify(receipt, file=file, stored=stored, regoin="x")  # type: ignore[call-arg]
        with pytest.raises(UsageError, match="profile: 5"):
            ocihaul.verify(receipt, file=file, stored=stored, profile=5)  # type: ignore[arg-type]


def test_a_misspelt_option_is_told_the_one_that_is_near(here: World) -> None:
    with ocihaul.Client.from_profile() as client, pytest.raises(UsageError, match="'parallel'"):
        client.download("backups", "a", here.home / "a", paralel=3)  # type: ignore[call-arg]


def test_objects_are_listed_looked_at_and_deleted(here: World) -> None:
    with ocihaul.Client.from_profile() as client:
        for file in small_files(here, 3):
            client.upload(file, "backups", f"p/{file.name}")
        names = [each.name for each in client.list_objects("backups", prefix="p/")]
        assert names == ["p/small-0", "p/small-1", "p/small-2"]
        assert client.head_object("backups", "p/small-1").size == 1025
        client.delete_object("backups", "p/small-1")
        with pytest.raises(ServiceError) as caught:
            client.head_object("backups", "p/small-1")
        assert caught.value.status == 404
        assert list(client.list_incomplete_uploads("backups")) == []
        upload = client.storage.create_multipart_upload("ns1", "backups", {"object": "x"}, {})
        assert [each.upload_id for each in client.list_incomplete_uploads("backups")] == [upload]


def test_what_is_unfinished_is_found_by_journal_and_service_and_aborted(here: World) -> None:
    source, parts = here.file(6 * MIB), 0
    cancel = threading.Event()

    def after_two(event: Event) -> None:
        nonlocal parts
        parts += isinstance(event, PartFinished)
        if parts == 2:
            cancel.set()

    with ocihaul.Client.from_profile() as client:
        with pytest.raises(TransferCancelled):
            client.upload(
                source,
                "backups",
                "ours",
                part_size=MIB,
                parallel=1,
                listener=after_two,
                cancel=cancel,
            )
        theirs = client.storage.create_multipart_upload("ns1", "backups", {"object": "theirs"}, {})
        (ours,) = find_incomplete_uploads_here()
        assert (ours.target.bucket, ours.target.object) == ("backups", "ours")
        assert (ours.source, ours.on_server) == (str(source), None)
        by_journal = client.find_incomplete_uploads()
        assert [each.upload_id for each in by_journal] == [ours.upload_id, theirs]
        assert [(each.on_server, each.source is None) for each in by_journal] == [
            (True, False),
            (True, True),
        ]
        named = client.find_incomplete_uploads(["backups"], namespace="ns1")
        assert [each.upload_id for each in named] == [ours.upload_id, theirs]
        client.abort_incomplete_upload(ours)
        assert find_incomplete_uploads_here() == []
        assert [each.upload_id for each in client.list_incomplete_uploads("backups")] == [theirs]


def test_what_is_forgotten_stays_at_the_service(here: World) -> None:
    source = here.file(3 * MIB)
    fault = here.oci.faults.add(Fault(operation="UploadPart", status=400, times=1))
    with ocihaul.Client.from_profile() as client:
        with pytest.raises(UploadIncompleteError):
            client.upload(source, "backups", part_size=MIB, parallel=1)
        assert fault.fired
        (found,) = find_incomplete_uploads_here()
        forget_incomplete_upload(found)
        assert find_incomplete_uploads_here() == []
        left = client.list_incomplete_uploads("backups")
        assert [each.upload_id for each in left] == [found.upload_id]


def test_a_verification_asks_where_the_configuration_leads_and_says_so(
    here: World, tmp_path: Path
) -> None:
    source, receipt = here.file(1000), tmp_path / "receipt.json"
    heard = Recorder()
    with ocihaul.Client.from_profile() as client:
        client.upload(source, "backups", receipt=receipt)
        assert client.verify(receipt, file=source, listener=heard).good
        assert heard.of(Notice) == []
        text = receipt.read_text()
        assert here.oci.endpoint in text
        receipt.write_text(text.replace(here.oci.endpoint, "https://elsewhere.example.com"))
        verification = client.verify(receipt, listener=heard)
    assert verification.good
    assert verification.receipt.target.endpoint == "https://elsewhere.example.com"
    assert [event.text for event in heard.of(Notice)] == [
        f"The object was stored at https://elsewhere.example.com; asking {here.oci.endpoint}."
    ]


def test_whoever_is_asked_decides_whether_an_object_is_replaced(here: World) -> None:
    asked: list[int] = []

    def confirm(there: Any) -> bool:
        asked.append(there.size)
        return len(asked) > 1

    with ocihaul.Client.from_profile() as client:
        client.upload(here.file(10, "a"), "backups")
        with pytest.raises(ObjectExistsError):
            client.upload(here.file(20, "a"), "backups", confirm=confirm)
        client.upload(here.file(20, "a"), "backups", confirm=confirm)
    assert asked == [10, 10]
    assert here.oci.object_info("backups", "a").size == 20


def test_nothing_is_opened_before_the_first_call_and_nothing_stays_after_the_last(
    here: World,
) -> None:
    with ocihaul.Client.from_profile() as client:
        assert here.oci.log.entries() == []
    with pytest.raises(UsageError, match="closed"):
        client.upload(here.file(10), "backups")
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "ocihaul-session"]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)  # a fault counts without telling
