"""A multipart upload through the URL of a pre-authenticated request (PAR): nobody signs.

As documented: https://docs.oracle.com/iaas/Content/Object/Tasks/usingpreauthenticatedrequests.htm
A PUT with `opc-multipart: true` begins it, PUTs to the URL that comes back send parts, a POST
commits, a DELETE aborts. Which other headers count is not documented.
"""

import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ocihaul.documents import object_of, text
from ocihaul.errors import ServiceError
from ocihaul.hosts import Origin
from ocihaul.http.client import HttpClient, ServiceCall
from ocihaul.redaction import hold_access_uri
from ocihaul.storage.calls import Headers, already_gone, read
from ocihaul.storage.names import access_path, check_headers
from ocihaul.transport.message import Answer, Body

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
    """Carries uploads that are begun through a PAR. Thread-safe.

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
