"""Incomplete uploads of the object that is about to be uploaded, as the service lists them.

One of them may be ours, without the journal knowing its id: its run was killed between the creation
and the note of it. The journal has the intention then. All others are named and left alone: another
machine may be at one, and what it was created with is not known.
"""

import shlex
import threading
from collections.abc import Iterable, Sequence

from ocihaul.errors import ServiceError
from ocihaul.events import Notice
from ocihaul.storage.client import StorageClient
from ocihaul.storage.fields import epoch
from ocihaul.storage.listing import UploadSummary
from ocihaul.transfer.journal.values import Intention
from ocihaul.transfer.uploads.request import UploadRequest

#: How much later our clock may be than the service's, seconds: it takes no request that is off by
#: more (https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm).
_SLACK = 300.0
#: So many are named; the rest is counted.
_NAMED = 3


class IncompleteUploads:
    """The incomplete uploads of one service; each bucket is listed once. Thread-safe."""

    def __init__(self, storage: StorageClient) -> None:
        self._storage = storage
        self._lock = threading.Lock()  # guards all below
        self._by_name: dict[tuple[str, str], dict[str, list[UploadSummary]]] = {}
        self._ended: set[str] = set()

    def of(self, request: UploadRequest) -> list[UploadSummary]:
        """Those of the object of this request; none where they may not be listed.

        Raises SessionError, NetworkError, and ServiceError when the service is in trouble: who
        took that for an empty list would begin anew and leave behind what was there.
        """
        with self._lock:
            bucket = (request.namespace, request.bucket)
            if bucket not in self._by_name:
                self._by_name[bucket] = self._listed(*bucket)
            found = self._by_name[bucket].get(request.name, ())
            return [each for each in found if each.upload_id not in self._ended]

    def new(self, request: UploadRequest, upload_id: str) -> list[UploadSummary]:
        """Those of the object that are there now and were not when they were listed; not this one.

        The bucket is listed again.
        """
        with self._lock:
            before = self._by_name.pop((request.namespace, request.bucket), {})
        known = {each.upload_id for each in before.get(request.name, ())} | {upload_id}
        return [each for each in self.of(request) if each.upload_id not in known]

    def end(self, upload_id: str) -> None:
        """This one is committed or aborted."""
        with self._lock:
            self._ended.add(upload_id)

    def _listed(self, namespace: str, bucket: str) -> dict[str, list[UploadSummary]]:
        by_name: dict[str, list[UploadSummary]] = {}
        try:
            for each in self._storage.list_multipart_uploads(namespace, bucket):
                by_name.setdefault(each.name, []).append(each)
        except ServiceError as error:
            if error.status == 429 or error.status >= 500:
                raise
            # A credential that may write objects need not be allowed to list uploads.
        return by_name


def created_by(intention: Intention, found: Iterable[UploadSummary]) -> UploadSummary | None:
    """The upload that the run with this intention created, if it can be only one; pure."""
    since = [each for each in found if _time(each) >= intention.begun_at - _SLACK]
    return since[0] if len(since) == 1 else None


def notices_of_others(found: Sequence[UploadSummary], request: UploadRequest) -> list[Notice]:
    """What a person should know of uploads of this object that the journal does not know; pure."""
    notices = [
        Notice(
            f"Upload {each.upload_id} of {request.name!r}, begun {each.time_created}, is "
            f"incomplete and not in the journal: it is left alone. {_choices(request, each)}"
        )
        for each in found[:_NAMED]
    ]
    more = len(found) - len(notices)
    if more:
        bucket = shlex.quote(request.bucket)
        notices.append(Notice(f"There are {more} more of them: ocihaul uploads -bn {bucket}"))
    return notices


def _choices(request: UploadRequest, upload: UploadSummary) -> str:
    drop = abort_command(request, upload.upload_id)
    if request.stream is not None:
        return f"Drop it: {drop}"
    return f"Go on with it: {resume_command(request, upload.upload_id)} or drop it: {drop}"


def resume_command(request: UploadRequest, upload_id: str, *, part_size: str = "") -> str:
    """The command that goes on with an upload that the journal does not know."""
    command = (
        f"ocihaul os object resume-put {_where(request)} --name {shlex.quote(request.name)} "
        f"--file {shlex.quote(str(request.source))} --upload-id {shlex.quote(upload_id)}"
    )
    return f"{command} --part-size {part_size}" if part_size else command


def abort_command(request: UploadRequest, upload_id: str) -> str:
    """The command that drops an upload by hand."""
    return (
        f"ocihaul os multipart abort {_where(request)} -on {shlex.quote(request.name)} "
        f"--upload-id {shlex.quote(upload_id)}"
    )


def _where(request: UploadRequest) -> str:
    return f"-ns {shlex.quote(request.namespace)} -bn {shlex.quote(request.bucket)}"


def _time(summary: UploadSummary) -> float:
    try:
        return epoch(summary.time_created)
    except ValueError:
        return 0.0  # a time that cannot be read proves nothing
