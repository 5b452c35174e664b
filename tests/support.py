"""What several tests need: keys, tokens, a clock in hand, a listener that remembers."""

import base64
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from ocihaul.directories.file_fetcher import write
from ocihaul.events import Event, Listener, ignore
from ocihaul.filesystem import FileSystem
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.checksum import Integrity
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.monitor import AdaptiveConcurrency
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transfer.upload.request import UploadRequest

NOW = 1_800_000_000.0


def rsa_key(which: int = 0) -> RSAPrivateKey:
    """One of a few RSA keys; making one takes a while, so they are shared."""
    return _rsa_key(which)


@lru_cache(maxsize=8)
def _rsa_key(_: int) -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """The key as the official CLI writes it."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        encryption = BestAvailableEncryption(passphrase.encode())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)
    return text + b"OCI_API_KEY"


def make_token(
    key: RSAPrivateKey | None = None,
    *,
    iat: float | None = NOW,
    exp: float | None = NOW + 3600,
    sess_exp: float | str | None = None,
    **claims: object,
) -> str:
    """A session token with the claims of the real ones, signed by nobody in particular."""
    if key is not None:
        numbers = key.public_key().public_numbers()
        claims["jwk"] = json.dumps(
            {"kty": "RSA", "kid": "x", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}
        )
    if isinstance(sess_exp, float):
        sess_exp = formatdate(sess_exp).replace("-0000", "UTC")
    claims |= {"iat": iat, "exp": exp, "sess_exp": sess_exp}
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, rsa_key(7), algorithm="RS256")


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Hand:
    """A clock whose hands are moved by the test; wall and monotonic together."""

    time: float = NOW

    def __call__(self) -> float:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += seconds


@contextmanager
def joined() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection on loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
    ):
        theirs, _ = listener.accept()
        with theirs:
            yield ours, theirs


E = TypeVar("E", bound=Event)


@dataclass
class Recorder:
    """A listener that keeps what it hears."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@contextmanager
def place_of(
    path: Path, listener: Listener = ignore, *, mtime: int | None = None
) -> Iterator[Place]:
    """The place of a file, in its directory held open."""
    with Place.at(path, FileSystem(listener)) as place:
        yield replace(place, mtime=mtime)


def write_small(target: Path, data: bytes, mtime: int | None = None) -> None:
    """Write a file as a tree does with a small object."""
    with place_of(target, mtime=mtime) as place:
        write(place, data)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


@contextmanager
def another_user(uid: int = 65534) -> Iterator[None]:
    """What this process does meanwhile is done by another user (only root can)."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def is_gone(group: int) -> bool:
    """Whether a process group has ended, or does so soon."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def upload_context(
    integrity: Integrity,
    *,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    concurrency: AdaptiveConcurrency | None = None,
) -> UploadContext:
    """What a part's upload needs, without a service."""
    request = UploadRequest(source=Path("x"), namespace="ns1", bucket="backups", name="x")
    return UploadContext(
        cast("StorageClient", None),
        request,
        listener,
        stop or threading.Event(),
        integrity,
        concurrency=concurrency,
    )


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until something is true; fail when that takes too long."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)  # another process: there is nothing else to wait on
