"""What a command calls: a client with its progress and notices, and a cluster that works for it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import click

from ocihaul.cli.invocation import Invocation
from ocihaul.cli.process import environment_and_home
from ocihaul.events import Listener, audience

if TYPE_CHECKING:
    import distributed

    # They bring cryptography and more along, which only some commands need.
    from ocihaul.cli.progress import Reporter
    from ocihaul.cli.session_estimate import LifetimeEstimator
    from ocihaul.client import Client
    from ocihaul.config import Settings
    from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.journal.journal import Journal
    from ocihaul.transfer.upload.request import Confirm, UploadRequest, UploadResult


@contextmanager
def reporting_on(
    invocation: Invocation, settings: "Settings | None"
) -> Iterator[tuple[Listener, "Reporter"]]:
    """A listener that shows on stderr how far the work is, and its reporter; notices come first.

    Without `settings`, for work that needs none, there are no notices.
    """
    from ocihaul.cli.progress import reporting

    with reporting(invocation.stderr, debug=invocation.given.debug) as reporter:
        for text in [] if settings is None else invocation.notices(settings):
            reporter.notice(f"Notice: {text}")
        yield reporter, reporter


@contextmanager
def client_for(
    settings: "Settings", *, listener: Listener, stop: threading.Event
) -> Iterator["Client"]:
    """A client for these settings, with what is to happen when its session waits for a login."""
    from ocihaul.cli.hooks import pause_listeners
    from ocihaul.client import Client

    with (
        pause_listeners(settings, listener, stop) as others,
        Client(settings, listener=audience(listener, *others), cancel=stop) as client,
    ):
        yield client


def run_upload(
    settings: "Settings",
    request: "UploadRequest",
    *,
    listener: Listener,
    confirm: "Confirm | None",
    stop: threading.Event,
    compare_kept: bool = False,
    workers: "Executor | None" = None,
) -> "UploadResult":
    """Upload one file; asks the service for the namespace if the request has none.

    `workers` are those of a cluster.
    """
    session_options = settings.session_options
    if request.outlive_session:
        # An expired session must not keep waiting what can go on without it.
        request = replace(request, expected_rate=session_options.expected_rate)
        settings = replace(settings, session_options=replace(session_options, session_wait=0.0))
    estimator = estimator_for(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        before = estimator.require if session_options.require_session else None
        return client.run_upload(
            request,
            confirm=confirm,
            before=before,
            compare_kept=compare_kept,
            **(workers or {}),
        )


def run_download(
    settings: "Settings",
    request: "DownloadRequest",
    *,
    listener: Listener,
    stop: threading.Event,
    workers: "Executor | None" = None,
) -> "DownloadResult":
    """Download one object; asks the service for the namespace if the request has none."""
    estimator = estimator_for(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        before = estimator.require if settings.session_options.require_session else None
        return client.run_download(request, before=before, **(workers or {}))


def estimator_for(settings: "Settings", listener: Listener) -> "LifetimeEstimator":
    """What hears a transfer's events, and tells `listener` how long its session lasts."""
    from ocihaul.cli.session_estimate import LifetimeEstimator

    session_options = settings.session_options
    return LifetimeEstimator(
        listener,
        mints=session_options.renew_with,
        expected_rate=session_options.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )


def journal_to_read() -> "Journal":
    """The user's journal, for commands that are about it; raises JournalError."""
    from ocihaul.transfer.journal.journal import Journal, state_directory

    return Journal(state_directory())


VARIABLE = "OCIHAUL_DASK"

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Have the workers of this Dask cluster do it: tls://HOST:PORT, or its scheduler file. "
        "All of them see the same files. [OCIHAUL_DASK]",
    ),
    click.option("--dask-tls-ca-file", metavar="FILE", help="The cluster's CA. [Dask's own]"),
    click.option("--dask-tls-cert", metavar="FILE", help="Our certificate in it. [Dask's own]"),
    click.option("--dask-tls-key", metavar="FILE", help="The key of that. [Dask's own]"),
    click.option(
        "--dask-allow-plain-tcp",
        is_flag=True,
        help="Send the session's key to workers without encryption, too.",
    ),
)


def dask_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds them."""
    for add in reversed(OPTIONS):
        command = add(command)
    return command


class Executor(TypedDict, total=False):
    """What the client's calls take."""

    executor: "distributed.Client"
    allow_plain_tcp: bool


@contextmanager
def cluster_of(given: Mapping[str, Any]) -> Iterator[Executor]:
    """The cluster that the options or the environment name; nothing where they name none.

    Raises UsageError, NetworkError.
    """
    if "dask" not in given:  # a command that moves nothing
        yield {}
        return
    environ, _ = environment_and_home()
    address = given.get("dask") or environ.get(VARIABLE)
    if not address:
        yield {}
        return
    from ocihaul.integrations.extras import DASK, require

    require(DASK, by="--dask")
    from ocihaul.cluster.connect import ClusterAddress, connected

    plain = bool(given.get("dask_allow_plain_tcp"))
    where = ClusterAddress(
        str(address),
        ca_file=given.get("dask_tls_ca_file"),
        cert=given.get("dask_tls_cert"),
        key=given.get("dask_tls_key"),
        allow_plain_tcp=plain,
    )
    with connected(where) as cluster:
        yield {"executor": cluster, "allow_plain_tcp": plain}
