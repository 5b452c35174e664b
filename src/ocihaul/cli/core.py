"""The seam between the command line and the work: each function imports what it starts.

Tests replace these functions; nothing else in `cli/` touches the core's machinery.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ocihaul.config import SDK_AUTH, Settings
from ocihaul.events import Listener, audience
from ocihaul.transfer.uploads.request import Confirm, UploadRequest, UploadResult

if TYPE_CHECKING:
    # They bring cryptography and more along, which only some commands need.

    from ocihaul.cli.foretelling import Foreteller
    from ocihaul.storage.client import StorageClient
    from ocihaul.transfer.downloads.request import DownloadRequest, DownloadResult
    from ocihaul.transfer.journal.journal import Journal
    from ocihaul.transfer.pace import Pace


def run_upload(
    settings: Settings,
    request: UploadRequest,
    *,
    listener: Listener,
    confirm: Confirm | None,
    stop: threading.Event,
) -> UploadResult:
    """Upload one file; asks the service for the namespace if the request has none."""
    from ocihaul.transfer.counting import Counter
    from ocihaul.transfer.uploads.headers import check_wishes
    from ocihaul.transfer.uploads.upload import upload

    check_wishes(request)  # before a session that is over could keep it waiting
    if request.outlive_session:
        # A session that is over must not keep waiting what can go on without it.
        wishes = settings.wishes
        request = replace(request, expected_rate=wishes.expected_rate)
        settings = replace(settings, wishes=replace(wishes, session_wait=0.0))
    counter = Counter()
    tell, foreteller, pace = _listeners(settings, listener, counter, adaptive=request.adaptive)
    with (
        journal_for(listener) as journal,
        storage_for(settings, listener=tell, stop=stop) as storage,
    ):
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        return upload(
            storage,
            request,
            listener=tell,
            confirm=confirm,
            stop=stop,
            before=foreteller.require if settings.wishes.require_session else None,
            journal=journal,
            counter=counter,
            pace=pace,
        )


def run_download(
    settings: Settings, request: "DownloadRequest", *, listener: Listener, stop: threading.Event
) -> "DownloadResult":
    """Download one object; asks the service for the namespace if the request has none."""
    from ocihaul.transfer.downloads.download import download

    tell, foreteller, pace = _listeners(settings, listener, adaptive=request.adaptive)
    with storage_for(settings, listener=tell, stop=stop) as storage:
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        return download(
            storage,
            request,
            listener=tell,
            stop=stop,
            before=foreteller.require if settings.wishes.require_session else None,
            pace=pace,
        )


def _listeners(
    settings: Settings, *listeners: Listener, adaptive: bool
) -> tuple[Listener, "Foreteller", "Pace | None"]:
    """The listeners with those that a transfer needs beside them, which are returned, too.

    What there is to be said is said by the first.
    """
    from ocihaul.cli.foretelling import Foreteller
    from ocihaul.transfer.pace import Pace

    wishes = settings.wishes
    foreteller = Foreteller(
        listeners[0],
        mints=wishes.renew_with,
        expected_rate=wishes.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )
    pace = Pace() if adaptive else None
    tell = audience(*listeners, foreteller, *([pace] if pace is not None else []))
    return tell, foreteller, pace


@contextmanager
def storage_for(
    settings: Settings, *, listener: Listener, stop: threading.Event
) -> Iterator["StorageClient"]:
    """A storage client on whatever signs for these settings, with what is to happen at parks."""
    from ocihaul.cli.parking import park_listeners
    from ocihaul.connect import open_storage

    authority = None
    if settings.auth in SDK_AUTH:
        from ocihaul.adapters.principals import open_principal, settled

        authority = open_principal(settings)
        settings = settled(settings, authority)
    with (
        park_listeners(settings, listener, stop) as others,
        open_storage(settings, audience(listener, *others), stop, authority=authority) as storage,
    ):
        yield storage


def journal_for(listener: Listener) -> AbstractContextManager["Journal | None"]:
    """The user's journal; without one an upload still works, but is not gone on with."""
    from ocihaul.transfer.journal.opening import open_journal

    return open_journal(listener)


def journal_to_read() -> "Journal":
    """The user's journal, for commands that are about it; raises JournalError."""
    from ocihaul.transfer.journal.journal import Journal, state_directory

    return Journal(state_directory())


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status."""
    from ocihaul.emulator.cli import main

    return main(args)
