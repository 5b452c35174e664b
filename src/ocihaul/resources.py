"""What a client owns, opened when it is needed first: session, connections, journal, namespace."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocihaul.clock import ServerClock, local_time
from ocihaul.config import SDK_AUTH, Settings
from ocihaul.errors import UsageError
from ocihaul.events import AnyEvent, Broadcast, Listener, SessionPaused, audience
from ocihaul.http.client import HttpClient
from ocihaul.http.retry import RetryPolicy
from ocihaul.session.credential import AnonymousAuth, CredentialProvider
from ocihaul.session.session import Session, dialer_for, open_api_key
from ocihaul.storage.client import PROBE, StorageClient
from ocihaul.threads import Either
from ocihaul.transport.channel import Timeouts
from ocihaul.transport.congestion import chosen
from ocihaul.transport.flows import Limiter
from ocihaul.transport.pool import Pool

if TYPE_CHECKING:
    # Only uploads need it.
    from ocihaul.transfer.journal.journal import Journal
    from ocihaul.transfer.monitor import AdaptiveConcurrency, TransferMonitor


@dataclass(frozen=True, slots=True)
class CallScope:
    """What one call works with; its events go to its own listener and its monitor, too."""

    storage: StorageClient
    listener: Listener
    stop: threading.Event
    monitor: "TransferMonitor"


class Resources:
    """Opens each of them once, whichever thread asks first, and closes them together."""

    def __init__(
        self,
        settings: Settings,
        listener: Listener,
        cancel: threading.Event,
        credentials: CredentialProvider | None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._cancel = cancel
        self._credentials = credentials
        self._calls = Broadcast()
        self._lock = threading.RLock()  # guards all below
        self._stack = ExitStack()
        self._session: Session | None = None
        self._storage: StorageClient | None = None
        self._journal: Journal | None = None
        self._namespace: str | None = None
        self._closed = False

    def close(self) -> None:
        """Close what was opened; nothing can be opened any more. Harmless when repeated."""
        with self._lock:
            self._closed = True
            self._stack.close()

    @property
    def settings(self) -> Settings:
        """What it was made by."""
        return self._settings

    def session(self) -> Session | None:
        """The session that signs; None where an API key or a principal of the SDK does."""
        self.storage()
        return self._session

    def storage(self) -> StorageClient:
        """The storage client. Raises CredentialError, ConfigError; UsageError when closed."""
        with self._lock:
            self._check_open()
            if self._storage is None:
                self._storage = self._opened_storage()
            return self._storage

    def namespace(self, storage: StorageClient) -> str:
        """The tenancy's namespace; `storage` is asked for it once."""
        if self._namespace is None:
            self._namespace = storage.get_namespace()
        return self._namespace

    def journal(self, listener: Listener) -> "Journal | None":
        """The user's journal; where it cannot be opened, `listener` hears a Notice each time."""
        from ocihaul.transfer.journal.journal import open_journal  # noqa: PLC0415  start-up time

        with self._lock:
            self._check_open()
            if self._journal is None:
                self._journal = self._stack.enter_context(open_journal(listener))
            return self._journal

    def stop_for(self, cancel: threading.Event | None) -> threading.Event:
        """What ends a call: the client's own event, and the call's."""
        return self._cancel if cancel is None else Either(cancel, self._cancel)

    @contextmanager
    def call(
        self,
        cancel: threading.Event | None,
        listener: Listener,
        *,
        adaptive: bool = False,
        meter: bool = False,
        concurrency: "AdaptiveConcurrency | None" = None,
    ) -> Iterator[CallScope]:
        """The scope of one call. It hears what the session tells while it lasts; `adaptive`: its
        monitor says how many parts go at a time, as `concurrency` does where that is given.
        `meter`: it is one object's transfer, whose progress is told.

        Raises UsageError for a `cancel` or a listener that is none.
        """
        if cancel is not None and not isinstance(cancel, threading.Event):
            raise UsageError(f"cancel: {cancel!r} is not a threading.Event")
        if not callable(listener):
            raise UsageError("listener: it has to be a function of one event")
        from ocihaul.transfer.monitor import TransferMonitor, TransferStats  # noqa: PLC0415  start-up time

        monitor = TransferMonitor(adaptive=adaptive, concurrency=concurrency, stats=TransferStats())
        theirs, stop = audience(listener, monitor), self.stop_for(cancel)
        storage = self.storage()
        with self._calls.telling(theirs):
            tell = audience(self._listener, theirs)
            if meter:
                from ocihaul.transfer.monitor import TransferMeter  # noqa: PLC0415  start-up time

                # First: the last progress comes before the end.
                tell = audience(TransferMeter(tell), tell)
            yield CallScope(storage.scoped(tell, stop), tell, stop, monitor)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the client is closed", hint="Make another one.")

    def _opened_storage(self) -> StorageClient:
        tell = audience(self._listener, self._calls)
        clock = ServerClock(listener=tell)
        credentials, settings = self._credentials, self._settings
        if credentials is None and settings.auth in SDK_AUTH:
            from ocihaul.integrations.principals import open_principal, settled  # noqa: PLC0415  an extra

            credentials = open_principal(settings)
            settings = settled(settings, credentials)
        dialer = dialer_for(settings)
        pool = self._stack.enter_context(
            Pool(
                dialer,
                timeouts=Timeouts(read=settings.read_timeout),
                stop=self._cancel,
                limiter=_limiter(settings),
                congestion=chosen(settings.congestion_control),
            )
        )
        if credentials is None and settings.auth == "api_key":
            credentials = open_api_key(settings)
        elif credentials is None:
            self._session = Session.from_settings(
                settings,
                dialer=dialer,
                clock=clock,
                listener=_dropping_idle(tell, pool),
                stop=self._cancel,
                session_wait=settings.session_options.session_wait,
            )
            credentials = self._stack.enter_context(self._session)

        def calls(signs: CredentialProvider, *, probe: bool) -> HttpClient:
            return HttpClient(
                pool,
                signs,
                clock,
                retry=RetryPolicy(
                    max_attempts=settings.max_attempts, unreachable=settings.unreachable
                ),
                listener=self._listener,
                stop=self._cancel,
                probe=PROBE if probe else None,
                request_id=settings.request_id if probe else None,
            )

        return StorageClient(
            calls(credentials, probe=True),
            settings.object_storage_endpoint,
            unsigned=calls(AnonymousAuth(), probe=False),
            listener=self._listener,
        )


def _limiter(settings: Settings) -> Limiter | None:
    """What keeps all transfers to the bandwidth that the settings allow; by local time."""
    bandwidth = settings.bandwidth
    if bandwidth is None:
        return None
    return Limiter(lambda: bandwidth.at(local_time(time.time())))


def _dropping_idle(listener: Listener, pool: Pool) -> Listener:
    """The listener, with the idle connections closed when the session waits for a login."""

    def listen(event: AnyEvent) -> None:
        if isinstance(event, SessionPaused):
            pool.drop_idle()
        listener(event)

    return listen
