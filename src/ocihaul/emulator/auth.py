"""Sessions, tokens and API keys: what may sign, with which key, and until when.

Tokens are JWTs signed by a key of the emulator's own. A token is looked up as it was issued
and judged by its claims, as the real service does; the table adds what a claim cannot say
(revoked, replaced by a refresh).

The files of a session are written as the official CLI lays them out.
"""

import base64
import hashlib
import io
import json
import math
import os
import threading
import uuid
from collections.abc import Callable
from configparser import ConfigParser
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.emulator.responses import not_authenticated
from ocihaul.emulator.settings import Settings

TENANCY = "ocid1.tenancy.oc1..emulated"
USER = "ocid1.user.oc1..emulated"


@dataclass(frozen=True, slots=True)
class EmulatorSession:
    """A login as its owner holds it: the key pair and the first token."""

    session_id: str
    private_key_pem: bytes = field(repr=False)
    public_key_pem: bytes
    fingerprint: str
    token: str = field(repr=False)


@dataclass(slots=True)
class Login:
    """A session as the service knows it; `ends_at` is service time."""

    session_id: str
    public_key: rsa.RSAPublicKey
    ends_at: float


@dataclass(slots=True)
class Token:
    """An issued token; `issued_at` is the unrounded service time."""

    text: str = field(repr=False)
    jti: str
    login: Login
    issued_at: float
    expires_at: float
    dies_at: float | None = None
    refreshable: bool = True

    def age_fraction(self, now: float) -> float:
        """0 at birth, 1 at exp."""
        return (now - self.issued_at) / max(self.expires_at - self.issued_at, 1e-9)


@dataclass(frozen=True, slots=True)
class Signatory:
    """What a keyId names: a public key, and the token if it was one."""

    public_key: rsa.RSAPublicKey
    token: Token | None


class Authority:
    """Issues tokens and judges them."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()  # guards all tables and counters below
        self._logins: dict[str, Login] = {}
        self._tokens: dict[str, Token] = {}
        self._api_keys: dict[str, rsa.RSAPublicKey] = {}
        #: Tokens given out by refresh, by GenerateUpst, and by the login page.
        self.refreshes = 0
        self.minted = 0
        self.logins = 0
        #: The life in minutes that each GenerateUpst wished for, as it was written; None: no wish.
        self.session_options: list[object] = []

    # --- opening and ending

    def login(self) -> EmulatorSession:
        """A new session with a fresh key, as the browser login makes it."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        ends_at = self._clock() + self._settings().session_ttl
        login = self._open(key.public_key(), ends_at)
        token = self.issue(login.session_id, **self._left_out("login"))
        return EmulatorSession(
            session_id=login.session_id,
            private_key_pem=private_pem(key),
            public_key_pem=public_pem(key.public_key()),
            fingerprint=fingerprint(key.public_key()),
            token=token.text,
        )

    def admit(self, public_key: rsa.RSAPublicKey) -> Token:
        """A session for a key that the caller does not have, as the login page opens it."""
        login = self._open(public_key, self._clock() + self._settings().session_ttl)
        with self._lock:
            self.logins += 1
        return self.issue(login.session_id, **self._left_out("login"))

    def mint(self, public_key: rsa.RSAPublicKey, minutes: int) -> Token:
        """A session of fixed length for a key of the caller's (GenerateUpst)."""
        life = self._settings().upst_ttl or minutes * 60.0
        login = self._open(public_key, self._clock() + life)
        with self._lock:
            self.minted += 1
        return self.issue(login.session_id, ttl=life, **self._left_out("upst"))

    def _left_out(self, kind: str) -> dict[str, Any]:
        """The claims that a token of this kind does not have."""
        return {} if kind in self._settings().sess_exp_in else {"sess_exp": None}

    def _open(self, public_key: rsa.RSAPublicKey, ends_at: float) -> Login:
        if self._settings().integer_claims:
            ends_at = math.floor(ends_at)
        login = Login(uuid.uuid4().hex, public_key, ends_at)
        with self._lock:
            self._logins[login.session_id] = login
        return login

    def add_api_key(self, public_key: rsa.RSAPublicKey) -> str:
        """Register an API key of the user; returns its keyId."""
        key_id = f"{TENANCY}/{USER}/{fingerprint(public_key)}"
        with self._lock:
            self._api_keys[key_id] = public_key
        return key_id

    def end(self, session_id: str) -> None:
        """The session has expired now, and every token of it."""
        with self._lock:
            self._logins[session_id].ends_at = self._clock()

    def revoke(self, token: str, *, refreshable: bool = False) -> None:
        """The token dies now; `refreshable`: the auth service alone still takes it."""
        with self._lock:
            record = self._tokens[token]
            record.dies_at = self._clock()
            record.refreshable = refreshable

    def revoke_all(self, *, refreshable: bool = False) -> None:
        """Every token issued so far dies now."""
        with self._lock:
            for text in self._tokens:
                self.revoke(text, refreshable=refreshable)

    def token_texts(self) -> frozenset[str]:
        """Every token ever issued: what must not be found in any output."""
        with self._lock:
            return frozenset(self._tokens)

    # --- issuing

    def issue(self, session_id: str, ttl: float | None = None, **claims: object) -> Token:
        """A token in the session; `claims` replace what would be there (None: left out)."""
        with self._lock:
            login = self._logins[session_id]
            now = self._clock()
            life = self._settings().token_ttl if ttl is None else ttl
            issued: float = now
            if self._settings().integer_claims:
                issued, life = math.floor(now), math.ceil(life)
            jti = str(uuid.uuid4())
            content = {
                "sub": USER,
                "tenant": TENANCY,
                "ptype": "user",
                "ttype": "login",
                "iss": "authService.oracle.com",
                "jti": jti,
                "sid": session_id,
                "iat": issued,
                "exp": min(issued + life, login.ends_at),
                "sess_exp": _session_end_text(login.ends_at),
                "jwk": _jwk(login.public_key),
            }
            content.update(claims)
            content = {name: value for name, value in content.items() if value is not None}
            text = jwt.encode(content, _signing_key(), "RS256", headers={"kid": "emulator"})
            token = Token(text, str(content.get("jti", jti)), login, now, _number(content, "exp"))
            self._tokens[text] = token
            return token

    def refresh(self, token: Token) -> Token:
        """A newer token for a live one; the older ones may die of it."""
        settings = self._settings()
        with self._lock:
            now = self._clock()
            self.check(token, now, refreshing=True)
            older = [each for each in self._tokens.values() if each.login is token.login]
            claims = self._left_out("refresh")
            if not settings.refresh_extends:
                claims["exp"] = _whole(token.expires_at)
            new = self.issue(token.login.session_id, **claims)
            if settings.refresh_kills_old_after is not None:
                dies_at = now + settings.refresh_kills_old_after
                for each in older:
                    each.dies_at = dies_at if each.dies_at is None else min(each.dies_at, dies_at)
            self.refreshes += 1
            return new

    # --- judging

    def resolve(self, key_id: str) -> Signatory:
        """What `key_id` names; 401 for what is not known here."""
        with self._lock:
            if key_id.startswith("ST$"):
                token = self.find(key_id.removeprefix("ST$"))
                return Signatory(token.login.public_key, token)
            if key_id in self._api_keys:
                return Signatory(self._api_keys[key_id], None)
        raise not_authenticated("the keyId names no key that is known here")

    def find(self, text: str) -> Token:
        """The token as issued; 401 if it never was."""
        with self._lock:
            if text in self._tokens:
                return self._tokens[text]
        raise not_authenticated("the token was not issued here")

    def check(self, token: Token, now: float, *, refreshing: bool = False) -> None:
        """401 unless the token is good at `now`."""
        with self._lock:
            if now >= token.login.ends_at:
                raise not_authenticated("the session has ended")
            if now >= token.expires_at:
                raise not_authenticated("the token has expired")
            dead = token.dies_at is not None and now >= token.dies_at
            if dead and not (refreshing and token.refreshable):
                raise not_authenticated("the token was revoked or replaced")


@cache
def _signing_key() -> rsa.RSAPrivateKey:
    # One per process: making it takes a tenth of a second, and a test double is not attacked.
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _number(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    return float(value) if isinstance(value, (int, float)) else math.inf


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _session_end_text(ends_at: float) -> str:
    return datetime.fromtimestamp(ends_at, UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")


def _jwk(key: rsa.RSAPublicKey) -> str:
    numbers = key.public_numbers()
    return json.dumps(
        {
            "kid": "emulated",
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
        }
    )


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private_pem(key: rsa.RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """The key as the official CLI writes it."""
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


def public_pem(key: rsa.RSAPublicKey) -> bytes:
    """PEM of the SubjectPublicKeyInfo."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """MD5 of the DER form, in pairs: how OCI names a key."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


REGION = "eu-frankfurt-1"


def write_session_profile(
    directory: Path, profile: str, session: EmulatorSession, *, region: str, passphrase: str | None
) -> Path:
    """`config` with the section, and `sessions/<profile>/` with key pair and token."""
    home = directory / "sessions" / profile
    _directory(directory)
    _directory(home.parent)
    _directory(home)
    key = load_pem_private_key(session.private_key_pem, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the session's key is not an RSA key")
    # The official CLI appends this text to the key it writes; readers have to live with it.
    _write(home / "oci_api_key.pem", private_pem(key, passphrase) + b"OCI_API_KEY")
    _write(home / "oci_api_key_public.pem", session.public_key_pem)
    _write(home / "token", session.token.encode())
    section = {
        "fingerprint": session.fingerprint,
        "key_file": str(home / "oci_api_key.pem"),
        "tenancy": TENANCY,
        "region": region,
        "security_token_file": str(home / "token"),
    }
    if passphrase is not None:
        section["pass_phrase"] = passphrase
    return _add_section(directory, profile, section)


def write_api_key_profile(
    directory: Path, profile: str, key: rsa.RSAPrivateKey, *, region: str
) -> Path:
    """`config` with a section that signs with an API key."""
    _directory(directory)
    key_file = directory / f"{profile}.pem"
    _write(key_file, private_pem(key))
    _write(directory / f"{profile}_public.pem", public_pem(key.public_key()))
    section = {
        "user": USER,
        "fingerprint": fingerprint(key.public_key()),
        "key_file": str(key_file),
        "tenancy": TENANCY,
        "region": region,
    }
    return _add_section(directory, profile, section)


def _add_section(directory: Path, profile: str, section: dict[str, str]) -> Path:
    path = directory / "config"
    config = ConfigParser(interpolation=None, default_section="")
    config.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    if path.exists():
        config.read(path, encoding="utf-8")
    config[profile] = section
    _keep_apart(config)
    text = io.StringIO()
    config.write(text, space_around_delimiters=False)
    _write(path, text.getvalue().encode())
    return path


def _keep_apart(config: ConfigParser) -> None:
    """Give each section with an API key its own word on what it would inherit of a session.

    Readers in Python, TypeScript and Java take what a section lacks from [DEFAULT]: a token, which
    some then sign with, or the passphrase of another key. Those in Go do not. All read an empty
    value as none.
    """
    default = config["DEFAULT"] if config.has_section("DEFAULT") else {}
    for name in config.sections():
        section = config[name]
        if name == "DEFAULT" or "user" not in section:
            continue
        for key in ("security_token_file", "pass_phrase"):
            if default.get(key):
                section.setdefault(key, "")


def _directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    path.chmod(0o600)
