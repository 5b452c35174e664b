"""An emulated OCI, a profile in it, and the client's core on top: what scenarios start from."""

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.config import Settings as ClientSettings
from ocihaul.emulator import Emulator, EmulatorSession
from ocihaul.emulator import Settings as EmulatorSettings
from ocihaul.events import AttemptFinished, Listener, TokenChanged, audience
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.download.download import download
from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
from ocihaul.transfer.upload.request import IfExists, UploadRequest, UploadResult
from ocihaul.transfer.upload.upload import upload
from tests.support import Recorder

MIB = 2**20
PART = 10 * MIB


@dataclass(frozen=True)
class Ran:
    """What a finished command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


@dataclass
class World:
    """One emulator, one home directory, one listener that remembers everything."""

    oci: Emulator
    home: Path
    config: Path
    heard: Recorder = field(default_factory=Recorder)
    stop: threading.Event = field(default_factory=threading.Event)
    logins: list[EmulatorSession] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    @property
    def token_file(self) -> Path:
        return self.home / "oci" / "sessions" / "DEFAULT" / "token"

    @property
    def key_file(self) -> Path:
        return self.token_file.with_name("oci_api_key.pem")

    def file(self, size: int, name: str = "backup.tar") -> Path:
        """A file of `size` bytes that no compression or repetition makes equal to another."""
        path = self.home / name
        noise = random.Random(size).randbytes(min(size, MIB))  # noqa: S311  not a secret
        with path.open("wb") as file:
            for index in range(-(-size // MIB) if size else 0):
                block = index.to_bytes(8) + noise[8:]
                file.write(block[: size - index * MIB])
        return path

    def log_in(self) -> None:
        """A new login, as of now: where tokens live for seconds, a large file takes half a life."""
        session = self.oci.login()
        self.oci.write_profile(self.home / "oci", session=session)
        self.logins.append(session)

    def settings(self, **flags: object) -> ClientSettings:
        given: dict[str, object] = {
            "config_file": str(self.config),
            "auth": "security_token",
            "endpoint": self.oci.endpoint,
            "auth_endpoint": self.oci.endpoint,
        }
        if self.oci.ca_file is not None:
            given["cert_bundle"] = str(self.oci.ca_file)
        return resolve(Flags(**(given | flags)), {}, self.home)  # type: ignore[arg-type]  # by name

    @contextmanager
    def storage(self, **flags: object) -> Iterator[StorageClient]:
        settings = self.settings(**flags)
        with Client(settings, listener=self.heard, cancel=self.stop) as client:
            yield client.storage

    def request(self, source: Path, **wishes: object) -> UploadRequest:
        given: dict[str, object] = {
            "source": source,
            "namespace": self.oci.namespace,
            "bucket": "backups",
            "name": source.name,
            "part_size": PART,
            "parallel": 5,
            "existing": IfExists.REPLACE,
        }
        return UploadRequest(**(given | wishes))  # type: ignore[arg-type]  # by name

    def upload(
        self, source: Path, *, flags: Mapping[str, object] | None = None, **wishes: object
    ) -> UploadResult:
        request = self.request(source, **wishes)
        with self.storage(**(flags or {})) as storage:
            return upload(storage, request, listener=self.heard, stop=self.stop)

    def fetch(
        self,
        name: str,
        target: Path | BinaryIO,
        *,
        listener: Listener | None = None,
        flags: Mapping[str, object] | None = None,
        **wishes: object,
    ) -> DownloadResult:
        """Download an object in ranges of 1 MiB; `listener` hears what `heard` has heard."""
        tell = self.heard if listener is None else audience(self.heard, listener)
        given: dict[str, object] = {
            "namespace": self.oci.namespace,
            "bucket": "backups",
            "name": name,
            "target": target,
            "part_size": MIB,
            "threshold": MIB,
            "parallel": 3,
        }
        request = DownloadRequest(**(given | wishes))  # type: ignore[arg-type]  # by name
        with self.storage(**(flags or {})) as storage:
            return download(
                storage,
                request,
                listener=tell,
                stop=self.stop,
                directory=self.home / "state",
            )

    # The command

    def start(self, *args: str, **environ: str) -> "subprocess.Popen[str]":
        """Start the real command in a process of its own."""
        return self.start_python("-m", "ocihaul", *args, **environ)

    def start_python(self, *args: str, **environ: str) -> "subprocess.Popen[str]":
        """Start Python in the same environment_and_home."""
        return subprocess.Popen(
            [sys.executable, *args],
            env=self.environ() | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: "subprocess.Popen[str]", timeout: float = 100) -> Ran:
        """Wait for it, and look for secrets in what it said."""
        out, err = process.communicate(timeout=timeout)
        return self.checked(Ran(process.returncode, out, err))

    def checked(self, ran: Ran) -> Ran:
        """What a command left, if there is no secret in it."""
        for secret in self.secrets():
            if secret in ran.out or secret in ran.err:
                raise AssertionError(f"a secret is in the output: {secret[:12]}…")
        return ran

    def run(self, *args: str, **environ: str) -> Ran:
        return self.finish(self.start(*args, **environ))

    def put(self, source: Path, *args: str) -> tuple[str, ...]:
        """The report's command, flag for flag, with a profile and an endpoint of ours."""
        return (
            *("os", "object", "put", "--bucket-name", "backups", "--namespace", "ns1"),
            *("--file", str(source), "--name", source.name, "--storage-tier", "Archive"),
            *("--no-overwrite", "--part-size", "10", "--parallel-upload-count", "15"),
            *("--verify-checksum", "--auth", "security_token", "--region", "us-ashburn-1"),
            *("--debug", "--session-wait", "0", *args),
        )

    def get(self, name: str, target: Path | str, *args: str) -> tuple[str, ...]:
        """The way back, in ranges of 1 MiB."""
        return (
            *("os", "object", "get", "--bucket-name", "backups", "--namespace", "ns1"),
            *("--name", name, "--file", str(target), "--part-size", "1"),
            *("--multipart-download-threshold", "1", "--parallel-download-count", "3"),
            *("--auth", "security_token", "--region", "us-ashburn-1", "--session-wait", "0", *args),
        )

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ours = {
            "HOME": str(self.home),
            "OCIHAUL_STATE_DIR": str(self.home / "state"),
            "OCI_CLI_CONFIG_FILE": str(self.config),
            "OCI_CLI_ENDPOINT": self.oci.endpoint,
            "OCIHAUL_AUTH_ENDPOINT": self.oci.endpoint,
        }
        if self.oci.ca_file is not None:
            ours["OCI_CLI_CERT_BUNDLE"] = str(self.oci.ca_file)
        return kept | ours

    def secrets(self) -> set[str]:
        """What must never be seen: every token ever issued, the lines of every key, every PAR."""
        keys = self.home.rglob("*.pem")
        lines = {line for key in keys for line in key.read_text().splitlines() if len(line) > 60}
        tokens = self.oci.auth.token_texts()
        signatures = {token.rpartition(".")[2] for token in tokens}
        return lines | signatures | set(tokens) | self.oci.issued_par_secrets() | self.hidden

    def end_sessions(self) -> None:
        """No login of this world can be used or renewed any more."""
        for session in self.logins:
            self.oci.end_session(session)
        self.oci.revoke_all()

    # What the emulator has seen, and what the client has said

    def arrived_whole(self, source: Path, name: str | None = None) -> bool:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return self.oci.object_digest("backups", name or source.name) == digest

    def part_bytes_received(self) -> int:
        return sum(
            entry.body_received
            for entry in self.oci.log.entries()
            if entry.operation in {"UploadPart", "ParUploadPart", "PutObject"}
        )

    def object_bytes_sent(self, after: int = 0) -> int:
        """By requests later than the `after`th."""
        return sum(
            entry.body_sent
            for entry in self.oci.log.entries(operation="GetObject")
            if entry.status in {200, 206} and entry.sequence > after
        )

    def refreshes(self) -> int:
        return self.oci.log.count(operation="RefreshToken")

    def storage_calls_with_401(self) -> int:
        return sum(
            1 for entry in self.oci.log.entries(status=401) if entry.operation != "RefreshToken"
        )

    def sources(self) -> list[str]:
        return [event.source for event in self.heard.events if isinstance(event, TokenChanged)]

    def attempts(self, operation: str) -> list[AttemptFinished]:
        return [
            event
            for event in self.heard.events
            if isinstance(event, AttemptFinished) and event.operation == operation
        ]


@contextmanager
def world(home: Path, **settings: object) -> Iterator[World]:
    """A world whose emulator behaves as `settings` say."""
    with Emulator(EmulatorSettings(**settings)) as oci:  # type: ignore[arg-type]  # by name
        session = oci.login()
        config = oci.write_profile(home / "oci", session=session)
        yield World(oci, home, config, logins=[session])
