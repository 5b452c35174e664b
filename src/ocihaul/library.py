"""The calls of the public API that are more than one of our classes: settings, client, work.

What belongs here: a function a program calls, with plain arguments. It neither prints nor asks.
"""

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from ocihaul.adapters.principals import open_principal, settled
from ocihaul.config import SDK_AUTH, Flags, resolve
from ocihaul.connect import open_storage
from ocihaul.events import Listener, both, ignore
from ocihaul.session.opening import home_directory
from ocihaul.transfer import upload as transfer
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.request import Existing, UploadRequest, UploadResult


def upload(
    source: str | Path,
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
    """Upload one file as an object, and return when the service has it whole.

        >>> import ocihaul
        >>> ocihaul.upload("backup.tar", "backups").size  # doctest: +SKIP
        1048576

    The object is called `name`, or else as the file. With `Existing.ASK` an object that is there
    already raises ObjectExists; `Existing.REPLACE` replaces it. `session_wait` is how long, in
    seconds, a session that is over waits for a new login. `stop`, once set, ends the upload.
    `wishes` are the other fields of `ocihaul.transfer.request.UploadRequest`: part_size (bytes),
    parallel, storage_tier, metadata, verify_checksum, and so on. Everything else is settled as
    the command line does it: argument, environment, rc file, config file.

    Raises OcihaulError: ConfigError, SessionError, ServiceError, NetworkError, SourceError,
    ChecksumError, ObjectExists, UploadStopped.
    """
    flags = Flags(
        config_file=None if config_file is None else os.fspath(config_file),
        profile=profile,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=f"{session_wait}s",
    )
    settings = resolve(flags, os.environ, home_directory(), command=("os", "object", "put"))
    source = Path(source)
    request = UploadRequest(
        source=source,
        namespace=namespace or "",
        bucket=bucket,
        name=name or source.name,
        existing=existing,
        **wishes,
    )
    stop = stop or threading.Event()
    authority = None
    if settings.auth in SDK_AUTH:
        authority = open_principal(settings)
        settings = settled(settings, authority)
    pace = Pace() if request.adaptive else None
    tell = both(listener, pace) if pace is not None else listener
    with open_storage(settings, tell, stop, authority=authority) as storage:
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        return transfer.upload(storage, request, listener=tell, stop=stop, pace=pace)
