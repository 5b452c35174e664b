"""One file or stream to one object, and back."""

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from ocihaul.errors import UsageError
from ocihaul.events import Listener, audience, ignore
from ocihaul.library.place import Place
from ocihaul.transfer.counting import Counter
from ocihaul.transfer.downloads import download as downloading
from ocihaul.transfer.downloads.request import DownloadRequest, DownloadResult
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.journal.opening import open_journal
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.uploads import upload as transfer
from ocihaul.transfer.uploads.headers import check_wishes
from ocihaul.transfer.uploads.request import Existing, Stream, UploadRequest, UploadResult
from ocihaul.trees.names import from_disk


def upload(
    source: str | Path | Stream,
    bucket: str,
    name: str | None = None,
    *,
    namespace: str | None = None,
    existing: Existing = Existing.ASK,
    resume: bool = True,
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

    Called again after it was stopped or killed, it goes on: the parts that are at the service are
    not sent again. The journal for that is the command line's, so either goes on with what the
    other has begun, and waits while the other is at the same object. Where it cannot be opened, the
    upload begins anew, and `listener` hears a Notice; `resume=False` does without. A stream is
    always begun anew.

    `wishes` are the other fields of `ocihaul.transfer.uploads.request.UploadRequest`: part_size
    (bytes), parallel, storage_tier, metadata, verify_checksum, and so on. Everything else is
    settled as the command line does it: argument, environment, rc file, config file.

    Raises OcihaulError: UsageError, ConfigError, SessionError, ServiceError, NetworkError,
    SourceError (SourceChanged when it is not what was begun: `restart=True` begins anew),
    ChecksumError, ObjectExists, UploadBusy (with `wait=False`), UploadStopped, Interrupted.
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
        name=name or from_disk(os.fsencode(path.name)),
        existing=existing,
        **wishes,
    )
    check_wishes(request)
    place = Place(
        profile=profile,
        config_file=config_file,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=session_wait,
    )
    stop = stop or threading.Event()
    counter = Counter()
    pace = Pace() if request.adaptive else None
    tell = audience(listener, counter, *([pace] if pace is not None else []))
    remembering: AbstractContextManager[Journal | None] = nullcontext()
    if resume:
        remembering = open_journal(listener)
    with (
        remembering as journal,
        place.storage(("os", "object", "put"), tell, stop) as storage,
    ):
        request = replace(request, namespace=request.namespace or storage.get_namespace())
        return transfer.upload(
            storage,
            request,
            listener=tell,
            stop=stop,
            journal=journal,
            counter=counter,
            pace=pace,
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
    place = Place(
        profile=profile,
        config_file=config_file,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=session_wait,
    )
    stop = stop or threading.Event()
    pace = Pace() if request.adaptive else None
    tell = audience(listener, *([pace] if pace is not None else []))
    with place.storage(("os", "object", "get"), tell, stop) as storage:
        request = replace(request, namespace=request.namespace or storage.get_namespace())
        return downloading.download(storage, request, listener=tell, stop=stop, pace=pace)
