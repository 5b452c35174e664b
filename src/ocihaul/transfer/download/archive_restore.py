"""Restore an archived object and wait until it can be read."""

import threading
import time
from collections.abc import Callable

from ocihaul.errors import ObjectArchivedError, ServiceError, TransferCancelled
from ocihaul.events import Listener, Notice
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.download.request import DownloadRequest

#: The first and the longest pause between two looks, seconds. A restore takes about an hour.
_FIRST_LOOK = 0.5
_LONGEST_PAUSE = 60.0

_STATE = "archival-state"


def readable(
    storage: StorageClient,
    request: DownloadRequest,
    there: ObjectSummary,
    *,
    look: Callable[[], ObjectSummary],
    listener: Listener,
    stop: threading.Event,
) -> ObjectSummary:
    """Return the object once it can be read; restore it and wait, if the request says so.

    `look` asks the service for the object as it is. Raises ObjectArchivedError, TransferCancelled,
    and what the calls raise.
    """
    state = there.headers.get(_STATE, "")
    if state in {"", "Restored"}:
        return there
    if not request.restore:
        raise _archived(request.name, state)
    if state != "Restoring":
        _request_restore(storage, request)
        hours = "" if request.restore_hours is None else f" for {request.restore_hours} hours"
        listener(Notice(f"The restore of {request.name} was asked for{hours}."))
    listener(Notice(f"Waiting until {request.name} is restored: this takes about an hour."))
    started, pause, begun = time.monotonic(), _FIRST_LOOK, state == "Restoring"
    while True:
        if stop.wait(pause):
            raise TransferCancelled(
                f"stopped while {request.name!r} was being restored",
                hint="The restore goes on: run the same command again later.",
            )
        there = look()
        state = there.headers.get(_STATE, "")
        if state in {"", "Restored"}:
            break
        if begun and state != "Restoring":
            raise _archived(request.name, state)
        begun = begun or state == "Restoring"  # the service may take a moment to say so
        pause = min(pause * 2, _LONGEST_PAUSE)
    minutes = (time.monotonic() - started) / 60
    until = there.headers.get("time-of-archival")
    text = f"{request.name} is restored, after {minutes:.0f} minutes"
    listener(Notice(text + (f"; it is archived again at {until}." if until else ".")))
    return there


def _request_restore(storage: StorageClient, request: DownloadRequest) -> None:
    try:
        storage.restore_objects(
            request.namespace,
            request.bucket,
            request.name,
            hours=request.restore_hours,
            version_id=request.version_id,
        )
    except ServiceError as error:
        if not (error.status == 409 and error.after_retry):
            raise  # a repeated request may find that the first one took effect


def _archived(name: str, state: str) -> ObjectArchivedError:
    if state == "Restoring":
        return ObjectArchivedError(
            f"the object {name!r} is being restored from the Archive tier",
            hint="Pass `restore` to wait for it.",
        )
    return ObjectArchivedError(
        f"the object {name!r} is in the Archive tier",
        hint="Pass `restore`: it is restored, which takes about an hour, and then fetched.",
    )
