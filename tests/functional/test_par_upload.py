"""`--outlive-session`: an upload that begins while the session lives, and ends after it."""

import hashlib
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.emulator.objects import Par
from ocihaul.endpoints import Origin
from ocihaul.errors import JournalError
from ocihaul.events import Notice
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.storage.client import PreauthenticatedUploads, StorageClient
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.upload.incomplete import ParStore, StoredPar
from ocihaul.transfer.upload.request import UploadResult
from ocihaul.transfer.upload.upload import upload
from ocihaul.transport.message import Answer
from tests.world import MIB, Ran, World, world

PARTS = 8


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, bandwidth=30 * MIB) as one:
        yield one


def start(w: World, source: Path, *flags: str) -> Callable[[], Ran]:
    process = w.start(
        *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source)),
        *("--auth", "security_token", "--part-size", "10", "--parallel-upload-count", "2"),
        *("--outlive-session", "--debug", *flags),
    )

    return lambda: w.finish(process)


def wait_for_parts(w: World, count: int) -> None:
    deadline = time.monotonic() + 30
    while w.oci.log.count(operation="ParUploadPart", status=200) < count:
        if time.monotonic() > deadline:
            raise TimeoutError("the parts did not come")
        time.sleep(0.02)  # another process: there is nothing else to wait on


def end_the_session(w: World) -> None:
    for session in w.logins:
        w.oci.end_session(session)
    w.oci.revoke_all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "ignored",
    [
        frozenset(),
        frozenset({"if-none-match", "opc-checksum-algorithm", "content-md5", "storage-tier"}),
    ],
    ids=["headers count", "headers are ignored"],
)
def test_the_upload_ends_after_its_session(tmp_path: Path, ignored: frozenset[str]) -> None:
    with world(tmp_path, bandwidth=30 * MIB, par_ignores=ignored, par_lists_parts=False) as w:
        source = w.file(PARTS * 10 * MIB + 5)
        finish = start(w, source)
        wait_for_parts(w, 2)
        end_the_session(w)
        ran = finish()
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert '"etag"' in ran.out
        # Nobody could delete the PAR any more; the person is told how.
        assert "preauth-request delete" in ran.err
        assert len(w.oci.par_secrets()) == 1
        assert w.part_bytes_received() == source.stat().st_size
        assert not list((w.home / "state").glob("par-*"))


def test_the_par_is_a_right_to_write_this_one_object_for_a_day_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service is asked for, and what it understands of that."""
    documents: list[dict[str, object]] = []
    real = HttpClient.call

    def listen(self: HttpClient, origin: Origin, call: ServiceCall) -> Answer:
        if call.operation == "CreatePreauthenticatedRequest":
            assert isinstance(call.document, dict)
            documents.append(call.document)
        elif call.operation == "UploadPart" and not pars:
            bucket = w.oci.store.bucket("ns1", "backups")
            pars.extend(bucket.pars.values())
        return real(self, origin, call)

    pars: list[Par] = []
    monkeypatch.setattr(HttpClient, "call", listen)
    with world(tmp_path) as w:
        source = w.file(3 * 10 * MIB, "dir name.tar")
        before = int(time.time())
        request = w.request(source, name="nightly/dir name.tar", outlive_session=True)
        with Journal(w.home / "state") as journal, w.storage() as storage:
            upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
        (document,), (par,) = documents, pars
        assert set(document) == {"name", "accessType", "timeExpires", "objectName"}
        assert document["accessType"] == par.access_type == "ObjectWrite"
        assert document["objectName"] == par.object_name == "nightly/dir name.tar"
        assert par.listing is None
        assert par.allows("nightly/dir name.tar", write=True)
        assert not par.allows("nightly/dir name.tar", write=False)
        assert not par.allows("nightly/dir name.tar2", write=True)
        assert before + 24 * 3600 <= par.expires <= time.time() + 24 * 3600
        assert w.arrived_whole(source, "nightly/dir name.tar")
        assert w.oci.par_secrets() == []


@pytest.mark.slow
def test_while_the_session_lives_the_par_is_gone_at_the_end(w: World) -> None:
    source = w.file(3 * 10 * MIB)
    ran = start(w, source)()
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    assert w.oci.par_secrets() == []
    assert "is left" not in ran.err


@pytest.mark.slow
def test_a_killed_run_goes_on_after_the_session(w: World) -> None:
    source = w.file(PARTS * 10 * MIB)
    process = w.start(
        *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source)),
        *("--auth", "security_token", "--part-size", "10", "--parallel-upload-count", "2"),
        *("--outlive-session", "--force"),
    )
    wait_for_parts(w, 3)
    process.kill()
    w.finish(process)
    (kept,) = (w.home / "state").glob("par-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    end_the_session(w)
    before = w.oci.log.count(operation="ParUploadPart", status=200)
    ran = start(w, source, "--force")()
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    # Of the three that had arrived, two at most were not in the journal yet.
    assert w.oci.log.count(operation="ParUploadPart", status=200) - before <= PARTS - 1
    assert not kept.exists()


@pytest.mark.slow
def test_a_part_that_fails_is_sent_again_through_the_par(w: World) -> None:
    w.oci.faults.add(
        Fault(operation="ParUploadPart", part_number=2, status=503),
        Fault(operation="ParUploadPart", part_number=3, cut_at_byte=3 * MIB),
        Fault(operation="ParUploadPart", part_number=4, corrupt=True),
    )
    source = w.file(PARTS * 10 * MIB)
    ran = start(w, source)()
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)


def test_pars_that_are_not_allowed_end_it_before_a_byte_is_sent(w: World) -> None:
    w.oci.faults.add(
        Fault(operation="CreatePreauthenticatedRequest", status=404, code="NotAuthorizedOrNotFound")
    )
    ran = start(w, w.file(30 * MIB))()
    assert ran.code == 1
    assert "PAR_MANAGE" in ran.err
    assert w.part_bytes_received() == 0


@pytest.mark.slow
def test_a_par_that_is_refused_half_way_leaves_the_rest_to_the_session(w: World) -> None:
    source = w.file(PARTS * 10 * MIB)
    finish = start(w, source, "--force")
    wait_for_parts(w, 2)
    w.oci.configure(par_rights=False)
    ran = finish()
    assert ran.code == 0, ran.err
    assert ran.err.count("goes on with the session") == 1
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="UploadPart", status=200) > 0
    assert w.oci.par_secrets() == []


@pytest.mark.slow
def test_without_par_and_session_it_stops_and_goes_on_after_the_login(w: World) -> None:
    source = w.file(PARTS * 10 * MIB)
    finish = start(w, source, "--force")
    wait_for_parts(w, 2)
    end_the_session(w)
    w.oci.configure(par_rights=False)
    ran = finish()
    assert ran.code == 75, ran.err
    assert "is not complete" in ran.err
    before = w.part_bytes_received()
    w.log_in()
    again = start(w, source, "--force")()
    assert again.code == 0, again.err
    assert w.arrived_whole(source)
    assert w.part_bytes_received() - before < PARTS * 10 * MIB
    assert w.oci.par_secrets() == []


# A PAR is a right that somebody may use: it ends with its upload, whatever becomes of that


def left_half_way(w: World) -> Path:
    """A source, of which a killed run has left an upload and a PAR."""
    source = w.file(PARTS * 10 * MIB)
    process = w.start(
        *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source)),
        *("--auth", "security_token", "--part-size", "10", "--parallel-upload-count", "2"),
        *("--outlive-session", "--force"),
    )
    wait_for_parts(w, 2)
    process.kill()
    w.finish(process)
    assert len(w.oci.par_secrets()) == 1
    return source


def nothing_is_left(w: World) -> None:
    assert w.oci.par_secrets() == []
    assert not list((w.home / "state").glob("par-*"))
    assert w.oci.uploads("backups") == []


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--outlive-session", "--restart"), ("--restart",), ()])
def test_the_next_run_ends_it_with_or_without_the_flag(w: World, flags: tuple[str, ...]) -> None:
    source = left_half_way(w)
    ran = w.run(
        *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source), "--force"),
        *("--auth", "security_token", "--part-size", "10", *flags),
    )
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    nothing_is_left(w)


@pytest.mark.slow
def test_dropping_the_upload_ends_it(w: World) -> None:
    source = left_half_way(w)
    ran = w.run("uploads", "abort", source.name, "--force", "--auth", "security_token")
    assert ran.code == 0, ran.err
    nothing_is_left(w)


@pytest.mark.slow
def test_forgetting_the_upload_says_how_to_end_it(w: World) -> None:
    source = left_half_way(w)
    ran = w.run("uploads", "forget", source.name)
    assert ran.code == 0, ran.err
    assert "preauth-request delete" in ran.err
    assert not list((w.home / "state").glob("par-*"))


@pytest.mark.slow
def test_an_upload_that_the_service_has_forgotten_ends_it(w: World) -> None:
    source = left_half_way(w)
    (left,) = w.oci.uploads("backups")
    with w.storage() as storage:
        storage.abort_multipart_upload("ns1", "backups", source.name, upload_id=left.upload_id)
    ran = start(w, source, "--force")()
    assert ran.code == 0, ran.err
    assert "no longer knows" in ran.err
    assert w.arrived_whole(source)
    nothing_is_left(w)


def put_here(w: World, source: Path) -> UploadResult:
    """The upload in this process, where the moment can be chosen."""
    request = w.request(source, outlive_session=True)
    with w.storage() as storage, Journal(w.home / "state") as journal:
        return upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)


class Killed(BaseException):
    """The end of a process, as far as the code can tell."""


@pytest.mark.parametrize("moment", ["PAR made", "upload begun"])
def test_a_kill_before_it_is_known_leaves_it_to_the_next_run(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = {
        "PAR made": (StorageClient, "create_preauthenticated_request"),
        "upload begun": (PreauthenticatedUploads, "create"),
    }[moment]
    real = getattr(owner, name)

    def dying(*args: object, **named: object) -> None:
        real(*args, **named)
        raise Killed

    with world(tmp_path) as w:
        source = w.file(3 * 10 * MIB)
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, dying)
            with pytest.raises(Killed):
                put_here(w, source)
        (secret,) = w.oci.par_secrets()
        (kept,) = (w.home / "state").glob("par-*")
        assert secret not in kept.read_text()
        put_here(w, source)
        assert w.arrived_whole(source)
        assert w.oci.par_secrets() == []


@pytest.mark.slow
def test_a_lost_reply_to_its_making_leaves_no_second_one(w: World) -> None:
    w.oci.faults.add(Fault(operation="CreatePreauthenticatedRequest", cut_before_answer=True))
    ran = start(w, w.file(3 * 10 * MIB))()
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.oci.log.count(operation="CreatePreauthenticatedRequest", status=200) >= 1
    nothing_is_left(w)


def test_a_directory_that_is_full_costs_the_next_run_the_right_but_not_the_upload(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: ParStore, par: StoredPar) -> None:
        self._par = par
        raise JournalError("No space left on device")

    monkeypatch.setattr(ParStore, "save", full)
    source = w.file(3 * 10 * MIB)
    put_here(w, source)
    assert w.arrived_whole(source)
    assert any(isinstance(e, Notice) and "No space left" in e.text for e in w.heard.events)
    nothing_is_left(w)


@pytest.mark.slow
def test_a_lost_reply_to_the_last_commit_is_settled_after_the_login(w: World) -> None:
    w.oci.faults.add(Fault(operation="ParCommitMultipartUpload", cut_before_answer=True))
    source = w.file(PARTS * 10 * MIB)
    finish = start(w, source, "--force")
    wait_for_parts(w, 2)
    end_the_session(w)
    ran = finish()
    w.oci.faults.assert_all_fired()
    assert ran.code == 75, ran.err
    assert "not known whether the object was stored" in ran.err
    before = w.part_bytes_received()
    w.log_in()
    again = start(w, source, "--force")()
    assert again.code == 0, again.err
    assert w.part_bytes_received() == before
    assert w.arrived_whole(source)
    nothing_is_left(w)


@pytest.mark.slow
def test_its_url_is_nowhere_but_in_its_file(w: World) -> None:
    """Not in what is said, in the journal or in the receipt, whatever goes wrong."""
    w.oci.faults.add(
        Fault(operation="ParCreateMultipartUpload", status=503),
        Fault(operation="ParUploadPart", part_number=1, cut_at_byte=MIB),
        Fault(operation="ParUploadPart", part_number=2, html=True),
        Fault(operation="ParUploadPart", part_number=3, garbage=True),
        Fault(operation="DeletePreauthenticatedRequest", status=400),
    )
    source, receipt = w.file(PARTS * 10 * MIB), w.home / "receipt.json"
    ran = start(w, source, "--receipt", str(receipt))()  # looks at what it said
    assert ran.code == 0, ran.err
    assert "preauth-request delete" in ran.err
    w.oci.faults.assert_all_fired()
    (secret,) = w.oci.issued_par_secrets()
    kept = [path for path in (w.home / "state").iterdir() if path.is_file()]
    for path in (receipt, *kept):
        assert secret.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_part_that_is_refused_for_good_does_not_tell_it_either(w: World) -> None:
    w.oci.faults.add(Fault(operation="ParUploadPart", status=400, times=None))
    ran = start(w, w.file(PARTS * 10 * MIB))()
    assert ran.code == 1, ran.err
    assert len(w.oci.issued_par_secrets()) == 1


@pytest.mark.slow
def test_cleaning_leaves_alone_what_is_under_way(w: World) -> None:
    w.oci.configure(bandwidth=5.0 * MIB)
    source = w.file(3 * 10 * MIB)
    finish = start(w, source)
    w.oci.log.wait_for(lambda entry: entry.operation == "ParUploadPart", timeout=30)
    ran = w.run("uploads", "clean", "--older-than", "0s", "--auth", "security_token")
    assert ran.code == 0, ran.err
    assert "left alone" in ran.err
    assert len(w.oci.par_secrets()) == 1
    w.oci.configure(bandwidth=None)
    assert finish().code == 0
    assert w.arrived_whole(source)
    nothing_is_left(w)


def test_a_small_file_needs_none(w: World) -> None:
    source = w.file(MIB)
    ran = start(w, source)()
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="CreatePreauthenticatedRequest") == 0


# Pipes


def pipe(w: World) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "ocihaul", "os", "object", "put", "-bn", "backups"),
            *("-ns", "ns1", "--file", "-", "--name", "dump", "--auth", "security_token"),
            *("--part-size", "10", "--parallel-upload-count", "2", "--outlive-session"),
            "--debug",
        ],
        env=w.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_pipe_flows_on_after_its_session(w: World) -> None:
    running = hashlib.sha256()
    process = pipe(w)
    assert process.stdin is not None
    for number in range(PARTS * 10):
        if number == 45:
            wait_for_parts(w, 2)
            end_the_session(w)
        block = number.to_bytes(8) * (MIB // 8)
        process.stdin.write(block)
        running.update(block)
    out, err = process.communicate(timeout=60)
    ran = w.checked(Ran(process.returncode, out.decode(), err.decode()))
    assert ran.code == 0, ran.err
    assert w.oci.object_digest("backups", "dump") == running.hexdigest()
    assert w.oci.log.count(operation="ParCommitMultipartUpload", status=200) == 1
    assert "preauth-request delete" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("session", ["lives", "is over"])
def test_a_pipe_that_fails_leaves_nothing(w: World, session: str) -> None:
    process = pipe(w)
    assert process.stdin is not None
    process.stdin.write(b"x" * (45 * MIB))
    wait_for_parts(w, 2)
    if session == "is over":
        end_the_session(w)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    ran = w.checked(Ran(process.returncode, out.decode(), err.decode()))
    assert ran.code == 130, ran.err
    assert w.oci.uploads("backups") == []
    assert w.oci.object_names("backups") == []
    aborts = [each for each in w.oci.log.entries() if "Abort" in each.operation]
    assert [(each.operation, each.status) for each in aborts] == [
        ("ParAbortMultipartUpload", 204)
    ], "no session was waited for"
    if session == "lives":
        nothing_is_left(w)
    else:
        assert "preauth-request delete" in ran.err
