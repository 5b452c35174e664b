"""The seam between the command line and the client: each function imports what it starts.

Tests replace these functions.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ocihaul.config import Settings
from ocihaul.events import Listener, audience
from ocihaul.transfer.upload.request import Confirm, UploadRequest, UploadResult

if TYPE_CHECKING:
    # They bring cryptography and more along, which only some commands need.
    from ocihaul.cli.session_estimate import LifetimeEstimator
    from ocihaul.client import Client
    from ocihaul.storage.client import StorageClient
    from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.journal.journal import Journal


def run_upload(
    settings: Settings,
    request: UploadRequest,
    *,
    listener: Listener,
    confirm: Confirm | None,
    stop: threading.Event,
) -> UploadResult:
    """Upload one file; asks the service for the namespace if the request has none."""
    session_options = settings.session_options
    if request.outlive_session:
        # An expired session must not keep waiting what can go on without it.
        request = replace(request, expected_rate=session_options.expected_rate)
        settings = replace(settings, session_options=replace(session_options, session_wait=0.0))
    estimator = _foreteller(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        return client.run_upload(
            request,
            confirm=confirm,
            before=estimator.require if session_options.require_session else None,
        )


def run_download(
    settings: Settings, request: "DownloadRequest", *, listener: Listener, stop: threading.Event
) -> "DownloadResult":
    """Download one object; asks the service for the namespace if the request has none."""
    estimator = _foreteller(settings, listener)
    with client_for(settings, listener=audience(listener, estimator), stop=stop) as client:
        before = estimator.require if settings.session_options.require_session else None
        return client.run_download(request, before=before)


def _foreteller(settings: Settings, say: Listener) -> "LifetimeEstimator":
    """What hears the transfer's events, too, and says how long its session lasts."""
    from ocihaul.cli.session_estimate import LifetimeEstimator

    session_options = settings.session_options
    return LifetimeEstimator(
        say,
        mints=session_options.renew_with,
        expected_rate=session_options.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )


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


@contextmanager
def storage_for(
    settings: Settings, *, listener: Listener, stop: threading.Event
) -> Iterator["StorageClient"]:
    """The storage client of such a client."""
    with client_for(settings, listener=listener, stop=stop) as client:
        yield client.storage


def journal_to_read() -> "Journal":
    """The user's journal, for commands that are about it; raises JournalError."""
    from ocihaul.transfer.journal.journal import Journal, state_directory

    return Journal(state_directory())


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status.

    Raises UsageError when what it is made of is not installed.
    """
    from ocihaul.integrations.extras import EMULATOR, require

    require(EMULATOR, by="the emulator")
    from ocihaul.emulator.cli import main

    try:
        return main(args)
    except SystemExit as ended:  # argparse, after its help or a wrong option
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
