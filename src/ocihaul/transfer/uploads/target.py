"""The object as it is on the service: whether it may be written, and whether it is ours."""

from collections.abc import Mapping

from ocihaul.errors import NetworkError, ObjectExists, ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.uploads.request import Confirm, Existing, UploadRequest
from ocihaul.wire.message import Body

#: How long the deletion of a damaged object may take, seconds: the stop may be set already.
_LAST_WORD = 10.0


class TargetObject:
    """One object name in one bucket: the request's, unless another is given."""

    def __init__(
        self, storage: StorageClient, request: UploadRequest, name: str | None = None
    ) -> None:
        self.name = request.name if name is None else name
        self._storage = storage
        self._request = request

    def put(self, body: bytes | Body, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Make one PutObject request; returns the answer's headers."""
        request = self._request
        return self._storage.put_object(
            request.namespace, request.bucket, self.name, body, headers
        ).headers

    def withdraw(self, version_id: str | None, etag: str | None) -> None:
        """Delete an object that was just made, though we may have to stop; one of them is known.

        In a bucket with versions it is the version, so the one before it is visible again. Without
        an error it is not there any more: another writer may have replaced it. Raises what the call
        raises.
        """
        where = (self._request.namespace, self._request.bucket, self.name)
        with self._storage.bounded(_LAST_WORD) as storage:
            try:
                try:
                    storage.delete_object(*where, version_id=version_id, if_match=etag)
                except ServiceError as error:
                    # Whether a bucket without versions knows a version's id is not documented.
                    if error.status not in {400, 404} or version_id is None or etag is None:
                        raise
                    storage.delete_object(*where, if_match=etag)
            except ServiceError as error:
                if error.status not in {404, 412}:
                    raise

    def head(self, preconditions: Mapping[str, str] | None = None) -> ObjectSummary | None:
        """The object as it is now; None when there is none."""
        request = self._request
        key = request.sse_customer_key
        headers = {**(preconditions or {}), **(key.headers() if key else {})}
        try:
            return self._storage.head_object(request.namespace, request.bucket, self.name, headers)
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def preconditions(self, confirm: Confirm | None) -> dict[str, str]:
        """The headers that keep the upload from replacing what the caller did not see.

        Raises ObjectExists when the object is there and the caller does not want it replaced.
        """
        request = self._request
        etag = request.if_match or request.seen_etag
        chosen = {"if-match": etag} if etag else {}
        if request.existing is Existing.REPLACE:
            return chosen
        if request.existing is Existing.ABSENT:
            return {"if-none-match": "*"}
        there = self._seen(chosen)
        if there is None:
            return chosen or {"if-none-match": "*"}
        if request.existing is Existing.KEEP:
            raise ObjectExists(f"the object {request.name!r} already exists")
        if confirm is None or not confirm(there):
            raise ObjectExists(
                f"the object {request.name!r} already exists",
                hint="Use --force to replace it, or --no-overwrite to leave it without an error.",
            )
        return chosen or ({"if-match": there.etag} if there.etag else {})

    def _seen(self, preconditions: Mapping[str, str]) -> ObjectSummary | None:
        """The object whatever key it has: a customer's key of ours need not be the one it has."""
        request = self._request
        if request.sse_customer_key is None:
            return self.head(preconditions)
        where = (request.namespace, request.bucket, self.name)
        try:
            return self._storage.head_object(*where, preconditions)
        except ServiceError as error:
            if error.status == 404:
                return None
            if error.status not in {400, 403}:
                raise
        return self.head(preconditions)

    def settled(self, size: int, expected: Mapping[str, str]) -> Mapping[str, str] | None:
        """The object's headers if it is the one we sent, None if it is not or cannot be asked.

        After a reply was lost, a repeated request fails although the first one took effect.
        Size and at least one checksum have to match, and none may differ. Raises SessionError and
        Interrupted: they are not about the object.
        """
        headers = self.as_written(size)
        if headers is None or checksum.differing(expected, headers):
            return None
        return headers if expected.keys() & headers.keys() else None

    def as_written(self, size: int) -> Mapping[str, str] | None:
        """The object's headers as its writer was told them; None when it has another size, is not
        there, or cannot be asked. Raises as `settled` does.
        """
        try:
            there = self.head()
        except (ServiceError, NetworkError):
            return None
        if there is None or there.size != size:
            return None
        headers = dict(there.headers)
        if "content-md5" in headers:  # HeadObject's name for what PutObject calls opc-content-md5
            headers["opc-content-md5"] = headers["content-md5"]
        return headers
