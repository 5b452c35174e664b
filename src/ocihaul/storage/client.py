"""Object Storage, one method per operation.

Paths, headers and documents are those of the Object Storage API reference
(https://docs.oracle.com/iaas/api/#/en/objectstorage/). Sizes are bytes. Every method raises what
`Client.call` raises, and UsageError for names and values that cannot be sent.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from ocihaul.errors import ServiceError
from ocihaul.http.client import Call, Client
from ocihaul.storage.names import check_headers, check_text, quoted
from ocihaul.storage.types import ObjectSummary, PartSummary
from ocihaul.wire.message import Answer, Body
from ocihaul.wire.origin import Origin

Headers = Mapping[str, str]

#: Needs a valid credential and nothing else; see `Client.probe`.
PROBE = Call("GetNamespace", "GET", "/n")


class StorageClient:
    """The Object Storage of one region. Thread-safe.

    `endpoint` gives the base URL for a namespace, or for none (GetNamespace): realm-specific
    endpoints carry the namespace in their host name.
    """

    def __init__(self, client: Client, endpoint: Callable[[str | None], str]) -> None:
        self._client = client
        self._endpoint = endpoint

    def base_url(self, namespace: str | None) -> str:
        """Where requests for this namespace go."""
        return self._endpoint(namespace)

    @contextlib.contextmanager
    def bounded(self, seconds: float) -> Iterator["StorageClient"]:
        """The same service for a last word: it does not hear the stop, but has only `seconds`."""
        with self._client.bounded(seconds) as client:
            yield StorageClient(client, self._endpoint)

    def get_namespace(self) -> str:
        """The tenancy's namespace."""
        return str(_document(self._call(None, PROBE)))

    def head_object(
        self, namespace: str, bucket: str, name: str, headers: Headers | None = None
    ) -> ObjectSummary:
        """What the service knows of an object without reading it.

        `headers`: preconditions, and the SSE-C headers where the object has a customer's key.
        """
        path = _object_path(namespace, bucket, name)
        answer = self._call(namespace, Call("HeadObject", "HEAD", path, headers=headers or {}))
        size = int(answer.headers.get("content-length", "0"))
        return ObjectSummary(size, answer.headers.get("etag"), answer.headers)

    def put_object(
        self, namespace: str, bucket: str, name: str, body: Body, headers: Headers
    ) -> Answer:
        """Store a whole object, at most 50 GiB."""
        path = _object_path(namespace, bucket, name)
        return self._call(namespace, Call("PutObject", "PUT", path, headers=headers, body=body))

    def create_multipart_upload(
        self, namespace: str, bucket: str, document: Mapping[str, object], headers: Headers
    ) -> str:
        """Begin a multipart upload; returns its id. `document` names the object."""
        call = Call(
            "CreateMultipartUpload",
            "POST",
            f"{_bucket_path(namespace, bucket)}/u",
            headers=headers,
            document=document,
        )
        return str(_document(self._call(namespace, call))["uploadId"])

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
            _upload_path(namespace, bucket, name),
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
            _upload_path(namespace, bucket, name),
            query={"uploadId": upload_id},
            headers=headers,
            document={"partsToCommit": parts, "partsToExclude": []},
        )
        return self._call(namespace, call)

    def abort_multipart_upload(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> None:
        """Drop an upload and its parts."""
        path = _upload_path(namespace, bucket, name)
        query = {"uploadId": upload_id}
        self._call(namespace, Call("AbortMultipartUpload", "DELETE", path, query=query))

    def list_multipart_upload_parts(
        self, namespace: str, bucket: str, name: str, *, upload_id: str
    ) -> Iterator[PartSummary]:
        """The parts that the service has, page by page."""
        path = _upload_path(namespace, bucket, name)
        query = {"uploadId": upload_id, "limit": "1000"}
        pages: set[str] = set()
        while True:
            call = Call("ListMultipartUploadParts", "GET", path, query=dict(query))
            answer = self._call(namespace, call)
            for part in _document(answer):
                yield PartSummary(part["partNumber"], part["etag"], part.get("md5"), part["size"])
            if (page := _next_page(answer, call.operation, pages)) is None:
                return
            query["page"] = page

    def _call(self, namespace: str | None, call: Call) -> Answer:
        check_headers(call.headers)
        for name, value in call.query.items():
            check_text(value, name)
        return self._client.call(Origin.parse(self._endpoint(namespace)), call)


def _next_page(answer: Answer, operation: str, pages: set[str]) -> str | None:
    """The next page's name, noted in `pages`; ServiceError when the list goes in circles."""
    page = answer.headers.get("opc-next-page")
    if page in pages:
        raise ServiceError(
            status=answer.status,
            code=None,
            message="the list repeats a page, so it would never end",
            operation=operation,
            headers=answer.headers,
        )
    if page is not None:
        pages.add(page)
    return page


def _document(answer: Answer) -> Any:
    try:
        return cast("Any", json.loads(answer.body))
    except ValueError:
        raise ServiceError(
            status=answer.status,
            code=None,
            message="the answer is not JSON",
            operation="reading an answer",
            headers=answer.headers,
        ) from None


def _bucket_path(namespace: str, bucket: str) -> str:
    return f"/n/{quoted(namespace, 'namespace')}/b/{quoted(bucket, 'bucket name')}"


def _object_path(namespace: str, bucket: str, name: str) -> str:
    return f"{_bucket_path(namespace, bucket)}/o/{quoted(name, 'object name')}"


def _upload_path(namespace: str, bucket: str, name: str) -> str:
    return f"{_bucket_path(namespace, bucket)}/u/{quoted(name, 'object name')}"
