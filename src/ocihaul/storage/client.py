"""Object Storage, one method per operation.

Paths, headers and documents are those of the Object Storage API reference
(https://docs.oracle.com/iaas/api/#/en/objectstorage/). Sizes are bytes. Every method raises what
`HttpClient.call` raises, and UsageError for names and values that cannot be sent.

What moves bytes is here, multipart uploads with all their calls, and uploads through the URL of a
pre-authenticated request. What needs no bytes is in `object_operations` and `bucket_operations`.
"""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from ocihaul.documents import DocumentError, object_of, text
from ocihaul.endpoints import Origin
from ocihaul.errors import ServiceError
from ocihaul.events import Listener
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.redaction import hold_access_uri
from ocihaul.storage.bucket_operations import Administration, BucketOperations
from ocihaul.storage.calls import (
    ALL,
    Extent,
    Headers,
    Listing,
    already_gone,
    check_etag,
    odd_answer,
    read,
    stored,
)
from ocihaul.storage.names import access_path, bucket_path, check_headers, object_path, upload_path
from ocihaul.storage.object_operations import ObjectOperations
from ocihaul.storage.values import ObjectSummary, PartSummary, UploadSummary
from ocihaul.transport.message import Answer, Body, Sink

_MULTIPART = {"opc-multipart": "true"}

#: What events show in place of a path that is a secret.
_SHOWN = "/p/[redacted]"


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload and the URL that is the right to add to it; never shown by repr."""

    upload_id: str
    access_uri: str = field(repr=False)

    def __post_init__(self) -> None:
        hold_access_uri(self.access_uri)


class PreauthenticatedUploads:
    """Multipart uploads through the URL of a pre-authenticated request (PAR). Thread-safe.

    As documented: https://docs.oracle.com/iaas/Content/Object/Tasks/usingpreauthenticatedrequests.htm
    A PUT with `opc-multipart: true` begins one, PUTs to the URL that comes back send parts, a POST
    commits, a DELETE aborts. Which other headers count is not documented.

    `client` must not sign. Every method raises what `HttpClient.call` raises; a PAR that is
    expired, deleted or whose creator has lost the right is a ServiceError (401 or 404).
    """

    def __init__(self, client: HttpClient, base_url: str) -> None:
        self._client = client
        self._origin = Origin.parse(base_url)

    def create(self, par_uri: str, headers: Headers) -> OpenUpload:
        """Begin an upload of the object that the PAR is for."""
        operation = "CreateMultipartUpload"
        answer = self._call("PUT", operation, par_uri, {**headers, **_MULTIPART})
        return read(answer, _opened, operation)

    def upload_part(
        self,
        upload: OpenUpload,
        *,
        number: int,
        body: Body,
        headers: Headers,
        abandoned: threading.Event | None = None,
    ) -> Answer:
        """Send one part; `number` counts from 1 to 10,000."""
        check_headers(headers)
        call = ServiceCall(
            "UploadPart",
            "PUT",
            f"{upload.access_uri}{number}",
            headers=headers,
            body=body,
            abandoned=abandoned,
            shown_as=f"{_SHOWN}/{number}",
        )
        return self._client.call(self._origin, call)

    def commit(self, upload: OpenUpload, headers: Headers) -> Answer:
        """Make all parts that are there an object."""
        return self._call("POST", "CommitMultipartUpload", upload.access_uri, headers)

    def abort(self, upload: OpenUpload) -> None:
        """Drop the upload and its parts."""
        try:
            self._call("DELETE", "AbortMultipartUpload", upload.access_uri, {})
        except ServiceError as error:
            if not already_gone(error):
                raise

    def _call(self, method: str, operation: str, path: str, headers: Headers) -> Answer:
        check_headers(headers)
        empty = {} if method == "DELETE" else {"content-length": "0"}
        call = ServiceCall(operation, method, path, headers={**headers, **empty}, shown_as=_SHOWN)
        return self._client.call(self._origin, call)


def _opened(document: object) -> OpenUpload:
    given = object_of(document)
    try:
        # Only its path counts: what was opened here is never sent anywhere else.
        path = urlsplit(text(given, "accessUri")).path
    except ValueError:
        path = ""
    return OpenUpload(text(given, "uploadId"), access_path({"accessUri": path}))


#: Needs a valid credential and nothing else; see `HttpClient.probe`.
PROBE = ServiceCall("GetNamespace", "GET", "/n")

_SIZE = re.compile(r"[0-9]{1,18}")


class StorageClient(ObjectOperations, BucketOperations, Administration):
    """The Object Storage of one region. Thread-safe."""

    @contextlib.contextmanager
    def bounded(self, seconds: float) -> Iterator["StorageClient"]:
        """Yield the same service for a last word, which no stop ends; it has only `seconds`."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._client.bounded(seconds))
            unsigned = self._unsigned and stack.enter_context(self._unsigned.bounded(seconds))
            yield StorageClient(client, self._endpoint, unsigned=unsigned, listener=self._listener)

    def scoped(self, listener: Listener, stop: threading.Event) -> "StorageClient":
        """The same service over the same connections for one caller: its listener, its stop."""
        return StorageClient(
            self._client.scoped(listener, stop),
            self._endpoint,
            unsigned=self._unsigned and self._unsigned.scoped(listener, stop),
            listener=listener,
        )

    def open_ahead(self, namespace: str, count: int) -> None:
        """Begin to open `count` connections for requests that are to come; returns at once."""
        self._client.open_ahead(Origin.parse(self._endpoint(namespace)), count)

    def preauthenticated(self, namespace: str) -> PreauthenticatedUploads | None:
        """What uploads through PARs; None where this client was made without it."""
        if self._unsigned is None:
            return None
        return PreauthenticatedUploads(self._unsigned, self._endpoint(namespace))

    def get_namespace(self, compartment_id: str | None = None) -> str:
        """The tenancy's namespace, or that of the tenancy that a compartment belongs to."""
        query = {} if compartment_id is None else {"compartmentId": compartment_id}
        return self._told(None, replace(PROBE, query=query), _namespace)

    def head_object(
        self,
        namespace: str,
        bucket: str,
        name: str,
        headers: Headers | None = None,
        *,
        version_id: str | None = None,
    ) -> ObjectSummary:
        """What the service knows of an object without reading it.

        `headers`: preconditions, and the SSE-C headers where the object has a customer's key.
        """
        call = ServiceCall(
            "HeadObject",
            "HEAD",
            object_path(namespace, bucket, name),
            query={} if version_id is None else {"versionId": version_id},
            headers=headers or {},
        )
        answer = self._call(namespace, call)
        check_etag(answer, call.operation, needed=False)
        length = answer.headers.get("content-length", "")
        if not _SIZE.fullmatch(length):
            raise odd_answer(answer, "the answer does not say how large it is", call.operation)
        return ObjectSummary(int(length), answer.headers.get("etag"), answer.headers)

    def put_object(
        self, namespace: str, bucket: str, name: str, body: bytes | Body, headers: Headers
    ) -> Answer:
        """Store a whole object, at most 50 GiB."""
        path = object_path(namespace, bucket, name)
        call = ServiceCall("PutObject", "PUT", path, headers=headers, body=body)
        return stored(self._call(namespace, call), call.operation)

    def create_multipart_upload(
        self,
        namespace: str,
        bucket: str,
        document: Mapping[str, object],
        headers: Headers,
        *,
        repeated: threading.Event | None = None,
    ) -> str:
        """Begin a multipart upload; returns its id. `document` names the object.

        `repeated` is set when the request went out more than once: each may have begun one.
        """
        call = ServiceCall(
            "CreateMultipartUpload",
            "POST",
            f"{bucket_path(namespace, bucket)}/u",
            headers=headers,
            document=document,
        )
        answer = self._call(namespace, call)
        if answer.resent and repeated is not None:
            repeated.set()
        return read(answer, lambda given: text(object_of(given), "uploadId"), call.operation)

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
        call = ServiceCall(
            "UploadPart",
            "PUT",
            upload_path(namespace, bucket, name),
            query={"uploadId": upload_id, "uploadPartNum": str(number)},
            headers=headers,
            body=body,
            abandoned=abandoned,
        )
        return stored(self._client.call(self._checked(namespace, call), call), call.operation)

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
        call = ServiceCall(
            "CommitMultipartUpload",
            "POST",
            upload_path(namespace, bucket, name),
            query={"uploadId": upload_id},
            headers=headers,
            document={"partsToCommit": parts, "partsToExclude": []},
        )
        return stored(self._call(namespace, call), call.operation)

    def abort_multipart_upload(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> None:
        """Drop an upload and its parts."""
        path = upload_path(namespace, bucket, name)
        query = {"uploadId": upload_id}
        try:
            self._call(namespace, ServiceCall("AbortMultipartUpload", "DELETE", path, query=query))
        except ServiceError as error:
            if not already_gone(error):
                raise

    def list_multipart_upload_parts(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> Iterator[PartSummary]:
        """The parts that the service has, page by page."""
        path = upload_path(namespace, bucket, name)
        call = ServiceCall("ListMultipartUploadParts", "GET", path, query={"uploadId": upload_id})
        return iter(self._listing(namespace, call, PartSummary.read, ALL))

    def list_multipart_uploads(
        self, namespace: str, bucket: str, *, extent: Extent = ALL
    ) -> Listing[UploadSummary]:
        """The multipart uploads in progress, page by page."""
        call = ServiceCall("ListMultipartUploads", "GET", f"{bucket_path(namespace, bucket)}/u")
        return self._listing(namespace, call, UploadSummary.read, extent)

    def get_object(
        self,
        namespace: str,
        bucket: str,
        name: str,
        sink: Sink,
        *,
        headers: Headers,
        query: Mapping[str, str],
        abandoned: threading.Event | None = None,
    ) -> Answer:
        """Read an object, or the range of it that the sink wants; its bytes go into the sink.

        `headers`: the SSE-C headers where the object has a customer's key. `query`: versionId,
        and httpResponse… for headers that the answer shall have.
        """
        call = ServiceCall(
            "GetObject",
            "GET",
            object_path(namespace, bucket, name),
            query=query,
            headers=headers,
            sink=sink,
            abandoned=abandoned,
        )
        return self._call(namespace, call)


def _namespace(document: object) -> str:
    name = text({"namespace": document}, "namespace")
    if not name:
        raise DocumentError("an empty text")
    return name
