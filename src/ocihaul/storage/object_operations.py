"""Objects: lists of them, what is done to them without their bytes, and ranges of their bytes.

`ObjectOperations` has the calls. `PinnedObject` and `ObjectRange` are what HTTP says of a range
that is fetched: the headers that ask for what is missing of one object, and a check of the answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ocihaul.documents import whole_object
from ocihaul.errors import NetworkError, ObjectChangedError, ServiceError, UsageError
from ocihaul.http.client import ServiceCall
from ocihaul.storage.calls import (
    PAGE_LIMIT,
    Caller,
    Described,
    Headers,
    already_gone,
    endless,
    odd_answer,
    pages,
    read,
    without_none,
)
from ocihaul.storage.names import bucket_path, check_text, object_path, quoted
from ocihaul.storage.values import (
    PAGE,
    BatchDeletion,
    DeletedObject,
    ObjectPage,
    Selection,
    WorkRequest,
)
from ocihaul.transport.message import Answer, WireError

EVERYTHING = Selection()


class ObjectOperations(Caller):
    """List, delete, restore, rename, copy."""

    def list_objects(
        self,
        namespace: str,
        bucket: str,
        selection: Selection = EVERYTHING,
        *,
        limit: int | None = None,
        page_size: int = PAGE,
    ) -> Iterator[ObjectPage]:
        """The objects in the order of their names, page by page; a page may be empty.

        With a `limit` it ends when there are so many objects. A prefix that the service tells on
        two pages in a row is on the first of them only.
        """
        query = selection.query()
        path = f"{bucket_path(namespace, bucket)}/o"
        count = 0

        def ask(start: str | None) -> tuple[ObjectPage, str | None]:
            size = page_size if limit is None else min(page_size, limit - count)
            begin = {} if start is None else {"start": start}
            sent = {**query, "limit": str(size), **begin}
            call = ServiceCall("ListObjects", "GET", path, query=sent, answer_limit=PAGE_LIMIT)
            page = self._told(namespace, call, ObjectPage.read)
            last = page.objects[-1].name if page.objects else ""
            if page.following is not None and page.following <= max(start or "", last):
                raise endless("ListObjects")
            return page, page.following

        last_prefix: str | None = None
        for page in pages(ask, "ListObjects", first=selection.start):
            prefixes = page.prefixes
            if prefixes and prefixes[0] == last_prefix:
                prefixes = prefixes[1:]
            count += len(page.objects)
            yield replace(page, prefixes=prefixes)
            if limit is not None and count >= limit:
                return
            last_prefix = page.prefixes[-1] if page.prefixes else last_prefix

    def list_object_versions(
        self,
        namespace: str,
        bucket: str,
        selection: Selection = EVERYTHING,
        *,
        page: str | None = None,
        limit: int | None = None,
        page_size: int = PAGE,
    ) -> Iterator[ObjectPage]:
        """All versions of the objects and the delete markers, page by page, from `page` on.

        With a `limit` it ends when there are so many. The `following` of a page of versions is
        the name of the next page, not of an object.
        """
        query = selection.query()
        path = f"{bucket_path(namespace, bucket)}/objectversions"
        count = 0

        def ask(name: str | None) -> tuple[ObjectPage, str | None]:
            size = page_size if limit is None else min(page_size, limit - count)
            sent = query | {"limit": str(size)} | ({} if name is None else {"page": name})
            call = ServiceCall(
                "ListObjectVersions", "GET", path, query=sent, answer_limit=PAGE_LIMIT
            )
            answer = self._call(namespace, call)
            found = read(answer, ObjectPage.read_versions, call.operation)
            following = answer.headers.get("opc-next-page") or None
            return replace(found, following=following), following

        for found in pages(ask, "ListObjectVersions", first=page):
            count += len(found.objects)
            yield found
            if limit is not None and count >= limit:
                return

    def delete_object(
        self,
        namespace: str,
        bucket: str,
        name: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
    ) -> DeletedObject:
        """Delete an object, or one version of it for good; only with the etag `if_match`, if given.

        An object that is gone after an attempt whose reply was lost counts as deleted.
        """
        query = {} if version_id is None else {"versionId": version_id}
        path = object_path(namespace, bucket, name)
        headers = {} if if_match is None else {"if-match": if_match}
        call = ServiceCall("DeleteObject", "DELETE", path, query=query, headers=headers)
        try:
            told = self._call(namespace, call).headers
        except ServiceError as error:
            if not already_gone(error):
                raise
            return DeletedObject(version_id, is_delete_marker=False, time_modified=None)
        marker = told.get("is-delete-marker", "").lower() == "true"
        return DeletedObject(told.get("version-id"), marker, told.get("last-modified"))

    def batch_delete_objects(
        self, namespace: str, bucket: str, objects: Mapping[str, str | None]
    ) -> BatchDeletion:
        """Delete up to 1000 objects with one call; `objects` are names with the etag or None.

        One that has another etag is not deleted. Raises UsageError for more than 1000.
        https://docs.oracle.com/iaas/Content/Object/Tasks/batch-delete-objects.htm
        """
        if len(objects) > PAGE:
            raise UsageError(f"a batch can have at most {PAGE} objects, not {len(objects)}")
        for name in objects:
            check_text(name, "object name")
        wanted = [
            {"objectName": name} if etag is None else {"objectName": name, "ifMatch": etag}
            for name, etag in objects.items()
        ]
        document = {"objects": wanted, "isSkipDeletedResult": False}
        answer = self._act(namespace, bucket, "batchDeleteObjects", document)
        return read(answer, BatchDeletion.read, "BatchDeleteObjects")

    def batch_delete(
        self,
        namespace: str,
        bucket: str,
        objects: Sequence[object],
        *,
        skip_deleted: bool | None = None,
    ) -> Described:
        """Delete what `objects` name: up to 1000 BatchDeleteObjectIdentifiers, as they are.

        With `skip_deleted` only what failed is told. See `batch_delete_objects`.
        """
        document: dict[str, object] = {"objects": list(objects)}
        if skip_deleted is not None:
            document["isSkipDeletedResult"] = skip_deleted
        answer = self._act(namespace, bucket, "batchDeleteObjects", document)
        return Described(read(answer, whole_object, "BatchDeleteObjects"), answer.headers)

    def restore_objects(
        self,
        namespace: str,
        bucket: str,
        name: str,
        *,
        hours: int | None = None,
        version_id: str | None = None,
    ) -> Answer:
        """Ask for an archived object to be made readable, for `hours` (the service: 24).

        It takes about an hour; HeadObject tells when (archival-state).
        """
        given = {"objectName": name, "hours": hours, "versionId": version_id}
        return self._act(namespace, bucket, "restoreObjects", without_none(given))

    def rename_object(
        self,
        namespace: str,
        bucket: str,
        name: str,
        new_name: str,
        *,
        conditions: Mapping[str, str] | None = None,
    ) -> Answer:
        """Give an object another name; one that has that name already is replaced.

        `conditions`: srcObjIfMatchETag, newObjIfMatchETag, newObjIfNoneMatchETag ("*").
        """
        given = {"sourceName": name, "newName": new_name, **(conditions or {})}
        return self._act(namespace, bucket, "renameObject", given)

    def copy_object(
        self,
        namespace: str,
        bucket: str,
        details: Mapping[str, object],
        headers: Headers | None = None,
    ) -> str:
        """Have the service copy an object of this bucket; returns the work request's id.

        `details` is CopyObjectDetails: sourceObjectName, destinationRegion,
        destinationNamespace, destinationBucket, destinationObjectName and conditions. `headers`:
        opc-sse-customer-* of the copy and opc-source-sse-customer-* of the source. Raises
        ServiceError, also for an answer that names no work request.
        """
        answer = self._act(namespace, bucket, "copyObject", details, headers)
        work_id = answer.headers.get("opc-work-request-id")
        if not work_id:
            raise odd_answer(answer, "the answer names no work request", "CopyObject")
        return work_id

    def get_work_request(self, work_request_id: str) -> WorkRequest:
        """How far the service is with a copy."""
        path = f"/workRequests/{quoted(work_request_id, 'work request id')}"
        call = ServiceCall("GetWorkRequest", "GET", path)
        return self._told(None, call, WorkRequest.read)


#: How often an answer may go on, or break, behind its last byte.
MOST_ENDLESS = 5


@dataclass(frozen=True, slots=True)
class PinnedObject:
    """The object that is fetched, and no other: its etag and its size in bytes."""

    name: str
    etag: str | None
    size: int

    def changed(self) -> ObjectChangedError:
        """The error to raise when it is another one."""
        return ObjectChangedError(
            f"the object {self.name!r} has changed while it was fetched",
            hint="Nothing was kept: run the same command again to fetch it as it is now.",
        )

    def is_changed(self, error: ServiceError) -> bool:
        """Whether the service refused a request because the object was replaced or deleted."""
        return error.status == 412 or error.code == "ObjectNotFound"


class ObjectRange:
    """The bytes `first` to `end` (exclusive) of an object; `next` is the first that is missing.

    Without `explicit` a request for the whole object names no range: its answer has the object's
    checksums then.
    """

    def __init__(
        self, pinned: PinnedObject, first: int, end: int, *, explicit: bool = True
    ) -> None:
        self.next = first
        self.end = end
        self._pinned = pinned
        self._explicit = explicit
        self._endless = 0

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self.end - self.next

    def rewind(self, count: int) -> None:
        """Ask for the last `count` bytes again: all came, but the answer did not end there.

        Raises NetworkError when that has happened too often.
        """
        self._endless += 1
        if self._endless > MOST_ENDLESS:
            raise NetworkError(
                f"the answers with the bytes of {self._pinned.name!r} do not end where they should",
                hint="Check the proxies on the way: they may change what passes.",
            )
        self.next -= count

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for what is missing, of this object and no other."""
        headers = {"accept-encoding": "identity"}  # as it is stored: no proxy may compress it
        if self._explicit or not self._is_whole:
            headers["range"] = f"bytes={self.next}-{self.end - 1}"
        if self._pinned.etag is not None:
            headers["if-match"] = self._pinned.etag
        return headers

    def check_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Raise WireError for other bytes than asked for, ObjectChangedError for another object."""
        etag, size = self._pinned.etag, self._pinned.size
        if etag is not None and headers.get("etag", etag) != etag:
            raise self._pinned.changed()
        told = headers.get("content-range", "") if status == 206 else None
        if told is None and self._is_whole:
            told = f"bytes 0-{size - 1}/{headers.get('content-length', size)}"
        asked = f"bytes {self.next}-{self.end - 1}/{size}"
        if told != asked:
            raise WireError(f"asked for {asked}, and the answer is {status} {told or 'all of it'}")
        length = str(self.missing)
        if headers.get("content-length", length) != length:
            raise WireError(
                f"asked for {length} bytes, and {headers['content-length']} are to come"
            )

    def check_end(self) -> None:
        """Raise WireError when the answer was cut short without a sign."""
        if self.missing:
            raise WireError(f"the answer ended {self.missing} bytes too early")

    @property
    def _is_whole(self) -> bool:
        return (self.next, self.end) == (0, self._pinned.size)
