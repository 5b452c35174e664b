"""Where a call goes and who signs, from the arguments that all calls share."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ocihaul.adapters.principals import open_principal, settled
from ocihaul.config import SDK_AUTH, Flags, resolve
from ocihaul.connect import open_storage
from ocihaul.events import Listener
from ocihaul.session.opening import home_directory
from ocihaul.storage.client import StorageClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a caller has said of it; what is None is found as the command line finds it.

    `session_wait` is how long a session that is over waits for a login, seconds.
    """

    profile: str | None
    config_file: str | Path | None
    auth: str | None
    region: str | None
    endpoint: str | None
    auth_endpoint: str | None
    session_wait: float | None = None

    @contextmanager
    def storage(
        self, command: tuple[str, ...], listener: Listener, stop: threading.Event
    ) -> Iterator[StorageClient]:
        """A storage client; `command` is the one whose defaults in the rc file count.

        Raises ConfigError, CredentialError.
        """
        flags = Flags(
            config_file=None if self.config_file is None else os.fspath(self.config_file),
            profile=self.profile,
            auth=self.auth,
            region=self.region,
            endpoint=self.endpoint,
            auth_endpoint=self.auth_endpoint,
            session_wait=None if self.session_wait is None else f"{self.session_wait:.3f}s",
        )
        settings = resolve(flags, os.environ, home_directory(), command=command)
        authority = None
        if settings.auth in SDK_AUTH:
            authority = open_principal(settings)
            settings = settled(settings, authority)
        with open_storage(settings, listener, stop, authority=authority) as storage:
            yield storage
