"""A session on disk: layout, permissions, and what happens to what was there before."""

import os
import stat
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from ocihaul.config import Flags, resolve
from ocihaul.errors import ConfigError, CredentialError, UsageError
from ocihaul.session.credential import SessionToken
from ocihaul.session.login import profile_files
from ocihaul.session.login.profile_files import NewSession, write_session, write_token
from ocihaul.session.login.profile_paths import (
    check_profile_name,
    find_paths,
    is_api_key_profile,
    prepare,
)
from ocihaul.session.session import store_for
from ocihaul.session.store import CredentialStore, fingerprint
from tests.support import make_token, pem, rsa_key

OLD = """# my profiles
[DEFAULT]
user = ocid1.user.oc1..u   ; mine
key_file = /keys/api.pem

[night]
# by hand
region = us-ashburn-1
"""


def new_session(which: int = 0) -> NewSession:
    key = rsa_key(which)
    return NewSession(SessionToken.parse(make_token(key)), key.public_key(), key)


def write(home: Path, profile: str = "night", which: int = 0, **more: object) -> None:
    place = find_paths(
        profile, config_file=home / ".oci" / "config", token_location=None, home=home
    )
    given = {"tenancy": "ocid1.tenancy.oc1..t", "region": "eu-frankfurt-1"} | more
    write_session(place, new_session(which), **given)  # type: ignore[arg-type]  # by name


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_layout_is_the_stock_one_and_closed_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path)
    finally:
        os.umask(before)
    folder = tmp_path / ".oci" / "sessions" / "night"
    names = {"oci_api_key.pem", "oci_api_key_public.pem", "token"}
    assert names <= {path.name for path in folder.iterdir()}
    assert {mode(folder / name) for name in names} == {0o600}
    assert {mode(path) for path in (folder, folder.parent, folder.parent.parent)} == {0o700}
    assert mode(tmp_path / ".oci" / "config") == 0o600
    assert (folder / "oci_api_key.pem").read_bytes().endswith(b"-----\nOCI_API_KEY")
    assert (tmp_path / ".oci" / "config").read_text() == (
        "[night]\n"
        f"fingerprint={fingerprint(rsa_key().public_key())}\n"
        f"key_file={folder}/oci_api_key.pem\n"
        "tenancy=ocid1.tenancy.oc1..t\n"
        "region=eu-frankfurt-1\n"
        f"security_token_file={folder}/token\n"
    )


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_what_is_written_can_be_resolved_and_read(tmp_path: Path, passphrase: str | None) -> None:
    write(tmp_path, passphrase=passphrase, keep_passphrase=True)
    settings = resolve(Flags(profile="night", auth="security_token"), {}, tmp_path)
    pair = store_for(settings).read_once()
    assert pair.token.belongs_to(rsa_key().public_key())
    assert settings.region == "eu-frankfurt-1"
    assert (settings.passphrase, settings.notices) == (passphrase, ())


def test_a_passphrase_that_is_not_to_be_kept_is_nowhere(tmp_path: Path) -> None:
    write(tmp_path, passphrase="open sesame")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"sesame" not in path.read_bytes()


def test_the_rest_of_the_config_file_stays_byte_for_byte(tmp_path: Path) -> None:
    config = tmp_path / ".oci" / "config"
    config.parent.mkdir()
    config.write_bytes(OLD.encode() + b"# caf\xe9\n[last]\nx=1\n")
    with pytest.raises(ConfigError):  # the file is not UTF-8, and no tool can read it
        write(tmp_path)
    config.write_text(OLD)
    write(tmp_path)
    text = config.read_text()
    assert text.startswith(OLD.replace("us-ashburn-1", "eu-frankfurt-1"))
    assert "security_token_file=" in text


def test_a_profile_that_has_its_files_elsewhere_keeps_them_there(tmp_path: Path) -> None:
    config = tmp_path / ".oci" / "config"
    place = find_paths("night", config_file=config, token_location=tmp_path / "mnt", home=tmp_path)
    write_session(place, new_session(), tenancy="t", region="eu-frankfurt-1")
    write(tmp_path, which=1)
    token, key = (tmp_path / "mnt" / "night" / name for name in ("token", "oci_api_key.pem"))
    pair = CredentialStore(token, key).read_once()
    assert pair.token.belongs_to(rsa_key(1).public_key())
    assert not (tmp_path / ".oci" / "sessions").exists()


def test_paths_that_count_in_a_container_too_stay_as_they_are_written(tmp_path: Path) -> None:
    write(tmp_path)
    config = tmp_path / ".oci" / "config"
    config.write_text(config.read_text().replace(f"{tmp_path}/", "~/"))
    assert "key_file=~/.oci/sessions/night/oci_api_key.pem\n" in config.read_text()
    paths = [line for line in config.read_text().splitlines() if "_file=" in line]
    write(tmp_path, which=1)
    assert [line for line in config.read_text().splitlines() if "_file=" in line] == paths
    folder = tmp_path / ".oci" / "sessions" / "night"
    pair = CredentialStore(folder / "token", folder / "oci_api_key.pem").read_once()
    assert pair.token.belongs_to(rsa_key(1).public_key())


def test_the_key_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    config = tmp_path / ".oci" / "config"
    config.parent.mkdir()
    mine = config.parent / "mine.pem"
    mine.write_bytes(pem(rsa_key(3)))
    config.write_text(f"[night]\nkey_file={mine}\nsecurity_token_file={config.parent}/token\n")
    write(tmp_path)
    assert mine.read_bytes() == pem(rsa_key(3))


def test_an_api_key_profile_is_known_as_one(tmp_path: Path) -> None:
    config = tmp_path / "config"
    assert not is_api_key_profile(config, "DEFAULT")
    config.write_text(OLD)
    assert is_api_key_profile(config, "DEFAULT")
    assert not is_api_key_profile(config, "night")  # it only inherits


@pytest.mark.parametrize("value", ["", "  "])
def test_finding_e06_an_empty_token_file_makes_no_session_of_an_api_key(
    tmp_path: Path, value: str
) -> None:
    config = tmp_path / "config"
    config.write_text(f"[KEYS]\nuser=ocid1.user.oc1..me\nsecurity_token_file={value}\n")
    assert is_api_key_profile(config, "KEYS")
    config.write_text("[KEYS]\nuser=ocid1.user.oc1..me\nsecurity_token_file=/t\n")
    assert not is_api_key_profile(config, "KEYS")


def test_only_the_public_key_of_a_session_whose_key_we_do_not_have(tmp_path: Path) -> None:
    place = find_paths("night", config_file=tmp_path / "c", token_location=tmp_path, home=tmp_path)
    theirs = new_session()
    kept = NewSession(theirs.token, theirs.public_key, None)
    write_session(place, kept, tenancy=None, region="eu-frankfurt-1")
    assert not place.key_file.exists()
    assert "key_file=Update_private_key_path\n" in (tmp_path / "c").read_text()
    assert "tenancy" not in (tmp_path / "c").read_text()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "[x]", "näh", "a\n"])
def test_a_bad_profile_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits"):
        check_profile_name(name)


def test_a_directory_that_cannot_be_made_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / ".oci").mkdir()
    (tmp_path / ".oci" / "sessions").write_text("in the way")
    with pytest.raises(CredentialError, match="sessions/night") as caught:
        write(tmp_path)
    with pytest.raises(CredentialError, match="sessions/night"):
        prepare(
            find_paths(
                "night",
                config_file=tmp_path / "config",
                token_location=tmp_path / ".oci" / "sessions",
                home=tmp_path,
            )
        )
    assert "`token_location`" in (caught.value.hint or "")
    assert not (tmp_path / ".oci" / "config").exists()


def test_what_cannot_be_written_is_known_before_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / ".oci" / "config"
    place = find_paths("night", config_file=config, token_location=None, home=tmp_path)
    prepare(place)
    assert mode(place.directory) == 0o700
    closed = {place.directory}
    monkeypatch.setattr(os, "access", lambda path, _: path not in closed and path.exists())
    with pytest.raises(CredentialError, match=r"oci_api_key\.pem: Permission denied"):
        prepare(place)
    closed = {config.parent}
    with pytest.raises(ConfigError, match=r"config, section \[night\] cannot be written"):
        prepare(place)
    config.touch()  # a file that is mounted by itself
    prepare(place)


def test_a_value_that_the_config_cannot_hold_is_known_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="pass_phrase"):
        write(tmp_path, passphrase=" x", keep_passphrase=True)
    assert list(tmp_path.rglob("*.pem")) == []


def test_a_config_file_that_another_process_keeps_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_files, "_LOCK_TIMEOUT", 0.1)
    config = tmp_path / ".oci" / "config"
    config.parent.mkdir()
    with (
        FileLock(f"{config}.lock", is_singleton=False),
        pytest.raises(ConfigError, match="another process"),
    ):
        write(tmp_path)
    assert not config.exists()


def test_a_token_alone_is_replaced_even_when_the_old_one_is_broken(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("cut")
    fresh = new_session().token
    write_token(CredentialStore(token_file, None), fresh)
    assert token_file.read_text() == fresh.raw
    assert mode(token_file) == 0o600


def test_no_reader_ever_gets_a_pair_that_does_not_match(tmp_path: Path) -> None:
    write(tmp_path)
    folder = tmp_path / ".oci" / "sessions" / "night"
    store = CredentialStore(folder / "token", folder / "oci_api_key.pem")
    done = threading.Event()
    problems: list[Exception] = []
    pairs = 0

    def read() -> None:
        nonlocal pairs
        while not done.is_set():
            try:
                pair = store.read()
                assert pair.token.belongs_to(pair.key.public_key())
                pairs += 1
            except Exception as error:  # noqa: BLE001  shown below, from the test's own thread
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        write(tmp_path, which=turn % 2)
    done.set()
    reader.join()
    assert problems == []
    assert pairs > 0
