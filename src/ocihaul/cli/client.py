"""The frame of commands that talk to the service: progress, notices, and a client to call."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ocihaul.cli.invocation import Invocation
from ocihaul.config import Settings
from ocihaul.events import Listener, audience

if TYPE_CHECKING:
    # They bring cryptography and more along, which only some commands need.
    from ocihaul.cli.cluster import Executor
    from ocihaul.cli.progress import Reporter
    from ocihaul.cli.session_estimate import LifetimeEstimator
    from ocihaul.client import Client
    from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.journal.journal import Journal
    from ocihaul.transfer.upload.request import Confirm, UploadRequest, UploadResult


@contextmanager
def reporting_on(
    invocation: Invocation, settings: Settings | None
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
    settings: Settings, *, listener: Listener, stop: threading.Event
) -> Iterator["Client"]:
    """A client for these settings, with what is to happen when its session waits for a login."""
    from ocihaul.cli.park_hooks import pause_listeners
    from ocihaul.client import Client

    with (
        pause_listeners(settings, listener, stop) as others,
        Client(settings, listener=audience(listener, *others), cancel=stop) as client,
    ):
        yield client


def run_upload(
    settings: Settings,
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
    settings: Settings,
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


def estimator_for(settings: Settings, listener: Listener) -> "LifetimeEstimator":
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
