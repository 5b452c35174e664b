"""The object as it is on the service: whether it may be written, and whether it is ours."""

from collections.abc import Mapping

from ocihaul.errors import NetworkError, ObjectExists, ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.uploads.request import Confirm, Existing, UploadRequest


class TargetObject:
    """One object name in one bucket."""

    def __init__(self, storage: StorageClient, request: UploadRequest) -> None:
        self._storage = storage
        self._request = request

    def head(self, preconditions: Mapping[str, str] | None = None) -> ObjectSummary | None:
        """The object as it is now; None when there is none."""
        request = self._request
        key = request.sse_customer_key
        headers = {**(preconditions or {}), **(key.headers() if key else {})}
        try:
            return self._storage.head_object(
                request.namespace, request.bucket, request.name, headers
            )
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def preconditions(self, confirm: Confirm | None) -> dict[str, str]:
        """The headers that keep the upload from replacing what the caller did not see.

        Raises ObjectExists when the object is there and the caller does not want it replaced.
        """
        request = self._request
        chosen = {"if-match": request.if_match} if request.if_match else {}
        if request.existing is Existing.REPLACE:
            return chosen
        if request.existing is Existing.ABSENT:
            return {"if-none-match": "*"}
        there = self.head(chosen)
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
