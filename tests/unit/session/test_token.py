import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.errors import CredentialError
from ocihaul.session.credential import SessionToken
from tests.support import NOW, make_token, rsa_key


def test_claims_become_times_and_a_key() -> None:
    key = rsa_key()
    token = SessionToken.parse(make_token(key, sess_exp=NOW + 6 * 3600))
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 3600)
    assert token.session_ends_at == NOW + 6 * 3600
    assert token.belongs_to(key.public_key())
    assert not token.belongs_to(rsa_key(1).public_key())


def test_sess_exp_is_read_in_the_form_of_real_tokens() -> None:
    token = SessionToken.parse(make_token(sess_exp="Fri, 07 Nov 2025 10:53:27 UTC"))
    assert token.session_ends_at == 1762512807


@pytest.mark.parametrize("sess_exp", ["soon", "", None, "Fri, 99 Nov 2025"])
def test_an_unreadable_sess_exp_is_as_none(sess_exp: str | None) -> None:
    assert SessionToken.parse(make_token(sess_exp=sess_exp)).session_ends_at is None


def test_a_token_without_iat_or_jwk_is_accepted() -> None:
    token = SessionToken.parse(make_token(iat=None))
    assert token.issued_at is None
    assert token.belongs_to(rsa_key().public_key())


@pytest.mark.parametrize("jwk", ["{", "[]", {"n": 3}, 7, '{"n": "!", "e": null}'])
def test_an_unreadable_jwk_is_as_none(jwk: object) -> None:
    assert SessionToken.parse(make_token(jwk=jwk)).modulus is None


def test_white_space_around_a_token_does_not_matter() -> None:
    text = make_token(rsa_key())
    assert SessionToken.parse(f" {text}\r\n").raw == text


def test_every_cut_of_a_token_is_noticed() -> None:
    text = make_token(rsa_key())
    for length in range(len(text)):
        with pytest.raises(CredentialError):
            SessionToken.parse(text[:length])


@given(st.text())
def test_no_text_crashes_the_parser_or_is_quoted_by_its_error(text: str) -> None:
    with pytest.raises(CredentialError) as caught:
        SessionToken.parse("secret" + text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("exp", [-1.0, -1e30, 10**400, "nan", "9" * 400, True, [], "soon"])
def test_an_expiry_that_is_no_moment_is_none(exp: object) -> None:
    with pytest.raises(CredentialError, match="exp"):
        SessionToken.parse(signed_by_nobody({"exp": exp}))


@pytest.mark.parametrize("claims", ["[]", "7", "null", "{", '{"exp": 1}{}', "[" * 20000])
def test_claims_that_are_no_object_are_refused(claims: str) -> None:
    with pytest.raises(CredentialError):
        SessionToken.parse(signed_by_nobody(claims))


def signed_by_nobody(claims: object) -> str:
    """A token with claims that no library would write."""
    texts = ['{"alg": "RS256"}', claims if isinstance(claims, str) else json.dumps(claims)]
    parts = [*(text.encode() for text in texts), bytes(256)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_padding_is_allowed_where_a_writer_left_it() -> None:
    header, claims, signature = signed_by_nobody({"exp": NOW}).split(".")
    padded = claims + "=" * (-len(claims) % 4)
    assert SessionToken.parse(f"{header}.{padded}.{signature}").expires_at == NOW


def test_a_token_without_expiry_is_refused() -> None:
    with pytest.raises(CredentialError, match="exp"):
        SessionToken.parse(make_token(exp=None))


def test_repr_shows_no_secret() -> None:
    text = make_token(rsa_key())
    assert text[:20] not in repr(SessionToken.parse(text))


@pytest.mark.parametrize("jwk", ["[" * 100_000, '{"n":' * 100_000, "NaN", "[]", "5"])
def test_finding_a21_a_key_of_any_depth_in_a_token_is_none(jwk: str) -> None:
    token = SessionToken.parse(make_token(jwk=jwk))
    assert token.modulus is None


def test_finding_a21_claims_of_any_depth_are_no_token() -> None:
    header, _, signature = make_token().split(".")
    claims = base64.urlsafe_b64encode(b'{"a":' * 100_000).decode().rstrip("=")
    with pytest.raises(CredentialError, match="not a JWT"):
        SessionToken.parse(f"{header}.{claims}.{signature}")
