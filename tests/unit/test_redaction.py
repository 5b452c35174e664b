"""Redaction: whatever stands around a secret, the secret is gone."""

import base64
import json
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ocihaul.redaction import MASK, redact

URL_SAFE = string.ascii_letters + string.digits + "_-"


def encoded(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


jwts = st.builds(
    lambda sub, signature: f"{encoded({'alg': 'RS256'})}.{encoded({'sub': sub})}.{signature}",
    st.text(max_size=20),
    st.text(alphabet=URL_SAFE, min_size=20, max_size=60),
)
keys = st.binary(min_size=32, max_size=32).map(lambda raw: base64.b64encode(raw).decode())
words = st.text(alphabet=URL_SAFE, min_size=24, max_size=40)
pems = st.binary(min_size=60, max_size=90).map(
    lambda raw: (
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + base64.encodebytes(raw).decode()
        + "-----END RSA PRIVATE KEY-----"
    )
)
anything = st.text(max_size=60)


@given(anything, jwts, anything)
def test_a_session_token_is_gone_wherever_it_stands(before: str, token: str, after: str) -> None:
    for carrier in (token, f"ST${token}", f"?token={token}&x", f'{{"currentToken":"{token}"}}'):
        left = redact(before + carrier + after)
        for piece in token.split("."):
            assert piece not in left.replace(after, "") or piece in before + after


@given(anything, keys, anything)
def test_an_sse_c_key_is_gone_from_headers(before: str, key: str, after: str) -> None:
    assume(key not in before + after)
    for carrier in (
        f"opc-sse-customer-key: {key}",
        f"Opc-Source-Sse-Customer-Key={key}",
        json.dumps({"opc-sse-customer-key": key}),
        repr({"opc-sse-customer-key": key}),
        repr([("opc-sse-customer-key", key)]),
    ):
        assert key not in redact(f"{before}{carrier}\n{after}")


@given(anything, words, anything)
def test_authorization_signature_and_key_id_are_gone(before: str, word: str, after: str) -> None:
    assume(word not in before + after)
    signed = f'Signature algorithm="rsa-sha256",keyId="a/{word}",signature="{word}",version="1"'
    for carrier in (
        f"Authorization: {signed}",
        f"authorization: Bearer {word}",
        json.dumps({"authorization": signed}),
        repr({"Authorization": signed}),
        signed,
        json.dumps(signed),
    ):
        assert word not in redact(f"{before}{carrier}\n{after}")


@given(anything, words, anything)
def test_secret_fields_are_gone_from_json_python_and_ini(
    before: str, word: str, after: str
) -> None:
    assume(word not in before + after)
    for field in ("currentToken", "token", "pass_phrase", "password", "security_token"):
        for carrier in (
            json.dumps({field: word}),
            json.dumps(json.dumps({field: word})),
            repr({field: word}),
            f"{field}={word}",
            f"{field} = {word}",
            f'{{"{field}": "{word}',
        ):
            assert word not in redact(f"{before}{carrier}\n{after}"), carrier


@given(anything, pems, anything)
def test_a_private_key_is_gone_whole_cut_or_escaped(before: str, pem: str, after: str) -> None:
    for carrier in (pem, json.dumps(pem), pem[:-40]):
        left = redact(f"{before}{carrier}\n{after}")
        for line in pem.splitlines()[1:-1]:
            assert line not in left or line in before + after


@given(anything, words, anything)
def test_addresses_that_are_secrets_are_gone(before: str, word: str, after: str) -> None:
    assume(word not in before + after)
    for carrier in (
        f"https://objectstorage.eu-x-1.oraclecloud.com/p/{word}/n/ns/b/bucket/o/name",
        f"PUT /p/{word}/n/ns/b/bucket/u/name/id/3",
        f"https://me:{word}@proxy.example:3128/",
        f"http://{word}@proxy.example",
    ):
        assert word not in redact(f"{before}{carrier}\n{after}")


@given(anything, jwts, words)
def test_redacting_twice_changes_nothing(before: str, token: str, word: str) -> None:
    text = f'{before} ST${token} token="{word}" password={word} https://a:{word}@h/p/{word}/n/x'
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "PUT /n/ns/b/bucket/u/a%2Fb?uploadId=9f&uploadPartNum=3 200 41 ms",
        '{"etag": "1f-2", "opc-content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}',
        "opc-sse-customer-key-sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "token 3, valid until 05:23:06 (27 min)",
        "/home/me/.oci/sessions/night/token is open to others (mode 644)",
        "https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/ns/b/p/o/x",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays_readable() -> None:
    assert redact('{"currentToken": "eyJabc", "x": 1}') == f'{{"currentToken": "{MASK}", "x": 1}}'
    assert redact("proxy http://me:pw@host:1/ refused") == f"proxy http://{MASK}@host:1/ refused"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("oci://backups@my-ns/x: not there", "oci://backups@my-ns/x: not there"),
        ("from oci://b@n/x", "from oci://b@n/x"),
        ("http://me:pw@host/", "http://[redacted]@host/"),
        ("soci://me@host/", "soci://[redacted]@host/"),
    ],
)
def test_an_objects_address_is_no_password(text: str, shown: str) -> None:
    assert redact(text) == shown
