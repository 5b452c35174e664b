"""The emulator as tests hold it: start, seed, look inside, break, close."""

import contextlib
import dataclasses
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from cryptography.hazmat.primitives.asymmetric import rsa

from ocihaul.emulator.auth import (
    REGION,
    TENANCY,
    Authority,
    EmulatorSession,
    write_api_key_profile,
    write_session_profile,
)
from ocihaul.emulator.buckets import Store, Versioning
from ocihaul.emulator.faults import Faults, RandomFaults
from ocihaul.emulator.handlers.common import object_headers
from ocihaul.emulator.log import Log, LogEntry
from ocihaul.emulator.objects import (
    Attributes,
    Blob,
    Part,
    StoredObject,
    combine_crc32c,
    digest_of_digests,
)
from ocihaul.emulator.server import Server, server_context
from ocihaul.emulator.settings import Settings, SettingsChange
from ocihaul.emulator.state import Service


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as the service holds it; `headers` are those of HEAD, `crc32c` is a number."""

    name: str
    size: int
    etag: str
    version_id: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    storage_tier: str
    archival_state: str | None
    crc32c: int
    part_count: int
    sse_key_sha256: str | None
    kms_key_id: str | None


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload in progress; `parts` by number."""

    upload_id: str
    object_name: str
    created: float
    storage_tier: str
    algorithm: str | None
    parts: tuple[Part, ...]


class Emulator:
    """A small OCI on loopback: object storage, the auth service, faults on demand."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        on_request: Callable[[LogEntry], None] | None = None,
        keep_log: bool = True,
    ) -> None:
        """Start it. `on_request` is called with each request that is over; `keep_log`: `log` has
        all of them, which takes memory for each.
        """
        settings = settings or Settings()
        self._home = Path(tempfile.mkdtemp(prefix="ocihaul-emulator-"))
        try:
            data = settings.data_dir or self._home / "data"
            data.mkdir(parents=True, exist_ok=True)
            self._service = Service(
                settings=settings,
                store=Store(data, settings.namespace, TENANCY),
                log=Log(on_request, keep=keep_log),
                faults=Faults(),
                closing=threading.Event(),
            )
            self.store.create_bucket(settings.bucket)
            #: PEM of the CA to trust, when TLS is on.
            self.ca_file: Path | None = None
            context = None
            if settings.tls:
                self.ca_file = self._home / "ca.pem"
                context = server_context(settings.host, self.ca_file)
            self._server = Server(self._service, context)
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        self.host_port = f"{settings.host}:{self._server.port}"
        local = f"localhost:{self._server.port}"
        self._service.host_ports = frozenset({self.host_port, local})
        self._server.start()

    def close(self) -> None:
        """Break all connections and remove what was kept."""
        self._server.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- where and how

    @property
    def endpoint(self) -> str:
        """URL of object storage, auth and identity alike."""
        return f"{'https' if self.settings.tls else 'http'}://{self.host_port}"

    @property
    def region_trick(self) -> str:
        """A region that leads the official `session refresh` here (needs TLS and our CA)."""
        return f"x.y@{self.host_port}"

    @property
    def namespace(self) -> str:
        """The one Object Storage namespace."""
        return self.store.namespace

    @property
    def settings(self) -> Settings:
        """As they are now; change them with `configure`."""
        return self._service.settings

    def configure(self, **changes: Unpack[SettingsChange]) -> None:
        """Replace settings while running (host, port, tls and data_dir are fixed)."""
        self._service.settings = dataclasses.replace(self._service.settings, **changes)

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self._service.faults

    @property
    def random_faults(self) -> RandomFaults:
        """What goes wrong by chance; nothing, until rates are set."""
        return self._service.random_faults

    @property
    def log(self) -> Log:
        """What was asked."""
        return self._service.log

    # --- sessions

    @property
    def store(self) -> Store:
        """The buckets and what is in them, for tests that change it behind the service's back."""
        return self._service.store

    @property
    def auth(self) -> Authority:
        """The auth service; `auth.refreshes` counts the tokens that refresh gave out."""
        return self._service.auth

    def login(self) -> EmulatorSession:
        """A new session with a key of its own."""
        return self.auth.login()

    def issue_token(
        self, session: EmulatorSession, ttl: float | None = None, **claims: object
    ) -> str:
        """Another token in the session, for the same key; a claim of None is left out."""
        return self.auth.issue(session.session_id, ttl, **claims).text

    def revoke(self, token: str, *, refreshable: bool = False) -> None:
        """The token is refused from now on; `refreshable`: except for a refresh."""
        self.auth.revoke(token, refreshable=refreshable)

    def revoke_all(self, *, refreshable: bool = False) -> None:
        """All tokens issued so far are refused from now on."""
        self.auth.revoke_all(refreshable=refreshable)

    def end_session(self, session: EmulatorSession) -> None:
        """The session has expired: no token, no refresh."""
        self.auth.end(session.session_id)

    def write_profile(
        self,
        directory: Path,
        profile: str = "DEFAULT",
        *,
        session: EmulatorSession | None = None,
        passphrase: str | None = None,
        region: str = REGION,
    ) -> Path:
        """Key, token and config section as the official CLI writes them; returns the config."""
        session = session or self.login()
        return write_session_profile(
            Path(directory), profile, session, region=region, passphrase=passphrase
        )

    def write_api_key_profile(
        self, directory: Path, profile: str = "APIKEY", *, region: str = REGION
    ) -> Path:
        """A section that signs with an API key, which is registered; returns the config."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.auth.add_api_key(key.public_key())
        return write_api_key_profile(Path(directory), profile, key, region=region)

    # --- objects

    def create_bucket(
        self, name: str, *, storage_tier: str = "Standard", versioning: Versioning = "Disabled"
    ) -> None:
        """One more bucket."""
        self.store.create_bucket(name, storage_tier, versioning)

    def par_secrets(self) -> list[str]:
        """What is secret in the URLs of the PARs that there are."""
        store = self.store
        with store.lock:
            return [par.secret for bucket in store.buckets() for par in bucket.pars.values()]

    def issued_par_secrets(self) -> set[str]:
        """Those of deleted PARs, too: to be looked for in output."""
        store = self.store
        with store.lock:
            return set[str]().union(*(bucket.par_secrets for bucket in store.buckets()))

    def put_object(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        storage_tier: str = "Standard",
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        part_size: int | None = None,
        algorithm: str | None = None,
    ) -> ObjectInfo:
        """Seed an object; with `part_size` as if it had come in parts of that many bytes."""
        store = self.store
        size = part_size or max(1, len(data))
        intakes = []
        for start in range(0, max(1, len(data)), size):
            intake = store.intake(self.settings, frozenset())
            intake.write(memoryview(data)[start : start + size])
            intake.close()
            intakes.append(intake)
        crc = 0
        for intake in intakes:
            crc = combine_crc32c(crc, intake.checksums.crc32c, intake.size)
        whole = dataclasses.replace(intakes[0].checksums, crc32c=crc)
        md5 = whole.value("MD5")
        shown = {"content-md5": md5}
        if part_size:
            md5 = digest_of_digests("md5", [intake.checksums.md5 for intake in intakes])
            shown = {"opc-multipart-md5": md5}
        if algorithm == "CRC32C":
            shown["opc-content-crc32c"] = whole.value("CRC32C")
        attributes = Attributes(
            headers=dict(headers or {}),
            metadata=dict(metadata or {}),
            storage_tier=storage_tier,
            algorithm=algorithm,
        )
        stored = StoredObject(
            name=name,
            blob=Blob([intake.segment for intake in intakes]),
            attributes=attributes,
            checksums=whole,
            checksum_headers={key: value for key, value in shown.items() if value is not None},
            part_count=len(intakes) if part_size else 0,
        )
        with store.lock:
            store.bucket(self.namespace, bucket).put(stored)
        return self.object_info(bucket, name)

    def _object(self, bucket: str, name: str) -> StoredObject:
        self._service.settle()
        return self.store.bucket(self.namespace, bucket).object(name)

    def object_names(self, bucket: str) -> list[str]:
        """All names, in order."""
        self._service.settle()
        with self.store.lock:
            return list(self.store.bucket(self.namespace, bucket).sorted_names())

    def object_info(self, bucket: str, name: str) -> ObjectInfo:
        """What is known about an object; ApiError (404) if there is none."""
        with self.store.lock:
            stored = self._object(bucket, name)
            now = self._service.now()
            return ObjectInfo(
                name=stored.name,
                size=stored.size,
                etag=stored.etag,
                version_id=stored.version_id,
                headers=object_headers(stored, now),
                metadata=dict(stored.attributes.metadata),
                storage_tier=stored.attributes.storage_tier,
                archival_state=stored.archival_state(now),
                crc32c=stored.checksums.crc32c,
                part_count=stored.part_count,
                sse_key_sha256=stored.attributes.sse_key_sha256,
                kms_key_id=stored.attributes.kms_key_id,
            )

    def read_object(self, bucket: str, name: str) -> bytes:
        """All its bytes; for small ones."""
        with self._reading(bucket, name) as blob:
            return b"".join(blob.read(0, blob.size))

    def object_digest(self, bucket: str, name: str) -> str:
        """SHA-256 in hex, read piece by piece."""
        digest = hashlib.sha256()
        with self._reading(bucket, name) as blob:
            for piece in blob.read(0, blob.size):
                digest.update(piece)
        return digest.hexdigest()

    @contextlib.contextmanager
    def _reading(self, bucket: str, name: str) -> Any:
        with self.store.lock:
            blob = self._object(bucket, name).blob
            if blob.discarded:
                raise ValueError(f"the bytes of {name!r} were discarded (Settings.discard)")
            release = blob.open()
        try:
            yield blob
        finally:
            release()

    def uploads(self, bucket: str) -> list[UploadInfo]:
        """The multipart uploads in progress, oldest first."""
        with self.store.lock:
            uploads = self.store.bucket(self.namespace, bucket).uploads.values()
            return [
                UploadInfo(
                    upload_id=upload.upload_id,
                    object_name=upload.name,
                    created=upload.created,
                    storage_tier=upload.attributes.storage_tier,
                    algorithm=upload.attributes.algorithm,
                    parts=tuple(upload.parts[number] for number in sorted(upload.parts)),
                )
                for upload in sorted(uploads, key=lambda upload: upload.created)
            ]
