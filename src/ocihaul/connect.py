"""From settings to a storage client: who signs, over which connections, to which endpoint."""

import contextlib
import threading
import time
from collections.abc import Iterator

from ocihaul.clock import ServerClock, local_time
from ocihaul.config import Settings
from ocihaul.events import Event, Listener, Parked
from ocihaul.http.client import Client
from ocihaul.http.retry import RetryPolicy
from ocihaul.session.credential import Authority, Nobody
from ocihaul.session.opening import dialer_for, open_api_key
from ocihaul.session.session import Session
from ocihaul.storage.client import PROBE, StorageClient
from ocihaul.wire.connection import Patience
from ocihaul.wire.limiter import Limiter
from ocihaul.wire.pool import Pool


@contextlib.contextmanager
def open_storage(
    settings: Settings,
    listener: Listener,
    stop: threading.Event,
    *,
    authority: Authority | None = None,
) -> Iterator[StorageClient]:
    """A storage client on a live session, for as long as the context lasts.

    With an `authority` the caller says who signs, and the settings' own way is not looked at.

    Raises CredentialError when key or token are unusable, ConfigError.
    """
    clock = ServerClock(listener=listener)
    dialer = dialer_for(settings)
    with contextlib.ExitStack() as stack:
        patience = Patience(read=settings.read_timeout)
        limiter = limiter_for(settings)
        pool = stack.enter_context(Pool(dialer, patience=patience, stop=stop, limiter=limiter))
        if authority is None and settings.auth == "api_key":
            authority = open_api_key(settings)
        elif authority is None:
            session = Session.from_settings(
                settings,
                dialer=dialer,
                clock=clock,
                listener=parking(listener, pool),
                stop=stop,
                session_wait=settings.wishes.session_wait,
            )
            authority = stack.enter_context(session)
        client = Client(
            pool,
            authority,
            clock,
            retry=RetryPolicy(max_attempts=settings.max_attempts),
            listener=listener,
            stop=stop,
            probe=PROBE,
        )
        unsigned = Client(
            pool,
            Nobody(),
            clock,
            retry=RetryPolicy(max_attempts=settings.max_attempts),
            listener=listener,
            stop=stop,
        )
        yield StorageClient(
            client, settings.object_storage_endpoint, unsigned=unsigned, listener=listener
        )


def limiter_for(settings: Settings) -> Limiter | None:
    """What keeps all transfers to the bandwidth that the settings allow; by local time."""
    bandwidth = settings.bandwidth
    if bandwidth is None:
        return None
    return Limiter(lambda: bandwidth.at(local_time(time.time())))


def parking(listener: Listener, pool: Pool) -> Listener:
    """The listener, with the idle connections closed when the session parks: it may take hours."""

    def listen(event: Event) -> None:
        if isinstance(event, Parked):
            pool.drop_idle()
        listener(event)

    return listen
