"""Bytes that a token never has: base64 decoders skip them, headers and errors do not."""

from pathlib import Path

import pytest

from ocihaul.errors import CredentialError
from ocihaul.session.credential import SessionToken
from ocihaul.session.store import CredentialStore
from tests.support import NOW, make_token, pem, rsa_key


@pytest.mark.parametrize("rubbish", ["\n", " ", "\0", "\0" * 512, "\ufffd", '"', "\r\nx: y"])
@pytest.mark.parametrize("where", [40, 600, None])
def test_a_token_with_rubbish_in_it_is_refused_before_a_header_quotes_it(
    rubbish: str, where: int | None
) -> None:
    text = make_token(rsa_key())
    where = len(text) if where is None else where
    damaged = text[:where] + rubbish + text[where:]
    if damaged.strip() == text:
        pytest.skip("white space around a token is allowed")
    with pytest.raises(CredentialError):
        SessionToken.parse(damaged)


@pytest.mark.parametrize("rubbish", ["!", '"', "\n", "\x7f", "+", "/", "=", "é", "\udcff"])
def test_what_base64_decoders_skip_is_refused_and_not_quoted(rubbish: str) -> None:
    text = make_token(rsa_key())
    with pytest.raises(CredentialError) as caught:
        SessionToken.parse(text[:40] + 4 * rubbish + text[40:])
    assert rubbish not in str(caught.value)


def a_store(home: Path) -> CredentialStore:
    (home / "key.pem").write_bytes(pem(rsa_key()))
    (home / "token").write_text(make_token(rsa_key()))
    return CredentialStore(home / "token", home / "key.pem", sleep=lambda _: None)


def test_half_a_login_that_came_token_first_is_not_overwritten(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    old = store.read().token
    login = make_token(rsa_key(1), exp=NOW + 7200)
    (tmp_path / "token").write_text(login)  # its key is about to follow
    ours = SessionToken.parse(make_token(rsa_key(), exp=NOW + 9000))
    assert store.replace(ours, instead_of=old) == "another login has replaced it"
    assert (tmp_path / "token").read_text() == login


def test_half_a_login_that_came_key_first_is_not_interfered_with(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    old = store.read().token
    (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))  # its token is about to follow
    ours = SessionToken.parse(make_token(rsa_key(), exp=NOW + 9000))
    assert store.replace(ours, instead_of=old) == "another login is replacing it"
    assert (tmp_path / "token").read_text() == old.raw


def test_a_newer_token_of_the_same_session_is_not_overwritten(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    old = store.read().token
    theirs = make_token(rsa_key(), iat=NOW + 1801, exp=NOW + 5401)
    (tmp_path / "token").write_text(theirs)  # the official CLI knows no lock
    ours = SessionToken.parse(make_token(rsa_key(), iat=NOW + 1800, exp=NOW + 5400))
    assert store.replace(ours, instead_of=old) == "a newer token has replaced it"
    assert (tmp_path / "token").read_text() == theirs


@pytest.mark.parametrize("torn", ["", "eyJhbGciOi"])
def test_a_torn_token_is_made_whole(tmp_path: Path, torn: str) -> None:
    store = a_store(tmp_path)
    old = store.read().token
    (tmp_path / "token").write_text(torn)
    ours = SessionToken.parse(make_token(rsa_key(), exp=NOW + 9000))
    assert store.replace(ours, instead_of=old) is None
    assert (tmp_path / "token").read_text() == ours.raw
