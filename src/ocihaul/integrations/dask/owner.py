"""The owner's side: a small server beside the Dask client, which answers what workers ask.

It listens with the cluster's own TLS, where both sides need a certificate of the cluster: what may
be a worker may ask.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from distributed.comm import get_address_host
from distributed.core import Server
from distributed.utils import get_ip

from ocihaul import __version__
from ocihaul.endpoints import is_exposed
from ocihaul.errors import NetworkError, OcihaulError, UsageError
from ocihaul.integrations.dask.messages import (
    CREDENTIAL,
    REJECTED,
    Message,
    SharedSession,
    answer,
    failure,
    provide,
    refusal,
    withdraw,
)
from ocihaul.integrations.dask.worker import SharePlugin

if TYPE_CHECKING:
    import distributed

    from ocihaul.session.session import Session

#: Questions that wait at the same time, for a renewal or a login; others queue.
_WAITING = 64
_TLS, _INPROC, _TCP = "tls", "inproc", "tcp"


def share(
    cluster: "distributed.Client",
    session: "Session",
    *,
    name: str = "session",
    allow_plain_tcp: bool = False,
    host: str | None = None,
) -> SharedSession:
    """Give every worker of a cluster the credentials of `session`, which this process owns.

    Workers that come later have them, too. This process renews for all of them; it has to run, and
    workers have to reach it, at `host` (None: the address from which it sees the scheduler). Close
    the answer, or use it as a context, to end it; `session` stays open and is the caller's.

    Key and token travel over TLS, or within this machine. Over plain tcp to another machine
    UsageError is raised, unless `allow_plain_tcp`: then everyone on the way can act as you. Raises
    NetworkError when `host` cannot be listened at.
    """
    if cluster.asynchronous:
        raise UsageError(
            "client: it is asynchronous (allowed: a synchronous distributed.Client)",
            hint="Make a second Client for it, without asynchronous=True.",
        )
    scheduler = cluster.scheduler.address
    scheme = scheduler.partition("://")[0]
    listens = check_address(scheduler, allow_plain_tcp=allow_plain_tcp)
    with ExitStack() as stack:  # each step of the end is taken, also where another one fails
        provide(name, session)
        stack.callback(withdraw, name, session)
        if scheme != _INPROC:  # where all workers are in this process, there is nothing to send
            owner = _Owner(cluster, session)
            stack.callback(owner.close)
            where = host or (listens or get_ip(get_address_host(scheduler)))
            plugin = SharePlugin(name, _listening(owner, scheme, where))
            cluster.register_plugin(plugin, name=plugin.name)
            stack.callback(_unregister, cluster, plugin.name)
        return SharedSession(name, region=session.region, close=stack.pop_all().close)


def _listening(owner: "_Owner", scheme: str, where: str) -> str:
    try:
        return owner.start(f"{scheme}://{where}:0")
    except OSError as error:
        raise NetworkError(
            f"the questions of workers cannot be heard at {where}: {error}",
            hint="Pass host=…: an address of this machine that workers reach.",
        ) from error


def check_address(scheduler: str, *, allow_plain_tcp: bool) -> str | None:
    """Which host to listen at because of the cluster's address; None for the usual one.

    Raises UsageError for what is neither encrypted nor within this machine.
    """
    scheme = scheduler.partition("://")[0]
    if scheme in {_TLS, _INPROC}:
        return None
    local = scheme == _TCP and not is_exposed("http", get_address_host(scheduler))
    if local:
        return "127.0.0.1"
    if allow_plain_tcp:
        return None
    raise UsageError(
        f"client: {scheduler} is not encrypted (allowed: tls://, or tcp:// within this machine)",
        hint="Start scheduler and workers with --tls-ca-file, --tls-cert and --tls-key, and the "
        "client with distributed.Security(tls_ca_file=…, tls_client_cert=…, tls_client_key=…, "
        "require_encryption=True). Where the network may be trusted with your key: "
        "allow_plain_tcp=True.",
    )


class _Owner:
    """The server, on the event loop of the Dask client; what waits, waits in threads."""

    def __init__(self, cluster: "distributed.Client", session: "Session") -> None:
        self._cluster = cluster
        self._session = session
        self._threads = ThreadPoolExecutor(_WAITING, thread_name_prefix="ocihaul-share")
        self._server: Server | None = None

    def start(self, address: str) -> str:
        """Listen; returns the address that workers connect to."""

        async def listen() -> str:
            security = self._cluster.security
            self._server = Server(
                {CREDENTIAL: self._credential, REJECTED: self._rejected},
                connection_args=security.get_connection_args("client"),
                needs_workdir=False,
            )
            # The same as for every listener of the cluster: certificates on both sides.
            await self._server.listen(address, **security.get_listen_args("client"))
            return str(self._server.address)

        return str(self._cluster.sync(listen))

    def close(self) -> None:
        """End it; a question that waits gets no answer."""
        server, self._server = self._server, None
        try:
            if server is not None and self._cluster.loop is not None:
                self._cluster.sync(server.close)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _credential(
        self, *, protocol: int, version: str, worker: str, known: int | None
    ) -> Message:
        return await self._answered(protocol, version, worker, known, self._session.credential)

    async def _rejected(
        self,
        *,
        protocol: int,
        version: str,
        worker: str,
        known: int | None,
        generation: int,
        operation: str,
    ) -> Message:
        def renewed() -> Any:
            refused = replace(self._session.state.current.credential, generation=generation)
            self._session.handle_unauthorized(refused, operation)
            return self._session.credential()

        return await self._answered(protocol, version, worker, known, renewed)

    async def _answered(
        self,
        protocol: int,
        version: str,
        worker: str,
        known: int | None,
        work: Callable[[], Any],
    ) -> Message:
        refused = refusal(worker, protocol, version, ours=__version__)
        if refused is not None:
            return refused

        def answered() -> Message:
            try:
                credential = work()
                return answer(credential, known=known, now=self._session.state.clock.now())
            except OcihaulError as error:
                return failure(error)

        return await asyncio.get_running_loop().run_in_executor(self._threads, answered)


def _unregister(cluster: "distributed.Client", plugin: str) -> None:
    if cluster.status == "running":  # else it has taken its plugins along, or lost them
        cluster.unregister_worker_plugin(plugin)
