"""Every way to renew, end to end, by the real command against the emulator.

The way that needs a person, *log in*, is in `test_logging_in_when_parked`.
"""

import json
import re
import shutil
import time
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from ocihaul.emulator.faults import Fault
from tests.world import MIB, World, world


def mint_profile(w: World) -> None:
    w.oci.write_api_key_profile(w.home / "oci", "BACKUP")


@pytest.mark.slow
def test_a_renewal_by_somebody_else_is_read_again_and_nobody_is_asked(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=10 * MIB) as w:
        source = w.file(50 * MIB)

        def renew_in_the_middle() -> None:
            w.oci.log.wait_for(lambda each: each.operation == "UploadPart" and each.status == 200)
            w.oci.write_profile(w.home / "oci", session=replace(w.logins[0], token=fresh))
            w.oci.auth.revoke(w.logins[0].token)

        fresh = w.oci.issue_token(w.logins[0], iat=int(time.time()), exp=int(time.time()) + 7200)
        neighbour = Thread(target=renew_in_the_middle, daemon=True)
        neighbour.start()
        ran = w.run(*w.put(source))
        neighbour.join(1)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert "renewed (file)" in ran.err
        assert w.refreshes() == 0


@pytest.mark.slow
def test_a_token_is_refreshed_again_and_again_until_all_is_sent(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=10 * MIB) as w:
        source = w.file(100 * MIB)
        w.log_in()
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 100 * MIB
        refreshed = [each.token_id for each in w.oci.log.entries(operation="RefreshToken")]
        assert len(refreshed) == len(set(refreshed)) >= 3, "once per token"
        assert "renewed (refresh)" in ran.err


@pytest.mark.slow
def test_a_session_that_cannot_be_refreshed_is_minted(tmp_path: Path) -> None:
    """A no-browser session: refresh answers 200, and the end does not move."""
    lives = {"token_ttl": 4.0, "upst_ttl": 4.0, "refresh_extends": False}
    with world(tmp_path, bandwidth=10 * MIB, **lives) as w:
        mint_profile(w)
        source = w.file(100 * MIB)
        ran = w.run(*w.put(source, "--renew-with", "BACKUP"))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 100 * MIB
        assert w.refreshes() == 1, "asked once, and never again"
        assert w.oci.auth.minted >= 3
        assert "renewed (mint)" in ran.err


@pytest.mark.slow
def test_a_mint_that_hangs_is_given_up_in_time_and_asked_again(tmp_path: Path) -> None:
    """The token stands meanwhile: an attempt takes a part of what is left of it, and no more."""
    lives = {"token_ttl": 8.0, "upst_ttl": 60.0, "refresh_extends": False}
    with world(tmp_path, bandwidth=10 * MIB, **lives) as w:
        mint_profile(w)
        source = w.file(100 * MIB)
        hang = w.oci.faults.add(Fault(operation="GenerateUpst", stall_seconds=60.0))
        w.log_in()
        ran = w.run(*w.put(source, "--renew-with", "BACKUP"))
        assert ran.code == 0, ran.err
        assert hang.fired == 1
        assert re.search(r"mint.* took more than [0-9.]+ s to answer", ran.err), ran.err
        assert w.oci.log.count(operation="GenerateUpst", status=200) == 1, "the second"
        assert ran.err.count("renewed (mint)") == 1
        assert w.storage_calls_with_401() == 0, "the first token lasted until the second try"
        assert w.part_bytes_received() == 100 * MIB


@pytest.mark.slow
def test_the_wish_for_a_life_is_passed_on_and_the_granted_one_is_used(tmp_path: Path) -> None:
    """Half an hour is wished for, and eight seconds are granted."""
    lives = {"upst_ttl": 8.0, "integer_claims": False}
    with world(tmp_path, refresh_refuses=True, bandwidth=10 * MIB, **lives) as w:
        mint_profile(w)
        source = w.file(100 * MIB)
        w.oci.revoke_all(refreshable=True)
        wish = ("--renew-with", "BACKUP", "--session-expiration-in-minutes", "30")
        ran = w.run(*w.put(source, *wish))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.oci.auth.minted >= 3
        assert w.oci.auth.session_options == ["30"] * w.oci.auth.minted
        mints = w.oci.log.entries(operation="GenerateUpst", status=200)
        for earlier, later in pairwise(mints):
            assert later.started_at - earlier.started_at > 2, "at half of the granted life"
        after = [each for each in w.oci.log.entries() if each.sequence > mints[0].sequence]
        stored = [each for each in after if each.token_id and each.operation != "GenerateUpst"]
        assert stored
        assert 401 not in {each.status for each in stored}, "each token was followed in time"
        assert all((each.token_age_fraction or 0) < 1 for each in stored)


def test_the_variable_names_the_minting_profile_as_well(tmp_path: Path) -> None:
    with world(tmp_path, refresh_refuses=True) as w:
        mint_profile(w)
        source = w.file(20 * MIB)
        w.oci.revoke_all(refreshable=True)
        ran = w.run(*w.put(source), OCIHAUL_RENEW_WITH="BACKUP")
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.oci.auth.minted == 1
        assert "renewed (mint)" in ran.err


@pytest.mark.slow
def test_a_paused_upload_goes_on_after_a_login_with_a_new_key(tmp_path: Path) -> None:
    marker = tmp_path / "parked.json"
    hook = f'printf "%s|%s" "$OCIHAUL_PARK_REASON" "$OCIHAUL_PARK_UNTIL" > {marker}'
    with world(tmp_path, token_ttl=3.0, session_ttl=5.0, bandwidth=10 * MIB) as w:
        source = w.file(150 * MIB)

        def log_in_when_parked() -> None:
            while not marker.exists() or not marker.read_text():
                w.stop.wait(0.1)
            w.oci.configure(session_ttl=3600.0)
            shutil.rmtree(w.home / "oci" / "sessions")
            w.oci.write_profile(w.home / "oci")

        person = Thread(target=log_in_when_parked, daemon=True)
        person.start()
        ran = w.run(*w.put(source, "--session-wait", "5m", "--on-park", hook))
        person.join(1)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 150 * MIB, "nothing was sent twice"
        lines = ran.err.splitlines()
        at = next(at for at, line in enumerate(lines) if "Waiting for a new login" in line)
        waiting, cure = lines[at : at + 2]
        assert "Log in again with: ocihaul session login --profile-name DEFAULT" in cure
        assert ".." not in waiting
        assert "a new login has appeared" in ran.err
        reason, until = marker.read_text().split("|")
        assert "session has expired" in reason
        assert until.endswith("+00:00")
        assert json.loads(ran.out)["opc-multipart-md5"].endswith("-15")


@pytest.mark.slow
def test_without_a_word_about_it_an_upload_parks_for_twelve_hours(tmp_path: Path) -> None:
    marker = tmp_path / "until"
    with world(tmp_path) as w:
        argv = list(w.put(w.file(MIB), "--on-park", f'printf %s "$OCIHAUL_PARK_UNTIL" > {marker}'))
        at = argv.index("--session-wait")
        del argv[at : at + 2]
        w.oci.revoke_all()
        started = time.time()
        process = w.start(*argv)
        while not marker.exists() or not marker.read_text():
            assert process.poll() is None
            w.stop.wait(0.1)
        process.terminate()
        assert w.finish(process).code == 130
        waits = datetime.fromisoformat(marker.read_text()).timestamp() - started
        assert 12 * 3600 - 1 <= waits <= 12 * 3600 + 100


def test_a_session_that_will_not_last_is_not_begun(tmp_path: Path) -> None:
    with world(tmp_path, session_ttl=60.0) as w:
        source = w.file(30 * MIB)
        ran = w.run(*w.put(source, "--require-session", "--expected-rate", "100k"))
        assert ran.code == 1, ran.err
        assert "will not last" in ran.err
        assert w.oci.log.entries() == []
        ran = w.run(*w.put(source, "--require-session", "--expected-rate", "100M"))
        assert ran.code == 0, ran.err
