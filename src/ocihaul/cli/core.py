"""The seam between the command line and the work: each function imports what it starts.

Tests replace these functions; nothing else in `cli/` touches the core's machinery.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ocihaul.config import SDK_AUTH, Settings
from ocihaul.events import Event
from ocihaul.transfer.request import Confirm, UploadRequest, UploadResult


def run_upload(
    settings: Settings,
    request: UploadRequest,
    *,
    listener: Callable[[Event], None],
    confirm: Confirm | None,
    stop: threading.Event,
) -> UploadResult:
    """Upload one file; asks the service for the namespace if the request has none."""
    from ocihaul.cli.foretelling import Foreteller
    from ocihaul.cli.parking import ParkHook
    from ocihaul.connect import open_storage
    from ocihaul.transfer.upload import upload

    wishes = settings.wishes
    foreteller = Foreteller(
        listener,
        mints=wishes.renew_with,
        expected_rate=wishes.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )
    listeners: list[Callable[[Event], None]] = [listener, foreteller]
    if wishes.on_park:
        listeners.append(ParkHook(wishes.on_park, listener))

    def tell(event: Event) -> None:
        for each in listeners:
            each(event)

    authority = None
    if settings.auth in SDK_AUTH:
        from ocihaul.adapters.principals import open_principal, settled

        authority = open_principal(settings)
        settings = settled(settings, authority)
    with open_storage(settings, tell, stop, authority=authority) as storage:
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        return upload(
            storage,
            request,
            listener=tell,
            confirm=confirm,
            stop=stop,
            before=foreteller.require if wishes.require_session else None,
        )


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status."""
    from ocihaul.emulator.cli import main

    return main(args)
