"""Reading and replacing the pair on disk, with other writers about."""

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from ocihaul.config import Flags, resolve
from ocihaul.errors import CredentialError
from ocihaul.session.credential import SessionToken
from ocihaul.session.diagnostics.snapshot import take_snapshot
from ocihaul.session.login.archive import collect_session
from ocihaul.session.store import (
    CredentialStore,
    StoreBusy,
    read_key_file,
    read_public_key_file,
    write_private,
)
from tests.support import NOW, make_token, pem, rsa_key


def store_in(
    folder: Path, *, token: str | None = None, key: bytes | None = None
) -> CredentialStore:
    (folder / "token").write_text(make_token(rsa_key()) if token is None else token)
    (folder / "key.pem").write_bytes(pem(rsa_key()) if key is None else key)
    return CredentialStore(folder / "token", folder / "key.pem", sleep=lambda _: None)


def test_the_stock_layout_is_read(tmp_path: Path) -> None:
    pair = store_in(tmp_path).read()
    assert pair.token.belongs_to(pair.key.public_key())


@pytest.mark.parametrize("token", ["", "  \n", "eyJ", "<html>"])
def test_a_broken_token_names_its_file_and_the_login(tmp_path: Path, token: str) -> None:
    with pytest.raises(CredentialError) as caught:
        store_in(tmp_path, token=token).read()
    assert str(tmp_path / "token") in str(caught.value)
    assert "ocihaul session login" in str(caught.value)


def test_a_key_of_another_login_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="does not belong to the token"):
        store_in(tmp_path, key=pem(rsa_key(1))).read()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (b"", "is empty"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIE", "cut"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "not a readable"),
        (pem(rsa_key(), "open sesame"), "OCI_CLI_PASSPHRASE"),
    ],
)
def test_a_broken_key_says_what_is_wrong(tmp_path: Path, key: bytes, words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        store_in(tmp_path, key=key).read()


def test_a_key_with_a_passphrase_opens_with_it(tmp_path: Path) -> None:
    store_in(tmp_path, key=pem(rsa_key(), "open sesame"))
    paths = (tmp_path / "token", tmp_path / "key.pem")
    assert CredentialStore(*paths, passphrase="open sesame").read().key.key_size == 2048
    with pytest.raises(CredentialError, match="passphrase is wrong") as caught:
        CredentialStore(*paths, passphrase="sesame", sleep=lambda _: None).read()
    assert "sesame" not in str(caught.value)


def test_a_passphrase_that_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    store_in(tmp_path)
    assert (
        CredentialStore(tmp_path / "token", tmp_path / "key.pem", passphrase="x")
        .read()
        .key.key_size
    )


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="No such file"):
        CredentialStore(tmp_path / "token", tmp_path / "key", sleep=lambda _: None).read()


def test_a_torn_file_is_read_again_before_it_is_believed(tmp_path: Path) -> None:
    whole = make_token(rsa_key())
    store_in(tmp_path, token="")
    reads: list[float] = []

    def writer_finishes(seconds: float) -> None:
        reads.append(seconds)
        if len(reads) == 3:
            (tmp_path / "token").write_text(whole)

    store = CredentialStore(tmp_path / "token", tmp_path / "key.pem", sleep=writer_finishes)
    assert store.read().token.raw == whole
    assert len(reads) == 3


def test_change_is_noticed_by_one_stat(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.read()
    assert not store.changed()
    write_private(tmp_path / "token", make_token(rsa_key(), exp=NOW + 7200).encode())
    assert store.changed()
    store.read()
    assert not store.changed()


def test_replace_is_atomic_private_and_keeps_nothing_behind(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    old = store.read().token
    new = SessionToken.parse(make_token(rsa_key(), exp=NOW + 7200))
    assert store.replace(new, instead_of=old) is None
    assert store.read().token.raw == new.raw
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.pem", "token"]


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "token").symlink_to(tmp_path / "real")
    write_private(tmp_path / "token", b"new")
    assert (tmp_path / "token").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="needs owners")
def test_the_new_file_has_the_owner_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int, int]] = []

    def give(descriptor: int, user: int, group: int) -> None:
        given.append((os.fstat(descriptor).st_size, user, group))

    monkeypatch.setattr(os, "fchown", give)
    (tmp_path / "token").write_bytes(b"old")
    status = (tmp_path / "token").stat()
    write_private(tmp_path / "token", b"new")
    assert given == [(0, status.st_uid, status.st_gid)], "before there is a secret in it"


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="needs owners")
def test_a_file_that_cannot_be_given_away_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", forbidden)
    (tmp_path / "token").write_bytes(b"old")
    write_private(tmp_path / "token", b"new")
    assert (tmp_path / "token").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_where_a_rename_is_forbidden_the_file_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a single file that is mounted into a container."""
    (tmp_path / "token").write_bytes(b"a much longer old content")
    inode = (tmp_path / "token").stat().st_ino
    calls: list[Path] = []

    def busy(self: Path, target: Path) -> Path:
        calls.append(target)
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    write_private(tmp_path / "token", b"new")
    assert len(calls) == 1
    assert (tmp_path / "token").read_bytes() == b"new"
    assert (tmp_path / "token").stat().st_ino == inode
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o604, 0o600, 0o400 | 0o200])
@pytest.mark.parametrize("name", ["token", "key.pem", "config"])
def test_finding_a17_what_is_written_in_place_is_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old and longer")
    path.chmod(mode)
    inode = path.stat().st_ino
    seen: list[int] = []
    fsync = os.fsync

    def forbidden(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    def looking(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    monkeypatch.setattr(os, "fsync", looking)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino == inode  # it was in place
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert seen[0] == 0o600


def test_finding_a17_a_file_of_somebody_elses_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"old")
    path.chmod(0o666)
    refused: list[int] = []

    def forbidden(*arguments: int, **_: object) -> None:
        refused.append(len(arguments))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("tempfile.mkstemp", forbidden)
    monkeypatch.setattr(os, "fchmod", forbidden)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert refused == [0, 2]


def test_a_login_by_someone_else_is_not_overwritten(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    old = store.read().token
    login = make_token(rsa_key(1), exp=NOW + 7200)
    (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))
    (tmp_path / "token").write_text(login)
    ours = SessionToken.parse(make_token(rsa_key(), exp=NOW + 9000))
    assert store.replace(ours, instead_of=old) == "another login has replaced it"
    assert (tmp_path / "token").read_text() == login


def test_a_file_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path)
    old = store.read().token

    def read_only(*args: object, **kwargs: object) -> object:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    monkeypatch.setattr(Path, "open", read_only)
    problem = store.replace(old, instead_of=old)
    assert problem == f"{tmp_path / 'token'} cannot be written: Read-only file system"


def test_the_lock_excludes_and_gives_up_in_time(tmp_path: Path) -> None:
    first, second = store_in(tmp_path), store_in(tmp_path)
    with first.lock(1.0), pytest.raises(StoreBusy), second.lock(0.1):
        pass
    with second.lock(0.1):
        pass


def test_weakness_20_no_reader_ever_sees_a_torn_pair_while_it_is_replaced(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    old = first = store.read().token
    done = threading.Event()
    seen: set[str] = set()
    trouble: list[str] = []

    def read() -> None:
        reader = CredentialStore(tmp_path / "token", tmp_path / "key.pem")
        while not done.is_set():
            try:
                seen.add(reader.read_once().token.raw)
            except CredentialError as error:
                trouble.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    tokens = [SessionToken.parse(make_token(rsa_key(), exp=NOW + 3600 + n)) for n in range(100)]
    for token in tokens:
        assert store.replace(token, instead_of=old) is None
        old = token
    done.set()
    for reader in readers:
        reader.join()
    assert not trouble
    assert len(seen) > 1
    assert seen <= {token.raw for token in [first, *tokens]}


def test_in_a_directory_that_is_not_ours_the_lock_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = store_in(tmp_path), store_in(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with first.lock(1.0):
        assert not list(tmp_path.glob("*.lock"))
        with pytest.raises(StoreBusy), second.lock(0.1):
            pass


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs user ids")
def test_a_lock_elsewhere_is_named_after_user_device_and_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = (store_in(tmp_path).token_file).stat()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with store_in(tmp_path).lock(1.0):
        (lock,) = tmp_path.glob("*.lock")
    assert lock.name == f"ocihaul-{os.getuid()}-{status.st_dev:x}-{status.st_ino:x}.lock"


def test_a_file_that_can_be_neither_key_nor_token_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A profile may name a log, a disk, or a device that never ends."""
    store = store_in(tmp_path)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(2**40)  # more than there is memory
    too_large = "cannot be read: it has more than 1048576 bytes"
    for token_file, key_file in ((huge, tmp_path / "key.pem"), (tmp_path / "token", huge)):
        with pytest.raises(CredentialError, match=too_large):
            CredentialStore(token_file, key_file).read_once()
    for read in (read_key_file, read_public_key_file):
        with pytest.raises(CredentialError, match=too_large):
            read(huge)
    token = store.read().token
    assert CredentialStore(huge, tmp_path / "key.pem").replace(token, instead_of=token) is None
    assert huge.read_text() == token.raw


def test_neither_status_nor_export_reads_such_a_file(tmp_path: Path) -> None:
    store_in(tmp_path)
    huge, config = tmp_path / "huge", tmp_path / "config"
    with huge.open("wb") as file:
        file.truncate(2**40)
    config.write_text(
        f"[N]\nregion=eu-frankfurt-1\nkey_file={tmp_path}/key.pem\nsecurity_token_file={huge}\n"
    )
    flags = Flags(config_file=str(config), profile="N", auth="security_token")
    seen = take_snapshot(resolve(flags, {}, tmp_path), sleep=lambda _: None)
    too_large = "cannot be read: it has more than 1048576 bytes"
    assert seen.problems == (f"the token file {huge} {too_large}",)
    with pytest.raises(CredentialError, match=too_large):
        collect_session(config, "N", home=tmp_path, passphrase=None, sleep=lambda _: None)
