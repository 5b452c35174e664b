"""`--login auto`: an expired session asks the person at the terminal to log in."""

import configparser
import hashlib
import time
from pathlib import Path

import pytest

from ocihaul.session.store import CredentialStore, fingerprint
from tests.logins import AtTerminal, Waiting, free_port, go_through
from tests.world import MIB, World, world

LOGIN = ("--login", "auto", "--session-wait", "5m")


def environ(w: World) -> dict[str, str]:
    return {"OCIHAUL_LOGIN_ENDPOINT": w.oci.endpoint, "OCIHAUL_CALLBACK_PORT": free_port()}


def put(w: World, source: Path, *args: str) -> list[str]:
    """The report's command as a person types it: with its progress bar."""
    return [word for word in w.put(source, *args) if word != "--debug"]


@pytest.mark.slow
def test_a_parked_put_logs_in_by_itself_and_goes_on_with_the_new_key(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=15 * MIB) as w:
        source = w.file(70 * MIB)
        old = CredentialStore(w.token_file, w.key_file).read_once()
        before = w.config.read_text()
        argv = put(w, source, *LOGIN, "--parallel-upload-count", "3")
        running = AtTerminal(w, *argv, **environ(w))
        while w.oci.log.count(operation="UploadPart", status=200) < 3:
            w.stop.wait(0.05)
        w.oci.revoke_all(refreshable=False)
        running.says("Waiting for a new login until")
        address = running.says(r"http://\S+/v1/oauth2/authorize\?\S+")
        running.says(r"ssh -L \d+:127\.0\.0\.1:\d+ ")
        go_through(w, address)
        ran = running.ends()
        assert ran.code == 0, ran.out
        assert "a new login has appeared: going on" in ran.out
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 70 * MIB, "nothing was sent twice"
        new = CredentialStore(w.token_file, w.key_file).read_once()
        assert new.key.public_key() != old.key.public_key()
        parts = w.oci.log.entries(operation="UploadPart", status=200)
        assert len({each.session_id for each in parts}) == 2, "the old one's parts are kept"
        section = configparser.ConfigParser(interpolation=None)
        section.read(w.config)
        assert section["DEFAULT"]["fingerprint"] == fingerprint(new.key.public_key())
        kept = [line for line in before.splitlines() if not line.startswith("fingerprint")]
        assert set(kept) <= set(w.config.read_text().splitlines()), "the region, say"


@pytest.mark.slow
def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(MIB)
        w.oci.revoke_all(refreshable=False)
        ran = w.run(*put(w, source, "--session-wait", "1s"), OCIHAUL_LOGIN="auto", **environ(w))
        assert ran.code == 75, ran.err
        assert "--login auto: there is no terminal here" in ran.err
        assert "oauth2/authorize" not in ran.err


@pytest.mark.slow
def test_a_person_who_says_no_is_not_asked_again_and_may_log_in_elsewhere(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(12 * MIB)
        w.oci.revoke_all(refreshable=False)
        running = AtTerminal(w, *put(w, source, *LOGIN), **environ(w))
        go_through(w, running.says(r"http://\S+/v1/oauth2/authorize\?\S+"), cancel="")
        running.says("--login auto: the login page answered: access_denied")
        elsewhere = Waiting(w, "--profile-name", "DEFAULT", "--region", "eu-frankfurt-1")
        go_through(w, elsewhere.address)
        assert elsewhere.ends().code == 0
        ran = running.ends()
        assert ran.code == 0, ran.out
        assert ran.out.count("oauth2/authorize") == 1
        assert w.arrived_whole(source)


@pytest.mark.slow
def test_a_login_elsewhere_ends_the_one_that_is_offered(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(12 * MIB)
        w.oci.revoke_all(refreshable=False)
        running = AtTerminal(w, *put(w, source, *LOGIN), **environ(w))
        running.says(r"http://\S+/v1/oauth2/authorize\?\S+")
        w.log_in()
        ran = running.ends()
        assert ran.code == 0, ran.out
        assert w.oci.auth.logins == 0, "nobody has gone through the pages"


@pytest.mark.slow
def test_exec_offers_it_before_the_program_starts(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=1.0, session_ttl=1.0) as w:
        time.sleep(1.1)
        w.oci.configure(token_ttl=3600.0, session_ttl=86400.0)
        running = AtTerminal(w, "exec", *LOGIN, "--", "sha256sum", str(w.token_file), **environ(w))
        go_through(w, running.says(r"http://\S+/v1/oauth2/authorize\?\S+"))
        ran = running.ends()
        assert ran.code == 0, ran.out
        assert hashlib.sha256(w.token_file.read_bytes()).hexdigest() in ran.out
        assert w.oci.auth.logins == 1
