"""A worker's side: a credential provider that asks the owner, and the plugin that brings it there.

A worker asks when the owner should have a newer credential, or after a 401. One thread asks; the
others go on with what is there as long as it is good.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import WorkerPlugin

from ocihaul import __version__
from ocihaul.errors import OcihaulError, RenewalUnavailable, UsageError
from ocihaul.integrations.dask.messages import (
    CREDENTIAL,
    PROTOCOL,
    REJECTED,
    Held,
    Message,
    held,
    provide,
    withdraw,
)
from ocihaul.session.credential import Credential
from ocihaul.threads import StopSign

if TYPE_CHECKING:
    from distributed import Worker

#: Seconds between two looks at `cancel`.
_POLL = 0.1
#: How long a question may take while the present credential is still good, seconds.
_PATIENCE = 5.0

#: Asks the owner: the operation, its parameters, what ends the wait, and after how many seconds.
Ask = Callable[[str, Message, StopSign | None, float | None], Message]


class WorkerCredentials:
    """The credential provider of a worker process. Thread-safe."""

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = threading.Lock()  # who asks; guards writes of _held
        self._held: Held | None = None

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """Return the present credential; asks the owner when there should be a newer one.

        Raises the owner's SessionError; RenewalUnavailable when the owner cannot be reached.
        """
        now, present = self._clock(), self._held
        if present is not None and now < min(present.ask_at, present.usable_until):
            return present.credential
        if present is None or now >= present.usable_until:
            with self._alone(cancel):
                return self._needed(present, cancel)
        if self._asking.acquire(blocking=False):
            try:
                self._held = self._asked(CREDENTIAL, {}, cancel, _PATIENCE)
            except OcihaulError:
                self._held = present.postponed(self._clock())
            finally:
                self._asking.release()
        return (self._held or present).credential

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        """Report a 401 to the owner; True, as there is something to sign again with.

        That may be the same credential: a session gives it a last attempt before it has expired.
        Raises as `credential` does.
        """
        with self._alone(cancel):
            present = self._held
            if present is None or present.credential.generation == credential.generation:
                generation = credential.generation
                what = {"generation": generation, "operation": operation}
                self._held = self._asked(REJECTED, what, cancel, None)
            return True

    def _needed(self, before: Held | None, cancel: StopSign | None) -> Credential:
        if self._held is None or self._held is before:  # another thread may have asked meanwhile
            self._held = self._asked(CREDENTIAL, {}, cancel, None)
        return self._held.credential

    def _asked(
        self, operation: str, what: Message, cancel: StopSign | None, timeout: float | None
    ) -> Held:
        before = self._held
        known = None if before is None else before.credential.generation
        message = self._ask(operation, what | {"known": known}, cancel, timeout)
        return held(message, before, self._clock())

    @contextmanager
    def _alone(self, cancel: StopSign | None) -> Iterator[None]:
        while not self._asking.acquire(timeout=_POLL):
            if cancel is not None and cancel.is_set():
                raise RenewalUnavailable("stopped while waiting for the shared session")
        try:
            yield
        finally:
            self._asking.release()


class SharePlugin(WorkerPlugin):  # type: ignore[misc]  # distributed has no types for it
    """Gives each worker, now or later, the provider. Pickled it is an address and a name."""

    idempotent = False

    def __init__(self, name: str, address: str) -> None:
        self.name = f"ocihaul-{name}"
        self._shared = name
        self._address = address

    def setup(self, worker: "Worker") -> None:
        """Called in each worker process."""
        self._provider = WorkerCredentials(_asking(worker, self._address))
        provide(self._shared, self._provider)

    def teardown(self, worker: "Worker") -> None:  # noqa: ARG002  Dask's interface
        """Called when it is removed, or the worker ends."""
        withdraw(self._shared, self._provider)

    def __getstate__(self) -> dict[str, str]:
        return {"name": self.name, "_shared": self._shared, "_address": self._address}


def _asking(worker: "Worker", address: str) -> Ask:
    """What asks the owner at `address` over the worker's own connections."""
    about = {"protocol": PROTOCOL, "version": __version__, "worker": str(worker.name)}
    loop: asyncio.AbstractEventLoop = worker.loop.asyncio_loop

    async def call(operation: str, what: Message) -> Any:
        return await getattr(worker.rpc(address), operation)(**about, **what)

    def ask(
        operation: str, what: Message, cancel: StopSign | None, timeout: float | None
    ) -> Message:
        if threading.get_ident() == getattr(worker, "thread_id", None):
            raise UsageError(
                "the shared session was asked in the worker's event loop",
                hint="Ask in a task, which runs in a thread.",
            )
        future = asyncio.run_coroutine_threadsafe(call(operation, what), loop)
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while not concurrent.futures.wait([future], _POLL).done:
                _check_patience(cancel, until)
            return dict(future.result())
        except (OSError, concurrent.futures.CancelledError, RuntimeError) as error:
            raise RenewalUnavailable(
                f"the owner of the shared session cannot be reached at {address}: {error}",
                hint="It is the process that called share(); it has to run, and to be reachable.",
            ) from None
        finally:
            future.cancel()

    return ask


def _check_patience(cancel: StopSign | None, until: float | None) -> None:
    if cancel is not None and cancel.is_set():
        raise RenewalUnavailable("stopped while waiting for the shared session")
    if until is not None and time.monotonic() >= until:
        raise RenewalUnavailable("the owner of the shared session takes too long to answer")
