"""`session login` and `session mint` as commands, against the emulator."""

import configparser
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ocihaul.session.store import CredentialStore, public_pem
from tests.logins import Waiting, free_port, go_through
from tests.support import rsa_key
from tests.world import World, world

LOGIN = ("session", "login")
#: A new session in the profile `night`, minted with the profile APIKEY.
MINTED = (*LOGIN, "--no-browser", "--renew-with", "APIKEY", "--profile-name", "night")
#: A login in the browser, up to the option that is wrong with it.
BROWSED = (*LOGIN, "--region", "fra", "--profile-name")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.oci.write_api_key_profile(made.config.parent)
        yield made


def section(w: World, profile: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.read(w.config)
    return dict(parser[profile])


def store(w: World, profile: str, passphrase: str | None = None) -> CredentialStore:
    found = section(w, profile)
    return CredentialStore(
        Path(found["security_token_file"]), Path(found["key_file"]), passphrase=passphrase
    )


class TestMinted:
    def test_a_new_profile(self, w: World) -> None:
        ran = w.run(*MINTED, "--session-expiration-in-minutes", "5")
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert f"Config written to: {w.config}" in ran.err
        assert "--profile night --auth security_token" in ran.err
        pair = store(w, "night").read_once()
        assert pair.token.expires_at - (pair.token.issued_at or 0) == 300
        assert list(section(w, "night")) == [
            *("fingerprint", "key_file", "tenancy", "region", "security_token_file"),
        ]
        assert section(w, "night")["tenancy"] == "ocid1.tenancy.oc1..emulated"
        assert section(w, "night")["region"] == "eu-frankfurt-1"
        for path in Path(section(w, "night")["key_file"]).parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        source = w.file(12 * 2**20)
        assert w.run(*w.put(source, "--profile", "night")).code == 0
        assert w.arrived_whole(source)

    def test_profile_is_the_one_that_signs_as_in_the_stock_command(self, w: World) -> None:
        ran = w.run(
            *(
                "session",
                "authenticate",
                "--no-browser",
                "--profile",
                "APIKEY",
                "--auth",
                "api_key",
            ),
            *("--profile-name", "minted", "--region", "us-ashburn-1"),
        )
        assert ran.code == 0, ran.err
        assert section(w, "minted")["region"] == "us-ashburn-1"
        assert store(w, "minted").read_once().token is not None

    def test_a_session_may_sign_too(self, w: World) -> None:
        ran = w.run(*LOGIN, "--no-browser", "--profile", "DEFAULT", "--profile-name", "child")
        assert ran.code == 0, ran.err
        assert store(w, "child").read_once().token is not None

    def test_a_wish_that_is_refused_is_told(self, w: World) -> None:
        ran = w.run(*MINTED, "--session-expiration-in-minutes", "90")
        assert ran.code == 0, ran.err
        assert "Notice: a session of 90 minutes was refused" in ran.err

    def test_a_public_key_of_ones_own(self, w: World) -> None:
        mine = w.home / "mine.pub"
        mine.write_bytes(public_pem(rsa_key().public_key()))
        ran = w.run(*MINTED, "--public-key-file-path", str(mine))
        assert ran.code == 0, ran.err
        assert "Put the path of your private key after key_file=" in ran.err
        found = section(w, "night")
        assert found["key_file"] == "Update_private_key_path"
        assert not Path(found["security_token_file"]).with_name("oci_api_key.pem").exists()

    def test_a_key_with_a_passphrase_from_the_environment(self, w: World) -> None:
        ran = w.run(*MINTED, "--use-passphrase", OCI_CLI_PASSPHRASE="open sesame")
        assert ran.code == 0, ran.err
        assert "pass_phrase" not in section(w, "night")
        assert store(w, "night", "open sesame").read_once().token is not None

    def test_the_key_of_a_session_stays_when_only_its_token_is_minted(self, w: World) -> None:
        key = w.key_file.read_bytes()
        before = w.token_file.read_text()
        config = w.config.read_bytes()
        w.oci.revoke_all()  # the session is dead, and so is its refresh
        ran = w.run("session", "mint", "--renew-with", "APIKEY")
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert (w.key_file.read_bytes(), w.config.read_bytes()) == (key, config)
        assert w.token_file.read_text() != before
        assert CredentialStore(w.token_file, w.key_file).read_once().token is not None
        source = w.file(12 * 2**20)
        assert w.run(*w.put(source)).code == 0

    def test_an_auth_service_out_of_reach_is_worth_another_try(self, w: World) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        before = w.token_file.read_text()
        ran = w.run("session", "mint", "--renew-with", "APIKEY", "--auth-endpoint", nowhere)
        assert ran.code == 75, ran.err
        assert w.token_file.read_text() == before

    def test_an_api_key_that_is_not_known_is_no_matter_of_trying_again(self, w: World) -> None:
        text = w.config.read_text()
        w.config.write_text(re.sub(r"user=\S+", "user=ocid1.user.oc1..other", text))
        ran = w.run(*MINTED)
        assert ran.code == 1
        assert "401 NotAuthenticated" in ran.err
        assert "user, fingerprint, key_file" in ran.err
        assert "[night]" not in w.config.read_text()


REFUSED = {
    "no profile": ([*LOGIN, "--region", "fra"], "--profile-name is missing"),
    "no region": (
        [*LOGIN, "--profile-name", "x", "--config-location", "none"],
        "--region is missing",
    ),
    "a bad name": ([*BROWSED, "a/b"], "letters, digits"),
    "an API key would be lost": (
        [*BROWSED, "APIKEY"],
        "section [APIKEY] holds an API key",
    ),
    "a public key for the browser": (
        [*BROWSED, "x", "--public-key-file-path", "p"],
        "goes with --no-browser",
    ),
    "no passphrase": (
        [*BROWSED, "x", "--use-passphrase"],
        "OCI_CLI_PASSPHRASE",
    ),
    "a timeout that is none": (
        [*BROWSED, "x", "--timeout", "soon"],
        "--timeout",
    ),
    "nobody to mint": (["session", "mint"], "--renew-with is missing"),
}


@pytest.mark.parametrize(("argv", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_missing_is_asked_for_by_name_and_never_waited_for(
    w: World, argv: list[str], said: str
) -> None:
    before = w.config.read_bytes()
    ran = w.run(*argv, HOME=str(w.home / "empty"))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert w.config.read_bytes() == before


class TestByBrowser:
    """The command, and a browser of sorts: the test itself goes through the pages."""

    def start(self, w: World, *args: str, **environ: str) -> Waiting:
        given = ("--profile-name", "night", "--region", "eu-frankfurt-1")
        return Waiting(w, *given, *args, **environ)

    def test_the_address_is_shown_and_what_comes_back_is_written(self, w: World) -> None:
        text = w.config.read_text()
        w.config.write_text(f"# mine\n{text}")
        waiting = self.start(w)
        go_through(w, waiting.address)
        ran = waiting.ends()
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert "can be renewed until" in ran.err
        assert store(w, "night").read_once().token is not None
        assert w.config.read_text().startswith(f"# mine\n{text}")

    def test_a_machine_without_a_browser_gets_the_line_for_ssh(self, w: World) -> None:
        waiting = self.start(w, SSH_CONNECTION="192.0.2.7 5000 192.0.2.9 22")
        port = urlsplit(waiting.home).port
        go_through(w, waiting.address)
        ran = waiting.ends()
        assert ran.code == 0
        assert re.search(rf"ssh -L {port}:127\.0\.0\.1:{port} \S+@192\.0\.2\.9\n", ran.err)

    def test_a_no_is_told_and_nothing_is_written(self, w: World) -> None:
        before = w.config.read_bytes()
        waiting = self.start(w)
        go_through(w, waiting.address, cancel="")
        ran = waiting.ends()
        assert ran.code == 1
        assert "access_denied" in ran.err
        assert w.config.read_bytes() == before

    def test_finding_a08_a_no_of_a_service_that_names_no_nonce_can_be_tried_again(
        self, w: World
    ) -> None:
        w.oci.configure(login_error_has_nonce=False)
        waiting = self.start(w)
        go_through(w, waiting.address, cancel="")
        go_through(w, waiting.address)
        ran = waiting.ends()
        assert ran.code == 0, ran.err
        assert "it says access_denied, and nothing shows to which login it belongs" in ran.err

    def test_weakness_26_nobody_comes(self, w: World) -> None:
        ran = self.start(w, "--timeout", "0.3s").ends()
        assert ran.code == 1
        assert "no login within" in ran.err

    def test_it_can_be_interrupted(self, w: World) -> None:
        waiting = self.start(w)
        waiting.process.terminate()
        assert waiting.ends().code == 130

    def test_a_taken_port(self, w: World) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            ran = self.start(w, "--callback-port", port).ends()
        assert ran.code == 1
        assert f"port {port} of 127.0.0.1 is taken" in ran.err

    def test_the_life_is_not_ours_to_choose(self, w: World) -> None:
        ran = self.start(w, "--session-expiration-in-minutes", "5", "--timeout", "0s").ends()
        assert "has no effect on a login in the browser" in ran.err
