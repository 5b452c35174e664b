"""The login as a person meets it, from the address in the terminal to the page that says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from ocihaul.session.store import CredentialStore
from tests.logins import AtTerminal, free_port
from tests.support import make_token, rsa_key
from tests.world import MIB, World, world

from .conftest import Person

HERE = ("--profile-name", "DEFAULT")


@pytest.fixture
def person(chrome: Chrome, tmp_path: Path) -> Iterator[Person]:
    with world(tmp_path) as w:
        yield Person(chrome, w)


def sessions_of(w: World, operation: str) -> set[str | None]:
    """Which sessions signed the requests that were let in."""
    return {entry.session_id for entry in w.oci.log.entries(operation=operation, status=200)}


def pair(w: World) -> CredentialStore:
    return CredentialStore(w.token_file, w.key_file)


def test_a_person_logs_in(person: Person) -> None:
    w, old = person.world, pair(person.world).read_once()
    waiting = person.starts(*HERE)
    person.opens(waiting.address)
    person.signs_in()
    heading, text = person.reads()
    assert heading == "You are logged in"
    assert "go back to your terminal" in text
    ran = waiting.ends()
    assert (ran.code, ran.out) == (0, ""), ran.err
    new = pair(w).read_once()
    assert new.key.public_key() != old.key.public_key()
    assert w.oci.auth.logins == 1
    assert person.complaints() == []


def test_the_token_stays_neither_on_the_page_nor_in_the_history(person: Person) -> None:
    w, waiting = person.world, person.starts(*HERE)
    person.opens(waiting.address)
    person.signs_in()
    person.reads()
    waiting.ends()
    token = pair(w).read_once().token.raw
    assert person.chrome.current_url == f"{waiting.home}/"
    assert token not in person.chrome.page_source
    history = person.chrome.execute_cdp_cmd("Page.getNavigationHistory", {})
    addresses = " ".join(entry["url"] for entry in history["entries"])
    assert waiting.home in addresses
    assert token not in addresses
    assert "security_token" not in addresses


def test_a_person_cancels(person: Person) -> None:
    w = person.world
    before = w.token_file.read_bytes()
    waiting = person.starts(*HERE)
    person.opens(waiting.address)
    person.cancels()
    heading, text = person.reads()
    assert heading == "The login failed"
    assert "access_denied" in text
    ran = waiting.ends()
    assert ran.code == 1
    assert "access_denied" in ran.err
    assert w.token_file.read_bytes() == before


def test_somebody_elses_token_is_turned_away_and_the_login_goes_on(person: Person) -> None:
    waiting = person.starts(*HERE)
    person.opens(f"{waiting.home}/#security_token={make_token(rsa_key())}")
    heading, text = person.reads()
    assert heading == "The login failed"
    assert "another key" in text
    person.opens(waiting.address)
    person.signs_in()
    assert person.reads()[0] == "You are logged in"
    ran = waiting.ends()
    assert ran.code == 0, ran.err
    assert "turned away" in ran.err


def test_another_site_can_neither_post_nor_read(person: Person) -> None:
    waiting = person.starts(*HERE)
    person.opens(waiting.address)  # a page of another origin than ours
    got = person.chrome.execute_async_script(
        """
        const [home, done] = arguments, seen = [];
        const note = name => () => seen.push(name + " got through");
        const post = {method: "POST", body: "error=evil"};
        fetch(home + "/").then(note("reading")).catch(() => 0)
          .then(() => fetch(home + "/token", {...post, headers: {"x-ocihaul-secret": "x"}}))
          .then(note("asking first")).catch(() => 0)
          .then(() => fetch(home + "/token", {...post, mode: "no-cors"}))
          .catch(() => 0).then(() => done(seen));
        """,
        waiting.home,
    )
    assert got == []
    person.signs_in()
    assert person.reads()[0] == "You are logged in"
    assert waiting.ends().code == 0


def test_our_address_opened_by_hand_says_where_to_go(person: Person) -> None:
    waiting = person.starts(*HERE)
    person.opens(waiting.home)
    assert person.reads()[0] == "Nothing to do here"
    waiting.process.terminate()
    assert waiting.ends().code == 130


def test_a_running_upload_goes_over_to_the_new_login(chrome: Chrome, tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=12 * MIB) as w:
        person = Person(chrome, w)
        source = w.file(200 * MIB)
        upload = w.start(*w.put(source))
        waiting = person.starts(*HERE)
        person.opens(waiting.address)
        while not sessions_of(w, "UploadPart"):
            w.stop.wait(0.05)
        person.signs_in()
        assert person.reads()[0] == "You are logged in"
        assert waiting.ends().code == 0
        ran = w.finish(upload)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 200 * MIB
        old = w.logins[0].session_id
        assert old in sessions_of(w, "UploadPart")
        assert old not in sessions_of(w, "CommitMultipartUpload")
        assert w.storage_calls_with_401() == 0


def test_a_paused_upload_goes_on_after_the_login(chrome: Chrome, tmp_path: Path) -> None:
    marker = tmp_path / "parked"
    lives = {"token_ttl": 6.0, "session_ttl": 9.0}
    with world(tmp_path, bandwidth=12 * MIB, **lives) as w:
        person = Person(chrome, w)
        source = w.file(150 * MIB)
        w.log_in()
        upload = w.start(*w.put(source, "--session-wait", "5m", "--on-park", f"touch {marker}"))
        while not marker.exists() and upload.poll() is None:
            w.stop.wait(0.1)
        w.oci.configure(token_ttl=3600.0, session_ttl=86400.0)
        waiting = person.starts(*HERE)
        person.opens(waiting.address)
        person.signs_in()
        assert person.reads()[0] == "You are logged in"
        assert waiting.ends().code == 0
        ran = w.finish(upload)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 150 * MIB, "nothing was sent twice"
        old = w.logins[-1].session_id
        assert old in sessions_of(w, "UploadPart")
        assert old not in sessions_of(w, "CommitMultipartUpload")


def test_a_parked_upload_opens_the_browser_itself_and_goes_on_after_it(
    chrome: Chrome, tmp_path: Path
) -> None:
    """`--login auto` at a terminal: the address goes to the person's browser, and nothing else."""
    given = tmp_path / "opened"
    opener = tmp_path / "browser"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {given}.new && mv {given}.new {given}\n')
    opener.chmod(0o700)
    with world(tmp_path, bandwidth=12 * MIB, token_ttl=6.0, session_ttl=9.0) as w:
        person = Person(chrome, w)
        source = w.file(150 * MIB)
        w.log_in()
        old = pair(w).read_once()
        upload = AtTerminal(
            w,
            *w.put(source, "--session-wait", "5m", "--login", "auto"),
            BROWSER=f"{opener} %s",
            OCIHAUL_LOGIN_ENDPOINT=w.oci.endpoint,
            OCIHAUL_CALLBACK_PORT=free_port(),
        )
        upload.says("Log in with the browser window that opens now")
        while not given.exists():
            w.stop.wait(0.1)
        w.oci.configure(token_ttl=3600.0, session_ttl=86400.0)
        person.opens(given.read_text())
        person.signs_in()
        assert person.reads()[0] == "You are logged in"
        ran = upload.ends()
        assert ran.code == 0, ran.out
        assert w.arrived_whole(source)
        assert w.part_bytes_received() == 150 * MIB, "nothing was sent twice"
        assert w.oci.auth.logins == 1
        assert pair(w).read_once().key.public_key() != old.key.public_key()
        assert w.logins[-1].session_id not in sessions_of(w, "CommitMultipartUpload")
        assert person.complaints() == []
