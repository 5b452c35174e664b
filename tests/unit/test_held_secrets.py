"""Secrets that this process holds are masked by value, however they are written."""

import base64
import html
import json
import os
import threading
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocihaul import redaction
from ocihaul.printing import shown
from ocihaul.redaction import (
    MASK,
    hold,
    hold_access_uri,
    hold_key,
    hold_key_bytes,
    hold_misplaced,
    mask_held,
)
from ocihaul.session.credential import SessionToken, sign
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transport.proxies import Proxy
from tests.support import make_token, pem, rsa_key


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = redaction._held
    monkeypatch.setattr(redaction, "_held", {kind: {} for kind in kinds})


def spoken(secret: str) -> dict[str, str]:
    """The ways in which a service may say a secret again."""
    data = secret.encode()
    once = json.dumps({"a": secret})
    return {
        "as it is": secret,
        "in JSON": once,
        "in JSON in JSON": json.dumps({"message": once}),
        "three deep": json.dumps(json.dumps(once)),
        "with slashes escaped": secret.replace("/", "\\/").replace("+", "\\u002B"),
        "every character escaped": "".join(f"\\u{ord(each):04x}" for each in secret),
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded twice": quote(quote(secret, safe=""), safe=""),
        "percent-encoded in lower case": quote(secret, safe="").lower()
        if secret == secret.lower()
        else quote(secret),
        "as HTML": html.escape(secret),
        "as a Python value": repr(secret),
        "in base64": base64.b64encode(data).decode(),
        "in base64 behind a user": base64.b64encode(b"me:" + data).decode(),
        "in base64 between texts": base64.b64encode(b"authorization: " + data + b"\r\n").decode(),
        "in base64 for URLs": base64.urlsafe_b64encode(b"x" + data).decode(),
    }


def is_gone(secret: str, said: str) -> bool:
    """No piece of it that would help is left, in any spelling."""
    spelled = said.replace("\\", "").replace("%2F", "/").replace("%2B", "+").replace("%3D", "=")
    size = max(len(secret) * 2 // 3, 6)
    pieces = [secret[at : at + size] for at in range(len(secret) - size + 1)]
    return not any(piece in spelled for piece in pieces)


@settings(max_examples=60)
@given(st.text("abcXYZ0189+/=_-.\"\\'%&$ {}:", min_size=16, max_size=60))
def test_finding_a09_a_secret_is_gone_however_it_is_said(secret: str) -> None:
    if secret != secret.strip() or secret in MASK:
        return
    hold(secret, "password")
    for how, text in spoken(secret).items():
        said = mask_held(f"before {text} after")
        assert MASK in said, (how, said)
        assert is_gone(secret, said), (how, said)
        assert said.startswith("before ")
        assert said.endswith(" after"), (how, said)


def test_finding_a09_every_secret_is_held_where_it_is_born() -> None:
    token = make_token(rsa_key())
    SessionToken.parse(token)
    key = os.urandom(32)
    SseCustomerKey(base64.b64encode(key).decode())
    Proxy.parse("http://user:correct%2Fhorse@127.0.0.1:3128")
    headers = sign(
        rsa_key(), "k", method="GET", target="/n", host="h", date="Mon, 23 Nov 2026 05:02:47 GMT"
    )
    signature = headers["authorization"].rpartition('signature="')[2].partition('"')[0]
    hold_access_uri("/p/Zz9-secret_of_a_par/n/ns/b/bucket/o/")
    for secret in (
        token,
        base64.b64encode(key).decode(),
        base64.urlsafe_b64encode(key).decode(),
        key.hex(),
        key.decode("latin-1"),
        "correct%2Fhorse",
        "correct/horse",
        base64.b64encode(b"user:correct/horse").decode(),
        signature,
        "Zz9-secret_of_a_par",
    ):
        assert shown(f"x {secret} y").count(MASK) == 1, secret
        assert is_gone(secret, shown(f"x {json.dumps(json.dumps(secret))} y")), secret


def test_finding_a09_lines_of_a_private_key_are_held() -> None:
    text = pem(rsa_key()).decode()
    hold_key(text)
    lines = text.strip().splitlines()[1:-1]
    for line in lines[:-1]:
        assert mask_held(f"the file says {line}") == f"the file says {MASK}"
    assert is_gone(lines[3], mask_held(json.dumps({"key": text})))


def test_finding_a09_the_digest_of_a_customer_key_stays_in_answers_only() -> None:
    hold_key_bytes(b"k" * 32)
    digest = SseCustomerKey(base64.b64encode(b"k" * 32).decode()).headers()
    value = digest["opc-sse-customer-key-sha256"]
    assert mask_held(value) == MASK
    assert mask_held(value, answer=True) == value


def test_finding_a09_short_secrets_make_no_confetti() -> None:
    hold("pass", "password")
    hold("backup", "password")
    assert mask_held("the pass of the backups") == "the pass of the backups"
    assert mask_held("password=backup, backup2") == f"password={MASK}, backup2"
    assert mask_held('{"name": "backup"}', answer=True) == '{"name": "backup"}'


def test_finding_a09_the_newest_secrets_are_kept() -> None:
    for number in range(1000):
        hold(f"signature-number-{number:04}-of-many", "signature")
    assert mask_held("signature-number-0999-of-many") == MASK
    assert MASK not in mask_held("signature-number-0000-of-many")
    assert sum(map(len, redaction._held.values())) == redaction._MOST["signature"]
    hold("signature-number-0940-of-many", "signature")  # seen again: young again
    for number in range(63):
        hold(f"another-signature-{number:04}-of-many", "signature")
    assert mask_held("signature-number-0940-of-many") == MASK


def test_finding_a09_threads_hold_and_mask_at_once() -> None:
    wrong: list[str] = []

    def work(name: int) -> None:
        for number in range(300):
            secret = f"secret-of-{name}-number-{number:05}"
            hold(secret, "key")
            if MASK not in mask_held(f"x {secret}"):
                wrong.append(secret)

    threads = [threading.Thread(target=work, args=[name]) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "text", ["", "a", "%", "\\", "&amp;", "\\u00", "%2", "\ud800\\x", "日本\\n"]
)
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    hold("a-secret-that-is-not-there", "key")
    assert mask_held(text) == text


@given(st.text(), st.text())
def test_masking_never_fails_and_leaves_the_rest(before: str, after: str) -> None:
    hold("correct-horse-battery", "key")
    said = mask_held(f"{before} correct-horse-battery {after}")
    assert said.startswith(before[:1])
    assert MASK in said


def test_finding_a19_what_is_a_secret_by_its_looks_is_held() -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    assert hold_misplaced(key)
    assert mask_held(f"{key}: no such file") == f"{MASK}: no such file"
    assert hold_misplaced(make_token(rsa_key()))
    assert hold_misplaced(pem(rsa_key()).decode())
    for path in ("/home/me/key", "backup-2026-11-27-database-production-01abcd", "DEFAULT", ""):
        assert not hold_misplaced(path)
