"""Where measurements happen: a directory with the files to move, a profile, and the sink."""

import base64
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import crc32c
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bench.records import Records
from bench.service import Arrived, token, tree_name

MIB = 2**20
GIB = 2**30
ROOT = Path(__file__).resolve().parent.parent
LONG_LIFE = 3600.0
_TENANCY = "ocid1.tenancy.oc1..bench"
_USER = "ocid1.user.oc1..bench"
_REGION = "eu-frankfurt-1"


@dataclass(frozen=True)
class Place:
    """Where the sink listens; `there` and `here` go before its and the programs' commands."""

    host: str = "127.0.0.1"
    there: tuple[str, ...] = ()
    here: tuple[str, ...] = ()


LOOPBACK = Place()


@dataclass
class Ground:
    """The environment_and_home of every command that is measured."""

    home: Path
    source: Path
    size: int
    crc32c: int
    ports: Mapping[str, int]
    sink: "subprocess.Popen[str]"
    key: rsa.RSAPrivateKey
    records: Records
    place: "Place"

    @property
    def ca_file(self) -> Path:
        """Signed the sink's certificate."""
        return self.home / "ca.pem"

    @property
    def config(self) -> Path:
        """Has the profiles DEFAULT (session token) and APIKEY."""
        return self.home / "oci" / "config"

    def endpoint(self, scheme: str) -> str:
        """The sink's base URL, http or https."""
        return f"{scheme}://{self.place.host}:{self.ports[scheme]}"

    def environ(self) -> dict[str, str]:
        """Nothing of the person who runs this but the path."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "OCI_CLI_CONFIG_FILE": str(self.config),
            "OCIHAUL_STATE_DIR": str(self.home / "state"),
            "SUPPRESS_LABEL_WARNING": "True",
        }

    def counters(self) -> dict[str, int]:
        """What the sink has counted so far."""
        if self.sink.stdin is None or self.sink.stdout is None:
            raise RuntimeError("the sink has no pipes")
        self.sink.stdin.write("\n")
        self.sink.stdin.flush()
        counted: dict[str, int] = json.loads(self.sink.stdout.readline())
        return counted

    def arrived(self, bucket: str, name: str) -> Arrived | None:
        """What the sink has of an object."""
        record = self.records.find(bucket, name)
        return None if record is None else Arrived.of_record(record)

    def all_arrived(self) -> list[Arrived]:
        """Every object that the sink has."""
        return [Arrived.of_record(record) for record in self.records.all()]

    def forget(self) -> None:
        """Clear the table for the next command: the sink's objects, the journal, what was fetched.

        Every command begins as if it were the first one ever run.
        """
        self.records.forget()
        for name in ("state", "fetched"):
            shutil.rmtree(self.home / name, ignore_errors=True)
        (self.home / "fetched").mkdir()

    def log_in(self, life: float = LONG_LIFE) -> None:
        """Write a session token that lives `life` seconds, and is renewed to live as long."""
        numbers = self.key.public_key().public_numbers()
        jwk = {"kty": "RSA", "kid": "bench", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}
        claims: dict[str, object] = {"jwk": json.dumps(jwk), "tenant": _TENANCY, "sub": _USER}
        _write(self.home / "oci" / "token", token(claims, life=life).encode())

    def tree(self, count: int, size: int) -> Path:
        """A directory with `count` files of `size` bytes, a hundred in each directory below it."""
        top = self.home / f"tree-{count}-{size}"
        if not top.exists():
            for number in range(count):
                path = top / tree_name(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(random.Random(number).randbytes(size))  # noqa: S311
        return top

    def file(self, size: int) -> Path:
        """A file of `size` bytes."""
        path = self.home / f"file-{size}"
        if not path.exists():
            _fill(path, size)
        return path

    def drop_files(self) -> None:
        """Give the disk and the page cache of such files back."""
        for path in self.home.glob("file-*"):
            path.unlink()


@contextmanager
def ground(size: int, directory: Path | None = None, place: Place = LOOPBACK) -> Iterator[Ground]:
    """A ground with a source of `size` bytes, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="ocihaul-bench-", dir=directory) as name:
        home = Path(name)
        for part in ("oci", "fetched"):
            (home / part).mkdir(mode=0o700)
        source = home / "source"
        _fill(source, size)
        crc = crc_of(source)
        (home / "readable.crc32c").write_text(str(crc))
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_profiles(home / "oci", key)
        sink = subprocess.Popen(
            [*place.there, sys.executable, "-m", "bench.sink", str(home), str(source), place.host],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with sink:
            if sink.stdout is None or not (line := sink.stdout.readline()):
                raise RuntimeError("the sink did not start")
            records = Records(home / "records")
            here = Ground(home, source, size, crc, json.loads(line), sink, key, records, place)
            here.log_in()
            try:
                yield here
            finally:
                if sink.stdin is not None:
                    with contextlib.suppress(OSError):
                        sink.stdin.close()
                sink.wait(timeout=10)
                records.close()


def crc_of(path: Path) -> int:
    """The CRC32C of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(MIB):
            crc = crc32c.crc32c(block, crc)
    return crc


def _fill(path: Path, size: int) -> None:
    """Bytes that no block repeats; the whole is in the page cache afterwards."""
    noise = random.Random(size).randbytes(min(size, MIB))  # noqa: S311
    with path.open("wb") as file:
        for index in range(-(-size // MIB)):
            block = index.to_bytes(8) + noise[8:] if size >= 8 else noise
            file.write(block[: size - index * MIB])


def _write_profiles(directory: Path, key: rsa.RSAPrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    _write(directory / "key.pem", private)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.MD5())  # noqa: S303  the service's fingerprint is an MD5
    digest.update(public)
    common = [
        f"fingerprint={digest.finalize().hex(':')}",
        f"key_file={directory / 'key.pem'}",
        f"tenancy={_TENANCY}",
        f"region={_REGION}",
    ]
    token_line = f"security_token_file={directory / 'token'}"
    sections = ["[DEFAULT]", *common, token_line, "[APIKEY]", *common, f"user={_USER}", ""]
    _write(directory / "config", "\n".join(sections).encode())


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
