"""Session archives: what goes in, what comes out, and what is refused."""

import io
import os
import stat
import time
import warnings
import zipfile
from pathlib import Path

import pytest

from ocihaul.errors import ConfigError, CredentialError, UsageError
from ocihaul.session.login.archive import SessionArchive, collect_session, pack, read_archive
from ocihaul.session.login.profile_files import remove_session, write_imported
from ocihaul.session.login.profile_paths import find_paths
from ocihaul.session.store import CredentialStore
from tests.support import make_token, pem, rsa_key

CONFIG = """\
# by hand
[DEFAULT]
user = ocid1.user.oc1..someone
tenancy = ocid1.tenancy.oc1..t
pass_phrase = for another key
region = eu-frankfurt-1

[NIGHT]
key_file = ~/.oci/sessions/NIGHT/oci_api_key.pem
security_token_file = ~/.oci/sessions/NIGHT/token
fingerprint = aa:bb
note = 100% sure

[LAST]
user = ocid1.user.oc1..another
"""


def write_home(home: Path, *, which: int = 0) -> Path:
    """Two profiles, one of them a session; returns the config file."""
    directory = home / ".oci" / "sessions" / "NIGHT"
    directory.mkdir(parents=True)
    directory.joinpath("oci_api_key.pem").write_bytes(pem(rsa_key(which)) + b"OCI_API_KEY")
    directory.joinpath("oci_api_key_public.pem").write_text("public")
    directory.joinpath("token").write_text(make_token(rsa_key(which)))
    config = home / ".oci" / "config"
    config.write_text(CONFIG)
    return config


def collected(home: Path) -> SessionArchive:
    archive, token = collect_session(
        home / ".oci" / "config", "NIGHT", home=home, passphrase=None, sleep=lambda _: None
    )
    assert token.raw == (home / ".oci/sessions/NIGHT/token").read_text()
    return archive


def zipped(members: dict[str, bytes | str], *, mode: int = stat.S_IFREG | 0o600) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, content)
    return packed.getvalue()


SECTION = "[NIGHT]\nkey_file = k.pem\nsecurity_token_file = t\n"


def members(config: str = SECTION) -> dict[str, bytes | str]:
    return {"config": config, "k.pem": pem(rsa_key()), "t": make_token(rsa_key())}


# Export


def test_an_archive_is_flat_and_has_only_what_the_session_needs(tmp_path: Path) -> None:
    write_home(tmp_path)
    with zipfile.ZipFile(io.BytesIO(pack(collected(tmp_path)))) as file:
        assert sorted(file.namelist()) == ["config", "oci_api_key.pem", "token"]
        text = file.read("config").decode()
        modes = {stat.S_IMODE(info.external_attr >> 16) for info in file.infolist()}
    assert modes == {0o600}
    assert text.splitlines()[0] == "[NIGHT]"
    assert "key_file = oci_api_key.pem" in text
    assert "security_token_file = token" in text
    assert "region = eu-frankfurt-1" in text, "inherited from DEFAULT"
    assert "note = 100%% sure" in text, "the official CLI interpolates"
    assert "for another key" not in text, "the passphrase of another profile"
    assert "ocid1.user" not in text


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    write_home(tmp_path)
    archive = collected(tmp_path)
    path = tmp_path / "night.zip"
    path.write_bytes(pack(archive))
    assert read_archive(path) == archive


def test_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    write_home(tmp_path)
    config = tmp_path / ".oci" / "config"
    other = tmp_path / "other" / "token"
    other.parent.mkdir()
    other.write_text("another secret")
    text = config.read_text().replace("note = ", f"delegation_token_file = {other}\nnote = ")
    config.write_text(text)
    archive = collected(tmp_path)
    assert archive.file_of("delegation_token_file") == b"another secret"
    assert archive.file_of("security_token_file").startswith(b"eyJ")


def test_a_passphrase_goes_with_the_key_that_it_opens(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    key = tmp_path / ".oci/sessions/NIGHT/oci_api_key.pem"
    key.write_bytes(pem(rsa_key(), passphrase="for another key"))
    archive = collected(tmp_path)
    assert archive.options["pass_phrase"] == "for another key"
    config.write_text(CONFIG.replace("pass_phrase = for another key\n", ""))
    archive, _ = collect_session(config, "NIGHT", home=tmp_path, passphrase=None)
    assert "pass_phrase" not in archive.options
    assert archive.public_key(None) is None
    assert archive.public_key("for another key") is not None


@pytest.mark.parametrize(
    ("profile", "error", "words"),
    [
        ("LAST", ConfigError, "is no session"),
        ("NONE", ConfigError, "has no profile 'NONE'"),
        ("../NIGHT", UsageError, "invalid profile name"),
    ],
)
def test_what_is_no_session_is_not_exported(
    tmp_path: Path, profile: str, error: type[Exception], words: str
) -> None:
    config = write_home(tmp_path)
    with pytest.raises(error, match=words):
        collect_session(config, profile, home=tmp_path, passphrase=None)


def test_a_login_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    key = tmp_path / ".oci/sessions/NIGHT/oci_api_key.pem"
    whole = key.read_bytes()
    key.write_bytes(pem(rsa_key(1)))
    slept: list[float] = []

    def finish(seconds: float) -> None:
        slept.append(seconds)
        key.write_bytes(whole)

    archive, _ = collect_session(config, "NIGHT", home=tmp_path, passphrase=None, sleep=finish)
    assert archive.file_of("key_file") == whole
    assert len(slept) == 1
    key.write_bytes(pem(rsa_key(1)))
    with pytest.raises(CredentialError, match="does not belong to its token"):
        collect_session(config, "NIGHT", home=tmp_path, passphrase=None, sleep=lambda _: None)


# Import


def install(home: Path, archive: SessionArchive) -> Path:
    config = home / ".oci" / "config"
    paths = find_paths(archive.profile, config_file=config, token_location=None, home=home)
    write_imported(paths, archive, archive.public_key(None), home=home)
    return config


def test_an_import_writes_what_a_login_writes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_home(tmp_path / "a")
    mask = os.umask(0)
    try:
        config = install(tmp_path / "b", collected(tmp_path / "a"))
    finally:
        os.umask(mask)
    directory = tmp_path / "b/.oci/sessions/NIGHT"
    text = config.read_text()
    assert "key_file=~/.oci/sessions/NIGHT/oci_api_key.pem\n" in text
    assert "security_token_file=~/.oci/sessions/NIGHT/token\n" in text
    assert "note=100% sure" in text
    pair = CredentialStore(directory / "token", directory / "oci_api_key.pem").read_once()
    assert pair.token.raw == make_token(rsa_key())
    assert directory.joinpath("oci_api_key_public.pem").read_text().startswith("-----BEGIN PUBLIC")
    for path in (config, *directory.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_files_outside_of_the_home_directory_are_named_in_full(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write_home(tmp_path / "a")
    archive = collected(tmp_path / "a")
    config = tmp_path / "elsewhere" / "config"
    paths = find_paths("NIGHT", config_file=config, token_location=None, home=tmp_path / "bare")
    write_imported(paths, archive, archive.public_key(None), home=tmp_path / "b")
    directory = tmp_path / "bare/.oci/sessions/NIGHT"
    assert f"key_file={directory}/oci_api_key.pem\n" in config.read_text()


def test_an_import_replaces_the_whole_profile_and_nothing_else(tmp_path: Path) -> None:
    for name, which in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        write_home(tmp_path / name, which=which)
    there = tmp_path / "b/.oci/config"
    there.write_text(CONFIG.replace("note = 100% sure", "old = 1"))
    config = install(tmp_path / "b", collected(tmp_path / "a"))
    text = config.read_text()
    assert "key_file = ~/.oci/sessions/NIGHT/oci_api_key.pem" in text, "as it was written"
    assert "note=100% sure" in text
    assert "old" not in text
    assert text.startswith("# by hand\n[DEFAULT]\nuser = ocid1.user.oc1..someone\n")
    assert text.endswith("[LAST]\nuser = ocid1.user.oc1..another\n")
    directory = tmp_path / "b/.oci/sessions/NIGHT"
    pair = CredentialStore(directory / "token", directory / "oci_api_key.pem").read_once()
    assert pair.token.raw == make_token(rsa_key())


def test_a_further_file_cannot_take_the_place_of_key_or_token(tmp_path: Path) -> None:
    archive = SessionArchive(
        "NIGHT",
        {"key_file": "k", "security_token_file": "t", "x_file": "token", "y_file": "notes"},
        {"k": pem(rsa_key()), "t": make_token(rsa_key()).encode(), "token": b"x", "notes": b"y"},
    )
    install(tmp_path, archive)
    directory = tmp_path / ".oci/sessions/NIGHT"
    assert directory.joinpath("token").read_text() == make_token(rsa_key())
    assert directory.joinpath("x_file").read_bytes() == b"x"
    assert directory.joinpath("notes").read_bytes() == b"y"


REFUSED: dict[str, tuple[bytes, str]] = {
    "a path up": (zipped({**members(), "../../.ssh/authorized_keys": b"x"}), "has a path"),
    "an absolute path": (zipped({**members(), "/etc/cron.d/x": b"x"}), "has a path"),
    "a path of Windows": (zipped({**members(), "..\\x": b"x"}), "has a path"),
    "a drive": (zipped({**members(), "C:x": b"x"}), "has a path"),
    "a directory": (zipped({**members(), "d/": b""}), "has a path"),
    "a link": (zipped(members(), mode=stat.S_IFLNK | 0o777), "is a link"),
    "a pipe": (zipped(members(), mode=stat.S_IFIFO | 0o600), "is a link or no file"),
    "too many members": (
        zipped({**members(), **{f"m{number}": b"" for number in range(20)}}),
        "more than 20 members",
    ),
    "a large member": (zipped({**members(), "large": bytes(2**20 + 1)}), "more than 1048576"),
    "no config": (zipped({"k.pem": b"", "t": b""}), "no member 'config'"),
    "an odd config": (zipped(members("no section = 1\n")), "before the first section"),
    "a binary config": (zipped({**members(), "config": b"\xff\xfe"}), "is no text"),
    "an empty config": (zipped(members("")), "has no profile"),
    "a name with a path": (
        zipped(members(SECTION.replace("NIGHT", "../NIGHT"))),
        "invalid profile name",
    ),
    "an API key": (zipped(members("[A]\nuser = u\nkey_file = k.pem\n")), "no security_token_file"),
    "a file elsewhere": (
        zipped(members(SECTION.replace("k.pem", "/etc/shadow"))),
        "key_file names a file that is not a member",
    ),
    "the config as a key": (zipped(members(SECTION.replace("k.pem", "config"))), "not a member"),
    "no archive": (b"-----BEGIN", "no ZIP file"),
    "nothing": (b"", "no ZIP file"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_session_archive_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(content)
    with pytest.raises(CredentialError, match=words) as caught:
        read_archive(path)
    assert "is no session archive" in caught.value.message


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as file:
        warnings.simplefilter("ignore")
        for name, content in [*members().items(), ("t", "another")]:
            file.writestr(name, content)
    path = tmp_path / "twice.zip"
    path.write_bytes(packed.getvalue())
    with pytest.raises(CredentialError, match="is there twice"):
        read_archive(path)


def test_whatever_byte_is_damaged_is_an_error_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    write_home(tmp_path / "home")
    whole = pack(collected(tmp_path / "home"))
    path = tmp_path / "damaged.zip"
    said: list[str] = []
    for index in range(0, len(whole), 7):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :])
        try:
            read_archive(path)
        except CredentialError as error:
            said.append(str(error))
    assert len(said) > len(whole) / 7 / 2
    assert not any("eyJ" in each for each in said)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("t", b"", "token is empty"), ("t", b"eyJ", "cut or not a JWT"), ("k.pem", b"x", "PEM")],
)
def test_a_broken_key_or_token_is_not_imported(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(zipped({**members(), name: content}))
    with pytest.raises(CredentialError, match=words):
        read_archive(path).check(None)


def test_a_key_of_another_session_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    path.write_bytes(zipped({**members(), "k.pem": pem(rsa_key(1))}))
    with pytest.raises(CredentialError, match="does not belong"):
        read_archive(path).check(None)


# Terminate


def test_a_removal_takes_the_files_and_the_section_and_nothing_else(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    directory = tmp_path / ".oci/sessions/NIGHT"
    directory.joinpath(".token.x7").write_text("a token that a killed writer has left")
    removed = remove_session(config, "NIGHT", home=tmp_path)
    assert {path.name for path in removed.files} == {
        "oci_api_key.pem",
        "oci_api_key_public.pem",
        "token",
        ".token.x7",
    }
    assert removed.left == ()
    assert not directory.exists()
    before, _, after = CONFIG.partition("[NIGHT]")
    assert config.read_text() == before + "[LAST]" + after.partition("[LAST]")[2]


def test_files_that_are_not_the_sessions_own_are_left(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    notes = tmp_path / ".oci/sessions/NIGHT/notes.txt"
    notes.write_text("mine")
    removed = remove_session(config, "NIGHT", home=tmp_path)
    assert removed.left == (notes,)
    assert [each.name for each in notes.parent.iterdir()] == ["notes.txt"]
    key, token = tmp_path / "api_key.pem", tmp_path / "t"
    for path in (key, token):
        path.write_text("x")
    with config.open("a") as file:
        file.write(f"[ODD]\nkey_file={key}\nsecurity_token_file={token}\n")
    removed = remove_session(config, "ODD", home=tmp_path)
    assert (removed.files, removed.left) == ((), (key, token))
    assert key.exists()
    assert token.exists()
    assert "ODD" not in config.read_text()


def test_files_that_another_profile_uses_are_left(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    text = config.read_text()
    section = text[text.index("[NIGHT]") : text.index("[LAST]")]
    config.write_text(text + section.replace("NIGHT]", "TWIN]"))
    removed = remove_session(config, "NIGHT", home=tmp_path)
    directory = tmp_path / ".oci/sessions/NIGHT"
    assert (removed.files, removed.left) == ((), (directory,))
    assert directory.joinpath("token").exists()
    assert "[TWIN]" in config.read_text()


def test_a_link_in_place_of_the_key_is_removed_and_not_followed(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    key = tmp_path / ".oci/sessions/NIGHT/oci_api_key.pem"
    real = tmp_path / "real.pem"
    key.rename(real)
    key.symlink_to(real)
    remove_session(config, "NIGHT", home=tmp_path)
    assert real.exists()
    assert not key.is_symlink()


def test_what_is_gone_already_does_not_stop_a_removal(tmp_path: Path) -> None:
    config = write_home(tmp_path)
    (tmp_path / ".oci/sessions/NIGHT/token").unlink()
    removed = remove_session(config, "NIGHT", home=tmp_path)
    assert len(removed.files) == 2
    with pytest.raises(ConfigError, match="has no profile 'NIGHT'"):
        remove_session(config, "NIGHT", home=tmp_path)
    with pytest.raises(ConfigError, match="is no session"):
        remove_session(config, "LAST", home=tmp_path)


def test_an_import_names_its_files_in_full_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    """As the official CLI does: its SDKs' examples open the token by the path that is there."""
    (tmp_path / "a").mkdir()
    write_home(tmp_path / "a")
    archive = collected(tmp_path / "a")
    home = tmp_path / "b"
    config = home / ".oci" / "config"
    paths = find_paths("NIGHT", config_file=config, token_location=None, home=home)
    write_imported(paths, archive, archive.public_key(None))
    assert f"security_token_file={home}/.oci/sessions/NIGHT/token\n" in config.read_text()


def test_an_archive_is_made_where_the_clock_begins_in_1970(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_home(tmp_path)
    archive, _ = collect_session(config, "NIGHT", home=tmp_path, passphrase=None)
    monkeypatch.setattr(time, "localtime", lambda: time.gmtime(60.0))
    (tmp_path / "a.zip").write_bytes(pack(archive))
    monkeypatch.undo()
    assert read_archive(tmp_path / "a.zip").profile == "NIGHT"
