"""The names of buckets and objects for a shell that completes a line.

Only where a session is alive, or an API key signs: nothing is renewed, and no login is asked for.
What takes too long is left out.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ocihaul.cli.process import environment_and_home
from ocihaul.errors import OcihaulError

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.config import Settings

#: How long a person in the middle of a line waits, seconds.
PATIENCE = 2.0
#: Names at most.
_MOST = 1000


def bucket_names(values: Mapping[str, str]) -> Sequence[str]:
    """The buckets of the tenancy; `values` are those of the line's options."""
    settings = _settings(values)

    def ask(client: "Client") -> Iterator[str]:
        namespace = values.get("namespace") or client.namespace
        compartment = values.get("compartment_id") or settings.tenancy
        if compartment is not None:
            for each in client.storage.list_buckets(namespace, compartment):
                yield str(each["name"])

    return _asked(settings, ask)


def object_names(
    values: Mapping[str, str], namespace: str | None, bucket: str, prefix: str
) -> Sequence[str]:
    """The objects under a prefix as a directory has them: those below end with "/"."""
    from ocihaul.storage.values import Selection

    def ask(client: "Client") -> Iterator[str]:
        selection = Selection(prefix=prefix, delimiter="/")
        where = (namespace or client.namespace, bucket)
        for page in client.storage.list_objects(*where, selection):
            yield from page.prefixes
            yield from (each.name for each in page.objects)

    return _asked(_settings(values), ask)


def _settings(values: Mapping[str, str]) -> "Settings":
    from ocihaul.config import Flags, resolve

    names = ("config_file", "profile", "cli_rc_file", "auth", "region", "endpoint", "cert_bundle")
    flags = Flags(**{name: values[name] for name in names if name in values})  # type: ignore[arg-type]
    environ, home = environment_and_home()
    settings = resolve(flags, environ, home, command=("os", "bucket", "list"))
    short = PATIENCE / 2
    return replace(
        settings,
        connection_timeout=min(settings.connection_timeout, short),
        read_timeout=min(settings.read_timeout, short),
        max_attempts=1,
        unreachable=0.0,
        minting=None,
    )


def _asked(settings: "Settings", ask: Callable[["Client"], Iterator[str]]) -> Sequence[str]:
    """What a client that renews nothing is told within `PATIENCE`."""
    from ocihaul.client import Client
    from ocihaul.session.diagnostics.probe import present_credential

    credentials = None
    if settings.auth == "security_token":
        credentials = present_credential(settings)
        if credentials is None:
            return ()
    elif settings.auth != "api_key":
        return ()  # the SDK's principals may take long to open
    found: list[str] = []
    cancel = threading.Event()

    def work() -> None:
        with (
            suppress(OcihaulError),  # then there are no names to choose from
            Client(settings, cancel=cancel, credentials=credentials) as client,
        ):
            found.extend(islice(ask(client), _MOST))

    thread = threading.Thread(target=work, name="completion", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    cancel.set()
    return list(found)
