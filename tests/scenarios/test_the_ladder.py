"""Every rung end to end, by the real command against the emulator."""

import json
import shutil
from pathlib import Path
from threading import Thread

from tests.world import MIB, World, world


def mint_profile(w: World) -> None:
    w.oci.write_api_key_profile(w.home / "oci", "BACKUP")


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


def test_the_wish_for_a_life_is_passed_on_and_the_granted_one_is_used(tmp_path: Path) -> None:
    with world(tmp_path, refresh_refuses=True, upst_ttl=90.0) as w:
        mint_profile(w)
        w.oci.revoke_all(refreshable=True)
        wish = ("--renew-with", "BACKUP", "--session-expiration-in-minutes", "30")
        ran = w.run(*w.put(w.file(20 * MIB), *wish))
        assert ran.code == 0, ran.err
        assert w.oci.auth.minted == 1


def test_a_parked_upload_goes_on_after_a_login_with_a_new_key(tmp_path: Path) -> None:
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
        waiting = next(line for line in ran.err.splitlines() if "Waiting for a new login" in line)
        assert "Log in again with: ocihaul session login --profile-name DEFAULT" in waiting
        assert ".." not in waiting
        assert "a new login has appeared" in ran.err
        reason, until = marker.read_text().split("|")
        assert "session is over" in reason
        assert until.endswith("+00:00")
        assert json.loads(ran.out)["opc-multipart-md5"].endswith("-15")


def test_a_session_that_will_not_last_is_not_begun(tmp_path: Path) -> None:
    with world(tmp_path, session_ttl=60.0) as w:
        source = w.file(30 * MIB)
        ran = w.run(*w.put(source, "--require-session", "--expected-rate", "100k"))
        assert ran.code == 1, ran.err
        assert "will not last" in ran.err
        assert w.oci.log.entries() == []
        ran = w.run(*w.put(source, "--require-session", "--expected-rate", "100M"))
        assert ran.code == 0, ran.err
