"""Minting: what is asked, what the answers mean, and the emulated service as the judge."""

import json
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ocihaul.clock import ServerClock
from ocihaul.config import Flags, resolve
from ocihaul.emulator import Emulator, Settings
from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError
from ocihaul.session.credential import ApiKey, Credential, SessionToken
from ocihaul.session.policy import Failed, Outcome, Refused, Renewed
from ocihaul.session.providers import MINT_PATH, ApiKeyProvider, AuthService
from ocihaul.session.session import Session, open_api_key_provider
from ocihaul.session.store import CredentialStore
from ocihaul.transport.message import Answer, Request, Stopped, WireError
from tests.support import NOW, Hand, make_token, pem, rsa_key

SIGNER = ApiKey(rsa_key(1), tenancy="t", user="u", fingerprint="f")
MINE = Credential.of_token(rsa_key(), SessionToken.parse(make_token(rsa_key(), iat=NOW - 60)), 1)


def answer(status: int, document: object, *, date: float = NOW) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {"date": formatdate(date, usegmt=True)}, body, 0)


def granted(which: int = 0) -> Answer:
    return answer(200, {"token": make_token(rsa_key(which))})


def refused(status: int = 400, *, date: float = NOW) -> Answer:
    return answer(status, {"code": "InvalidParameter", "message": "not in 5..60"}, date=date)


@dataclass
class Script:
    """Answers in order; remembers the requests."""

    answers: list[Answer | Exception]
    asked: list[Request] = field(default_factory=list)

    def __call__(self, _origin: Origin, request: Request, _timeout: float) -> Answer:
        self.asked.append(request)
        step = self.answers.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def documents(self) -> list[dict[str, str]]:
        return [json.loads(bytes(request.body or b"")) for request in self.asked]  # type: ignore[arg-type]  # these bodies are bytes


def ask(script: Script, *, minutes: int | None = 60) -> Outcome:
    clock = ServerClock(wall=Hand(), monotonic=Hand())
    service = AuthService(Origin.parse("http://auth.example"), script, clock)
    return ApiKeyProvider(service, SIGNER, minutes)(MINE, 5.0)


def test_the_key_is_sent_in_pem_and_the_minutes_as_text_signed_by_the_api_key() -> None:
    script = Script([granted()])
    outcome = ask(script, minutes=90)
    assert isinstance(outcome, Renewed)
    assert outcome.note is None
    (request,), (document,) = script.asked, script.documents
    assert (request.method, request.target) == ("POST", MINT_PATH)
    assert 'keyId="t/u/f"' in request.headers["authorization"]
    assert "x-content-sha256" in request.headers["authorization"]
    assert document["sessionExpirationInMinutes"] == "90"
    assert load_pem_public_key(document["publicKey"].encode()) == rsa_key().public_key()


def test_without_a_wish_the_life_is_left_to_the_service() -> None:
    script = Script([granted()])
    ask(script, minutes=None)
    assert set(script.documents[0]) == {"publicKey"}


def test_a_refused_wish_is_dropped_and_told() -> None:
    script = Script([refused(), granted()])
    outcome = ask(script, minutes=90)
    assert isinstance(outcome, Renewed)
    assert outcome.note == (
        "a session of 90 minutes was refused (400 InvalidParameter: not in 5..60); "
        "the service's own choice is 60 minutes"
    )
    assert [set(each) for each in script.documents] == [
        {"publicKey", "sessionExpirationInMinutes"},
        {"publicKey"},
    ]


@pytest.mark.parametrize(
    ("answers", "minutes", "kind", "reason"),
    [
        ([refused(), refused(401)], 60, Refused, "401 InvalidParameter"),
        ([refused()], None, Refused, "400 InvalidParameter"),
        ([refused(401)], 60, Refused, "401"),
        ([refused(403)], 60, Refused, "403"),
        ([refused(404)], 60, Refused, "404"),
        ([refused(503)], 60, Failed, "503"),
        ([refused(429)], 60, Failed, "429"),
        ([refused(), refused(503)], 60, Failed, "503"),
        ([answer(403, b"<html>")], 60, Failed, "not JSON"),
        ([answer(404, b"<html>")], 60, Failed, "not JSON"),
        ([answer(200, {})], 60, Failed, "token is empty"),
        ([answer(200, {"token": make_token(rsa_key())[:-9]})], 60, Failed, "cut"),
        ([granted(which=2)], 60, Failed, "another key"),
        ([WireError("refused")], 60, Failed, "http://auth.example: refused"),
        ([refused(), WireError("cut")], 60, Failed, "cut"),
        ([Stopped()], 60, Failed, "stopped"),
    ],
)
def test_every_other_end_is_a_refusal_or_a_failure(
    answers: list[Answer | Exception], minutes: int | None, kind: type, reason: str
) -> None:
    script = Script(list(answers))
    outcome = ask(script, minutes=minutes)
    assert isinstance(outcome, kind)
    assert reason in getattr(outcome, "reason", "")
    assert script.answers == []


def test_a_service_that_gives_the_same_token_again_is_not_asked_without_a_pause(
    tmp_path: Path,
) -> None:
    """As one would that keeps a token per key; the present one is used as long as it stands."""
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "token").write_text(make_token(rsa_key()))
    hand = Hand(NOW + 1900)
    clock = ServerClock(wall=hand, monotonic=hand)
    same = Answer(200, {}, granted().body, 0)
    script = Script([same] * 100)
    provider = ApiKeyProvider(
        AuthService(Origin.parse("http://auth.example"), script, clock), SIGNER
    )
    session = Session(
        CredentialStore(tmp_path / "token", tmp_path / "key.pem"),
        {"mint": provider},
        clock=clock,
        jitter=lambda: 0.5,
    )
    for _ in range(40):
        assert session.credential().generation == 1
        hand.forward(0.02)
    assert len(script.asked) == 1
    hand.forward(60)
    session.credential()
    assert len(script.asked) == 2


def test_a_refusal_for_a_wrong_date_is_mended() -> None:
    script = Script([refused(401, date=NOW + 900), granted()])
    assert isinstance(ask(script), Renewed)
    first, second = (request.headers["date"] for request in script.asked)
    assert first != second


class TestAgainstTheEmulator:
    def settings(self, oci: Emulator, home: Path, **flags: str) -> Flags:
        config = oci.write_api_key_profile(home)
        given = {"config_file": str(config), "profile": "APIKEY", "auth": "api_key"}
        return Flags(**(given | flags))  # type: ignore[arg-type]  # by name

    @pytest.mark.parametrize("skew", [0.0, 900.0, -900.0])
    def test_a_token_for_the_same_key(self, tmp_path: Path, skew: float) -> None:
        with Emulator(Settings(clock_offset=skew)) as oci:
            flags = self.settings(oci, tmp_path, auth_endpoint=oci.endpoint)
            outcome = open_api_key_provider(resolve(flags, {}, tmp_path), minutes=5)(MINE, 5.0)
            assert isinstance(outcome, Renewed)
            token = outcome.token
            assert token.belongs_to(MINE.key.public_key())
            assert token.expires_at - (token.issued_at or 0) == 300
            assert oci.auth.minted == 1

    def test_a_wish_that_is_out_of_bounds(self, tmp_path: Path) -> None:
        with Emulator() as oci:
            flags = self.settings(oci, tmp_path, auth_endpoint=oci.endpoint)
            outcome = open_api_key_provider(resolve(flags, {}, tmp_path), minutes=90)(MINE, 5.0)
            assert isinstance(outcome, Renewed)
            assert "90 minutes was refused" in (outcome.note or "")
            assert oci.log.count(operation="GenerateUpst", status=400) == 1
            assert oci.auth.minted == 1

    def test_a_profile_without_an_address_says_what_is_missing(self, tmp_path: Path) -> None:
        with Emulator() as oci:
            flags = self.settings(oci, tmp_path, endpoint=oci.endpoint, region="nowhere")
            settings = resolve(flags, {}, tmp_path)
        with pytest.raises(ConfigError, match=r"APIKEY.*no region is known"):
            open_api_key_provider(settings)


def test_nothing_secret_is_in_any_repr() -> None:
    script = Script([granted()])
    outcome = ask(script)
    shown = f"{outcome!r} {SIGNER.credential()!r} {script.asked!r}"
    assert "eyJ" not in shown
    for line in pem(rsa_key(1)).decode().splitlines()[1:-1]:
        assert line not in shown
