"""Object Storage, one method per operation.

Paths, headers and documents are those of the Object Storage API reference
(https://docs.oracle.com/iaas/api/#/en/objectstorage/). Sizes are bytes. Every method raises what
`Client.call` raises, and UsageError for names and values that cannot be sent.

What moves bytes is here; lists and what needs no bytes are in the modules beside.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence

from ocihaul.http.client import Call
from ocihaul.storage.bucket_operations import BucketOperations
from ocihaul.storage.calls import Headers, read
from ocihaul.storage.listing import UploadSummary
from ocihaul.storage.object_operations import ObjectOperations
from ocihaul.storage.paths import bucket_path, object_path, upload_path
from ocihaul.storage.types import ObjectSummary, PartSummary
from ocihaul.wire.message import Answer, Body

#: Needs a valid credential and nothing else; see `Client.probe`.
PROBE = Call("GetNamespace", "GET", "/n")


class StorageClient(ObjectOperations, BucketOperations):
    """The Object Storage of one region. Thread-safe."""

    def get_namespace(self) -> str:
        """The tenancy's namespace."""
        return read(self._call(None, PROBE), str)

    def head_object(
        self, namespace: str, bucket: str, name: str, headers: Headers | None = None
    ) -> ObjectSummary:
        """What the service knows of an object without reading it.

        `headers`: preconditions, and the SSE-C headers where the object has a customer's key.
        """
        path = object_path(namespace, bucket, name)
        answer = self._call(namespace, Call("HeadObject", "HEAD", path, headers=headers or {}))
        size = int(answer.headers.get("content-length", "0"))
        return ObjectSummary(size, answer.headers.get("etag"), answer.headers)

    def put_object(
        self, namespace: str, bucket: str, name: str, body: Body, headers: Headers
    ) -> Answer:
        """Store a whole object, at most 50 GiB."""
        path = object_path(namespace, bucket, name)
        return self._call(namespace, Call("PutObject", "PUT", path, headers=headers, body=body))

    def create_multipart_upload(
        self, namespace: str, bucket: str, document: Mapping[str, object], headers: Headers
    ) -> str:
        """Begin a multipart upload; returns its id. `document` names the object."""
        call = Call(
            "CreateMultipartUpload",
            "POST",
            f"{bucket_path(namespace, bucket)}/u",
            headers=headers,
            document=document,
        )
        return read(self._call(namespace, call), lambda document: str(document["uploadId"]))

    def upload_part(
        self,
        namespace: str,
        bucket: str,
        name: str,
        *,
        upload_id: str,
        number: int,
        body: Body,
        headers: Headers,
        abandoned: threading.Event | None = None,
    ) -> Answer:
        """Send one part; `number` counts from 1 to 10,000."""
        call = Call(
            "UploadPart",
            "PUT",
            upload_path(namespace, bucket, name),
            query={"uploadId": upload_id, "uploadPartNum": str(number)},
            headers=headers,
            body=body,
            abandoned=abandoned,
        )
        return self._call(namespace, call)

    def commit_multipart_upload(
        self,
        namespace: str,
        bucket: str,
        name: str,
        *,
        upload_id: str,
        etags: Sequence[str],
        headers: Headers,
    ) -> Answer:
        """Make the parts an object; `etags` are those of parts 1, 2, 3, …

        `headers`: preconditions on the object that is about to appear.
        """
        parts = [{"partNum": number, "etag": etag} for number, etag in enumerate(etags, 1)]
        call = Call(
            "CommitMultipartUpload",
            "POST",
            upload_path(namespace, bucket, name),
            query={"uploadId": upload_id},
            headers=headers,
            document={"partsToCommit": parts, "partsToExclude": []},
        )
        return self._call(namespace, call)

    def abort_multipart_upload(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> None:
        """Drop an upload and its parts."""
        path = upload_path(namespace, bucket, name)
        query = {"uploadId": upload_id}
        self._call(namespace, Call("AbortMultipartUpload", "DELETE", path, query=query))

    def list_multipart_upload_parts(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> Iterator[PartSummary]:
        """The parts that the service has, page by page."""
        path = upload_path(namespace, bucket, name)
        query = {"uploadId": upload_id}
        operation = "ListMultipartUploadParts"
        return self._pages(namespace, operation, path, query, PartSummary.read)

    def list_multipart_uploads(self, namespace: str, bucket: str) -> Iterator[UploadSummary]:
        """The multipart uploads in progress, page by page."""
        path = f"{bucket_path(namespace, bucket)}/u"
        return self._pages(namespace, "ListMultipartUploads", path, {}, UploadSummary.read)
