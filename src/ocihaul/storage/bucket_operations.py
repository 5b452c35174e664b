"""Buckets and pre-authenticated requests."""

from collections.abc import Sequence

from ocihaul.documents import whole_object
from ocihaul.errors import ServiceError
from ocihaul.http.client import ServiceCall
from ocihaul.storage.calls import Caller, Headers, already_gone, without_none
from ocihaul.storage.fields import Document
from ocihaul.storage.listing import PreauthenticatedRequest
from ocihaul.storage.names import bucket_path, par_path, quoted
from ocihaul.storage.paging import ALL, Extent, Listing


class BucketOperations(Caller):
    """What a bucket is, and the PARs it has."""

    def get_bucket(
        self,
        namespace: str,
        bucket: str,
        *,
        fields: Sequence[str] = (),
        headers: Headers | None = None,
    ) -> Document:
        """The bucket's document. `fields`: approximateCount, approximateSize, autoTiering.

        `headers`: if-match, if-none-match.
        """
        query = {"fields": ",".join(fields)} if fields else {}
        path = bucket_path(namespace, bucket)
        call = ServiceCall("GetBucket", "GET", path, query=query, headers=headers or {})
        return self._told(namespace, call, whole_object)

    def head_bucket(self, namespace: str, bucket: str) -> Headers:
        """Whether the bucket is there: its headers (etag), or ServiceError with status 404."""
        call = ServiceCall("HeadBucket", "HEAD", bucket_path(namespace, bucket))
        return self._call(namespace, call).headers

    def list_buckets(
        self,
        namespace: str,
        compartment_id: str,
        *,
        fields: Sequence[str] = (),
        extent: Extent = ALL,
    ) -> Listing[Document]:
        """The documents of a compartment's buckets, page by page. `fields`: tags."""
        query = {"compartmentId": compartment_id}
        if fields:
            query["fields"] = ",".join(fields)
        path = f"/n/{quoted(namespace, 'namespace')}/b"
        call = ServiceCall("ListBuckets", "GET", path, query=query)
        return self._listing(namespace, call, whole_object, extent)

    def create_preauthenticated_request(
        self,
        namespace: str,
        bucket: str,
        *,
        name: str,
        access_type: str,
        time_expires: str,
        object_name: str | None = None,
        bucket_listing_action: str | None = None,
    ) -> PreauthenticatedRequest:
        """Make a URL that carries its own right: a secret, told this once.

        `access_type`: ObjectRead, ObjectWrite, ObjectReadWrite, AnyObjectRead, AnyObjectWrite,
        AnyObjectReadWrite. `time_expires` is RFC 3339. `object_name` is a prefix for the Any…
        types. When a reply is lost, a second one is made and the first stays until it expires.
        """
        given = {
            "name": name,
            "accessType": access_type,
            "timeExpires": time_expires,
            "objectName": object_name,
            "bucketListingAction": bucket_listing_action,
        }
        call = ServiceCall(
            "CreatePreauthenticatedRequest",
            "POST",
            f"{bucket_path(namespace, bucket)}/p",
            document=without_none(given),
        )
        return self._told(namespace, call, PreauthenticatedRequest.read_created)

    def get_preauthenticated_request(
        self, namespace: str, bucket: str, par_id: str
    ) -> PreauthenticatedRequest:
        """What is known of a PAR, without its URL."""
        call = ServiceCall("GetPreauthenticatedRequest", "GET", par_path(namespace, bucket, par_id))
        return self._told(namespace, call, PreauthenticatedRequest.read)

    def list_preauthenticated_requests(
        self,
        namespace: str,
        bucket: str,
        *,
        object_name_prefix: str | None = None,
        extent: Extent = ALL,
    ) -> Listing[PreauthenticatedRequest]:
        """The bucket's PARs, expired ones too, page by page; without their URLs."""
        call = ServiceCall(
            "ListPreauthenticatedRequests",
            "GET",
            f"{bucket_path(namespace, bucket)}/p",
            query={} if object_name_prefix is None else {"objectNamePrefix": object_name_prefix},
        )
        return self._listing(namespace, call, PreauthenticatedRequest.read, extent)

    def delete_preauthenticated_request(self, namespace: str, bucket: str, par_id: str) -> None:
        """Take the right back: the URL is of no use any more."""
        path = par_path(namespace, bucket, par_id)
        try:
            self._call(namespace, ServiceCall("DeletePreauthenticatedRequest", "DELETE", path))
        except ServiceError as error:
            if not already_gone(error):
                raise
