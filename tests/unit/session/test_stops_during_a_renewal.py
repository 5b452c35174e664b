"""Ctrl-C while a refresh is under way: its token gets to disk, and the end is not put off."""

import contextlib
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import RenewalUnavailable, SessionError, TransferCancelled
from ocihaul.session.providers import STOP_GRACE, DelayedStop
from ocihaul.session.session import Session
from tests.support import Hand
from tests.world import MIB, PART, World, world


def test_a_delayed_stop_comes_late() -> None:
    stop, hand = Event(), Hand()
    delayed = DelayedStop(stop, monotonic=hand)
    hand.forward(100)
    assert not delayed.is_set()
    stop.set()
    assert not delayed.is_set()
    hand.forward(STOP_GRACE - 0.1)
    assert not delayed.is_set()
    hand.forward(0.2)
    assert delayed.is_set()


def stop_in_mid_refresh(w: World, fired: Fault) -> None:
    while not fired.fired:
        time.sleep(0.01)  # the emulator's own thread: nothing tells us
    w.stop.set()


def test_a_token_that_was_issued_before_the_stop_gets_to_disk(tmp_path: Path) -> None:
    with world(tmp_path, refresh_kills_old_after=0.0) as w:
        old = w.token_file.read_text()
        fault = w.oci.faults.add(Fault(operation="RefreshToken", stall_seconds=0.5))
        stopper = Thread(target=stop_in_mid_refresh, args=(w, fault))
        stopper.start()
        with Session.from_settings(w.settings(), stop=w.stop) as session:
            rejected = session.credential()

            def ask() -> None:
                with contextlib.suppress(SessionError):
                    session.handle_unauthorized(rejected)

            Thread(target=ask, daemon=True).start()
            stopper.join()
        assert w.token_file.read_text() != old
        assert w.token_file.read_text() in w.oci.auth.token_texts()
        assert w.refreshes() == 1


@pytest.mark.slow
def test_an_auth_service_that_hangs_does_not_put_off_the_end(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=4 * MIB) as w:
        said: list[BaseException] = []

        def run() -> None:
            try:
                w.upload(w.file(10 * PART))
            except (TransferCancelled, RenewalUnavailable) as error:
                said.append(error)

        upload = Thread(target=run)
        upload.start()
        w.oci.log.wait_for(lambda entry: entry.operation == "CreateMultipartUpload")
        w.oci.configure(refresh_outage="hang")
        w.oci.revoke_all(refreshable=True)
        w.oci.log.wait_for(lambda entry: entry.status == 401)
        Event().wait(0.5)
        w.stop.set()
        started = time.monotonic()
        upload.join()
        assert time.monotonic() - started < 6.0, "an attempt is given ten seconds"
        assert [type(error) for error in said] == [TransferCancelled]
