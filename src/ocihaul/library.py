"""The calls of the public API that are more than one of our classes: settings, client, work.

What belongs here: a function a program calls, with plain arguments. It neither prints nor asks.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from ocihaul.adapters.principals import open_principal, settled
from ocihaul.config import SDK_AUTH, Flags, resolve
from ocihaul.connect import open_storage
from ocihaul.errors import UsageError
from ocihaul.events import Listener, audience, ignore
from ocihaul.session.opening import home_directory
from ocihaul.storage.client import StorageClient
from ocihaul.storage.types import SseCustomerKey
from ocihaul.transfer.counting import Counter
from ocihaul.transfer.downloads import download as downloading
from ocihaul.transfer.downloads.request import DownloadRequest, DownloadResult
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.receipts.verifying import (
    FileVerdict,
    ObjectVerdict,
    load_receipt,
    verify_file,
    verify_object,
)
from ocihaul.transfer.uploads import upload as transfer
from ocihaul.transfer.uploads.request import Existing, Stream, UploadRequest, UploadResult


def upload(
    source: str | Path | Stream,
    bucket: str,
    name: str | None = None,
    *,
    namespace: str | None = None,
    existing: Existing = Existing.ASK,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    session_wait: float = 0.0,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    **wishes: Any,
) -> UploadResult:
    """Upload one file or stream as an object, and return when the service has it whole.

        >>> import ocihaul
        >>> ocihaul.upload("backup.tar", "backups").size  # doctest: +SKIP
        1048576

    The object is called `name`, or else as the file. A binary file object is read from where it
    stands to its end, once; it needs a `name`, and nothing is stored when it fails. With
    `Existing.ASK` an object that is there already raises ObjectExists; `Existing.REPLACE` replaces
    it. `session_wait` is how long, in seconds, a session that is over waits for a new login.
    `stop`, once set, ends the upload.
    `wishes` are the other fields of `ocihaul.transfer.uploads.request.UploadRequest`: part_size
    (bytes), parallel, storage_tier, metadata, verify_checksum, and so on. Everything else is
    settled as the command line does it: argument, environment, rc file, config file.

    Raises OcihaulError: ConfigError, SessionError, ServiceError, NetworkError, SourceError,
    ChecksumError, ObjectExists, UploadStopped.
    """
    stream = None if isinstance(source, (str, Path)) else source
    if stream is not None and not (name and hasattr(stream, "readinto")):
        raise UsageError("a stream has to be a binary file object, and needs a name")
    path = Path(source) if isinstance(source, (str, Path)) else Path("-")
    for wish in ("receipt", "spool_dir"):
        if isinstance(wishes.get(wish), str):
            wishes[wish] = Path(wishes[wish])
    request = UploadRequest(
        source=path,
        stream=stream,
        namespace=namespace or "",
        bucket=bucket,
        name=name or path.name,
        existing=existing,
        **wishes,
    )
    flags = Flags(
        config_file=None if config_file is None else os.fspath(config_file),
        profile=profile,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=f"{session_wait}s",
    )
    stop = stop or threading.Event()
    counter = Counter()
    pace = Pace() if request.adaptive else None
    tell = audience(listener, counter, *([pace] if pace is not None else []))
    with _storage(flags, ("os", "object", "put"), tell, stop) as storage:
        request = replace(request, namespace=request.namespace or storage.get_namespace())
        return transfer.upload(
            storage, request, listener=tell, stop=stop, counter=counter, pace=pace
        )


def download(
    bucket: str,
    name: str,
    target: str | Path | BinaryIO,
    *,
    namespace: str | None = None,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    session_wait: float = 0.0,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    **wishes: Any,
) -> DownloadResult:
    """Download one object to a file, and return when all of it is there and compared.

        >>> import ocihaul
        >>> ocihaul.download("backups", "backup.tar", "backup.tar").size  # doctest: +SKIP
        1048576

    A file at `target` is replaced, once the object is complete; called again after it was
    stopped, it goes on with what is there. A binary stream gets the bytes in order. `wishes` are
    the other fields of `ocihaul.transfer.downloads.request.DownloadRequest`: byte_range,
    part_size (bytes), parallel, restore, and so on; the rest is as for `upload`.

    Raises OcihaulError: ConfigError, SessionError, ServiceError, NetworkError, TargetError,
    ChecksumError, ObjectArchived, ObjectChanged, DownloadBusy.
    """
    request = DownloadRequest(
        namespace=namespace or "",
        bucket=bucket,
        name=name,
        target=Path(target) if isinstance(target, (str, os.PathLike)) else target,
        **wishes,
    )
    flags = Flags(
        config_file=None if config_file is None else os.fspath(config_file),
        profile=profile,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=f"{session_wait}s",
    )
    stop = stop or threading.Event()
    pace = Pace() if request.adaptive else None
    tell = audience(listener, *([pace] if pace is not None else []))
    with _storage(flags, ("os", "object", "get"), tell, stop) as storage:
        request = replace(request, namespace=request.namespace or storage.get_namespace())
        return downloading.download(storage, request, listener=tell, stop=stop, pace=pace)


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a file and an object since their receipt; None: not looked at."""

    file: FileVerdict | None
    object: ObjectVerdict | None

    @property
    def good(self) -> bool:
        """Whatever was looked at is as it was stored."""
        return all(each is None or each.good for each in (self.file, self.object))


def verify(
    receipt: str | Path,
    *,
    file: str | Path | None = None,
    stored: bool = True,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    sse_customer_key: SseCustomerKey | None = None,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
) -> Verification:
    """Compare a local file and the object on the service with the receipt of their upload.

    Only what is asked for is looked at: `file` is read once, and for the `stored` object one
    HeadObject is made, which an archived object answers, too. The request goes where the
    configuration leads, not to the receipt's endpoint.

    Raises ReceiptError when the receipt cannot be read, SourceError and SourceChanged, UsageError
    when a customer's key is missing; ConfigError, SessionError, ServiceError, NetworkError.
    """
    proof = load_receipt(Path(receipt))
    stop = stop or threading.Event()
    about_object: ObjectVerdict | None = None
    if stored:
        flags = Flags(
            config_file=None if config_file is None else os.fspath(config_file),
            profile=profile,
            auth=auth,
            region=region,
            endpoint=endpoint,
            auth_endpoint=auth_endpoint,
        )
        with _storage(flags, ("verify",), listener, stop) as storage:
            about_object = verify_object(proof, storage, key=sse_customer_key)
    about_file = verify_file(proof, Path(file), stop=stop) if file is not None else None
    return Verification(about_file, about_object)


@contextmanager
def _storage(
    flags: Flags, command: tuple[str, ...], listener: Listener, stop: threading.Event
) -> Iterator[StorageClient]:
    """A storage client on what argument, environment, rc file and config file say."""
    settings = resolve(flags, os.environ, home_directory(), command=command)
    authority = None
    if settings.auth in SDK_AUTH:
        authority = open_principal(settings)
        settings = settled(settings, authority)
    with open_storage(settings, listener, stop, authority=authority) as storage:
        yield storage
