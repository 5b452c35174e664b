"""`--outlive-session`: an upload that begins while the session lives, and ends after it."""

import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
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

    def finish() -> Ran:
        ran = w.finish(process)
        for secret in w.oci.par_secrets():
            assert secret not in ran.out
            assert secret not in ran.err
        return ran

    return finish


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


def test_while_the_session_lives_the_par_is_gone_at_the_end(w: World) -> None:
    source = w.file(3 * 10 * MIB)
    ran = start(w, source)()
    assert ran.code == 0, ran.err
    assert w.arrived_whole(source)
    assert w.oci.par_secrets() == []
    assert "is left" not in ran.err


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


def test_a_par_that_expires_leaves_an_upload_that_goes_on_with_the_session(w: World) -> None:
    source = w.file(PARTS * 10 * MIB)
    finish = start(w, source, "--force")
    wait_for_parts(w, 2)
    w.oci.configure(par_rights=False)
    ran = finish()
    assert ran.code in {1, 75}, ran.err
    assert "is not complete" in ran.err
    w.oci.configure(par_rights=True)
    again = start(w, source, "--force")()
    assert again.code == 0, again.err
    assert w.arrived_whole(source)
