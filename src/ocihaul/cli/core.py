"""The seam between the command line and the work: each function imports what it starts.

Tests replace these functions; nothing else in `cli/` touches the core's machinery.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

from ocihaul.config import Settings
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
    from ocihaul.connect import open_storage
    from ocihaul.transfer.upload import upload

    with open_storage(settings, listener, stop) as storage:
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        result: UploadResult = upload(
            storage, request, listener=listener, confirm=confirm, stop=stop
        )
        return result


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status."""
    from ocihaul.emulator.cli import main

    return main(args)
