"""What is seen of a session's files, and what follows from it."""

import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ocihaul.config import Flags, Settings, resolve
from ocihaul.session.diagnostics.snapshot import Snapshot, is_usable, renewal_options, take_snapshot
from ocihaul.session.lockfile import lock_at, lock_file_for
from tests.support import NOW, make_token, pem, rsa_key


def settings_in(
    folder: Path, token: str | None = None, *, key: int = 0, endpoint: bool = True
) -> Settings:
    """A profile whose token (if none is given) is of one hour from NOW, of a session of a day."""
    token = make_token(rsa_key(), sess_exp=NOW + 86400) if token is None else token
    (folder / "token").write_text(token)
    (folder / "key.pem").write_bytes(pem(rsa_key(key)))
    (folder / "config").write_text(
        f"[DEFAULT]\nkey_file={folder}/key.pem\nsecurity_token_file={folder}/token\n"
    )
    for name in ("token", "key.pem", "config"):
        (folder / name).chmod(0o600)
    folder.chmod(0o700)
    flags = Flags(
        config_file=str(folder / "config"),
        auth="security_token",
        auth_endpoint="https://auth.example" if endpoint else None,
    )
    return resolve(flags, {}, folder, needs_region=False)


def look(settings: Settings) -> Snapshot:
    return take_snapshot(settings, now=time.time, sleep=lambda _: None)


def test_a_sound_session_is_usable_until_its_token_ends(tmp_path: Path) -> None:
    seen = look(settings_in(tmp_path))
    assert seen.problems == ()
    assert seen.key_matches
    assert is_usable(seen, NOW + 3599)
    assert not is_usable(seen, NOW + 3600)
    assert [each.private for each in seen.files] == [True] * 4
    assert seen.replaceable == "rename"
    assert seen.last_renewal == (tmp_path / "token").stat().st_mtime


def test_it_is_refreshed_until_the_session_ends(tmp_path: Path) -> None:
    how = renewal_options(look(settings_in(tmp_path)), NOW)
    assert how.refresh_error is None
    assert how.until == NOW + 86400
    assert how.possible


@pytest.mark.parametrize(
    ("token", "endpoint", "at", "words"),
    [
        (make_token(rsa_key(), sess_exp=NOW + 3600), True, NOW, "as long as its session"),
        (make_token(rsa_key()), True, NOW + 3601, "expired"),
        (make_token(rsa_key()), False, NOW, "no region"),
        ("", True, NOW, "no usable pair"),
    ],
)
def test_what_cannot_be_refreshed_says_why(
    tmp_path: Path, token: str, endpoint: bool, at: float, words: str
) -> None:
    seen = look(settings_in(tmp_path, token, endpoint=endpoint))
    how = renewal_options(seen, at)
    assert how.refresh_error is not None
    assert words in how.refresh_error
    assert not how.possible
    assert renewal_options(replace(seen, mint_with="KEY"), at).possible


def test_a_key_of_another_login_is_a_problem_and_not_an_error(tmp_path: Path) -> None:
    seen = look(settings_in(tmp_path, key=1))
    assert seen.key_matches is False
    assert "does not belong" in seen.problems[0]
    assert not is_usable(seen, NOW)


def test_a_torn_token_is_looked_at_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "")
    whole = make_token(rsa_key())

    def finish_writing(_: float) -> None:
        (tmp_path / "token").write_text(whole)

    assert take_snapshot(settings, sleep=finish_writing).key_matches


def test_open_files_closed_directories_and_leftovers_are_seen(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    old, fresh = tmp_path / ".token.abc", tmp_path / ".token.def"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (1, 1))
    seen = look(settings)
    key = seen.file("key")
    assert key is not None
    assert key.private is False
    assert seen.leftovers == (old,)


def test_the_holder_of_the_lock_is_named(tmp_path: Path) -> None:
    path = lock_file_for(tmp_path / "token")
    assert lock_at(path).held is False
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lock = lock_at(path)
    assert lock.held
    assert lock.pid in {os.getpid(), None}
    assert lock_at(path).held is False


def test_what_was_left_of_a_token_with_an_odd_name_is_seen(tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path), token_file=tmp_path / "token[1]*")
    old = tmp_path / ".token[1]*.abc"
    for path in (old, tmp_path / ".token1x.abc"):
        path.touch()
        os.utime(path, (1, 1))
    assert look(settings).leftovers == (old,)
