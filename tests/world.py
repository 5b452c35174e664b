"""An emulated OCI, a profile in it, and the client's core on top: what scenarios start from."""

import hashlib
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ocihaul.config import Flags, resolve
from ocihaul.config import Settings as ClientSettings
from ocihaul.connect import open_storage
from ocihaul.emulator import Emulator
from ocihaul.emulator import Settings as EmulatorSettings
from ocihaul.events import AttemptFinished, TokenAdopted
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.request import Existing, UploadRequest, UploadResult
from ocihaul.transfer.upload import upload
from tests.support import Recorder

MIB = 2**20
PART = 10 * MIB


@dataclass
class World:
    """One emulator, one home directory, one listener that remembers everything."""

    oci: Emulator
    home: Path
    config: Path
    heard: Recorder = field(default_factory=Recorder)
    stop: threading.Event = field(default_factory=threading.Event)

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
        with open_storage(self.settings(**flags), self.heard, self.stop) as storage:
            yield storage

    def request(self, source: Path, **wishes: object) -> UploadRequest:
        given: dict[str, object] = {
            "source": source,
            "namespace": self.oci.namespace,
            "bucket": "backups",
            "name": source.name,
            "part_size": PART,
            "parallel": 5,
            "existing": Existing.REPLACE,
        }
        return UploadRequest(**(given | wishes))  # type: ignore[arg-type]  # by name

    def upload(
        self, source: Path, *, flags: Mapping[str, object] | None = None, **wishes: object
    ) -> UploadResult:
        request = self.request(source, **wishes)
        with self.storage(**(flags or {})) as storage:
            return upload(storage, request, listener=self.heard, stop=self.stop)

    # What the emulator has seen, and what the client has said

    def arrived_whole(self, source: Path, name: str | None = None) -> bool:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return self.oci.object_digest("backups", name or source.name) == digest

    def part_bytes_received(self) -> int:
        return sum(
            entry.body_received
            for entry in self.oci.log.entries()
            if entry.operation in {"UploadPart", "PutObject"}
        )

    def refreshes(self) -> int:
        return self.oci.log.count(operation="RefreshToken")

    def storage_calls_with_401(self) -> int:
        return sum(
            1 for entry in self.oci.log.entries(status=401) if entry.operation != "RefreshToken"
        )

    def rungs(self) -> list[str]:
        return [event.rung for event in self.heard.events if isinstance(event, TokenAdopted)]

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
        config = oci.write_profile(home / "oci")
        yield World(oci, home, config)
