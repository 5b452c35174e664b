"""What is done to buckets and namespaces: their rules, PARs, keys and tiers, and work requests.

As in the API reference (https://docs.oracle.com/iaas/api/#/en/objectstorage/). What the service
tells is handed on as its document and the headers beside it.
"""

from collections.abc import Mapping, Sequence

from ocihaul.documents import whole_object
from ocihaul.errors import ServiceError
from ocihaul.http.client import ServiceCall
from ocihaul.storage.calls import (
    ALL,
    Caller,
    Described,
    Extent,
    Headers,
    Listing,
    already_gone,
    read,
    without_none,
)
from ocihaul.storage.names import Document, bucket_path, check_object_name, par_path, quoted
from ocihaul.storage.values import PreauthenticatedRequest
from ocihaul.transport.message import Answer

#: The body of a POST that has none: its length and digest are signed all the same.
_NO_BODY = b""


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


class Administration(Caller):
    """Buckets, lifecycle policies, retention rules, namespaces and work requests."""

    def create_bucket(self, namespace: str, details: Mapping[str, object]) -> Described:
        """Make a bucket. `details` is CreateBucketDetails: name, compartmentId and the rest."""
        path = f"/n/{quoted(namespace, 'namespace')}/b"
        return self._described(
            namespace, ServiceCall("CreateBucket", "POST", path, document=details)
        )

    def update_bucket(
        self,
        namespace: str,
        bucket: str,
        details: Mapping[str, object],
        *,
        if_match: str | None = None,
    ) -> Described:
        """Change a bucket. `details` is UpdateBucketDetails; metadata that is null is removed."""
        call = ServiceCall(
            "UpdateBucket",
            "POST",
            bucket_path(namespace, bucket),
            document=details,
            headers=_matching(if_match),
        )
        return self._described(namespace, call)

    def delete_bucket(self, namespace: str, bucket: str, *, if_match: str | None = None) -> Headers:
        """Remove an empty bucket; one that is gone after a lost reply counts as removed."""
        path = bucket_path(namespace, bucket)
        call = ServiceCall("DeleteBucket", "DELETE", path, headers=_matching(if_match))
        try:
            return self._call(namespace, call).headers
        except ServiceError as error:
            if error.status != 404 or not error.after_retry:
                raise
            return {}

    def reencrypt_bucket(
        self, namespace: str, bucket: str, *, bucket_key_only: bool | None = None
    ) -> Headers:
        """Encrypt the objects' keys anew; the work request's id is in opc-work-request-id."""
        query = {}
        if bucket_key_only is not None:
            query["isReencryptBucketKeyOnly"] = str(bucket_key_only).lower()
        path = f"{bucket_path(namespace, bucket)}/actions/reencrypt"
        call = ServiceCall("ReencryptBucket", "POST", path, query=query, document=_NO_BODY)
        return self._call(namespace, call).headers

    def reencrypt_object(
        self,
        namespace: str,
        bucket: str,
        name: str,
        details: Mapping[str, object],
        *,
        version_id: str | None = None,
    ) -> Headers:
        """Encrypt an object's keys anew. `details` is ReencryptObjectDetails."""
        check_object_name(name)
        path = f"{bucket_path(namespace, bucket)}/actions/reencrypt/{quoted(name, 'object name')}"
        query = {} if version_id is None else {"versionId": version_id}
        call = ServiceCall("ReencryptObject", "POST", path, query=query, document=details)
        return self._call(namespace, call).headers

    def update_object_storage_tier(
        self,
        namespace: str,
        bucket: str,
        name: str,
        storage_tier: str,
        *,
        version_id: str | None = None,
    ) -> Headers:
        """Move an object to Standard, InfrequentAccess or Archive."""
        details = {"objectName": name, "storageTier": storage_tier}
        if version_id is not None:
            details["versionId"] = version_id
        return self._act(namespace, bucket, "updateObjectStorageTier", details).headers

    def get_namespace_metadata(self, namespace: str) -> Described:
        """The compartments of buckets that are made through the S3 and Swift APIs."""
        path = f"/n/{quoted(namespace, 'namespace')}"
        return self._described(namespace, ServiceCall("GetNamespaceMetadata", "GET", path))

    def update_namespace_metadata(self, namespace: str, details: Mapping[str, object]) -> Described:
        """Set them: defaultS3CompartmentId, defaultSwiftCompartmentId."""
        path = f"/n/{quoted(namespace, 'namespace')}"
        call = ServiceCall("UpdateNamespaceMetadata", "PUT", path, document=details)
        return self._described(namespace, call)

    def get_object_lifecycle_policy(self, namespace: str, bucket: str) -> Described:
        """The bucket's lifecycle policy; 404 LifecyclePolicyNotFound without one."""
        path = f"{bucket_path(namespace, bucket)}/l"
        return self._described(namespace, ServiceCall("GetObjectLifecyclePolicy", "GET", path))

    def put_object_lifecycle_policy(
        self,
        namespace: str,
        bucket: str,
        details: Mapping[str, object],
        headers: Headers | None = None,
    ) -> Described:
        """Replace the lifecycle policy. `headers`: if-match, if-none-match."""
        path = f"{bucket_path(namespace, bucket)}/l"
        call = ServiceCall(
            "PutObjectLifecyclePolicy", "PUT", path, document=details, headers=headers or {}
        )
        return self._described(namespace, call)

    def delete_object_lifecycle_policy(
        self, namespace: str, bucket: str, *, if_match: str | None = None
    ) -> None:
        """Remove the lifecycle policy; objects stay as they are."""
        path = f"{bucket_path(namespace, bucket)}/l"
        self._removed(
            namespace,
            ServiceCall("DeleteObjectLifecyclePolicy", "DELETE", path, headers=_matching(if_match)),
        )

    def create_retention_rule(
        self, namespace: str, bucket: str, details: Mapping[str, object]
    ) -> Described:
        """Make a rule. `details`: displayName, duration, timeRuleLocked."""
        path = f"{bucket_path(namespace, bucket)}/retentionRules"
        call = ServiceCall("CreateRetentionRule", "POST", path, document=details)
        return self._described(namespace, call)

    def get_retention_rule(self, namespace: str, bucket: str, rule_id: str) -> Described:
        """One rule."""
        path = _rule_path(namespace, bucket, rule_id)
        return self._described(namespace, ServiceCall("GetRetentionRule", "GET", path))

    def list_retention_rules(
        self, namespace: str, bucket: str, *, extent: Extent = ALL
    ) -> Listing[Document]:
        """The bucket's rules, page by page; the service knows no limit here."""
        path = f"{bucket_path(namespace, bucket)}/retentionRules"
        call = ServiceCall("ListRetentionRules", "GET", path)
        return self._collection(namespace, call, extent)

    def update_retention_rule(
        self,
        namespace: str,
        bucket: str,
        rule_id: str,
        details: Mapping[str, object],
        *,
        if_match: str | None = None,
    ) -> Described:
        """Change a rule; a field that is null is taken away."""
        call = ServiceCall(
            "UpdateRetentionRule",
            "PUT",
            _rule_path(namespace, bucket, rule_id),
            document=details,
            headers=_matching(if_match),
        )
        return self._described(namespace, call)

    def delete_retention_rule(
        self, namespace: str, bucket: str, rule_id: str, *, if_match: str | None = None
    ) -> None:
        """Remove a rule that is not locked."""
        path = _rule_path(namespace, bucket, rule_id)
        call = ServiceCall("DeleteRetentionRule", "DELETE", path, headers=_matching(if_match))
        self._removed(namespace, call)

    def list_replication_policies(
        self, namespace: str, bucket: str, *, extent: Extent = ALL
    ) -> Listing[Document]:
        """The bucket's replication policies, page by page."""
        path = f"{bucket_path(namespace, bucket)}/replicationPolicies"
        call = ServiceCall("ListReplicationPolicies", "GET", path)
        return self._listing(namespace, call, whole_object, extent)

    def delete_replication_policy(self, namespace: str, bucket: str, policy_id: str) -> None:
        """Stop a replication."""
        quoted_id = quoted(policy_id, "replication policy id")
        path = f"{bucket_path(namespace, bucket)}/replicationPolicies/{quoted_id}"
        self._removed(namespace, ServiceCall("DeleteReplicationPolicy", "DELETE", path))

    def list_work_requests(
        self,
        compartment_id: str,
        *,
        private_endpoint_name: str | None = None,
        extent: Extent = ALL,
    ) -> Listing[Document]:
        """The work requests of a compartment, page by page."""
        query = {"compartmentId": compartment_id}
        if private_endpoint_name is not None:
            query["privateEndpointName"] = private_endpoint_name
        call = ServiceCall("ListWorkRequests", "GET", "/workRequests", query=query)
        return self._listing(None, call, whole_object, extent)

    def list_work_request_errors(
        self, work_request_id: str, *, extent: Extent = ALL
    ) -> Listing[Document]:
        """What went wrong in a work request, page by page."""
        path = f"{_work_path(work_request_id)}/errors"
        call = ServiceCall("ListWorkRequestErrors", "GET", path)
        return self._listing(None, call, whole_object, extent)

    def list_work_request_logs(
        self, work_request_id: str, *, extent: Extent = ALL
    ) -> Listing[Document]:
        """What a work request has logged, page by page."""
        call = ServiceCall("ListWorkRequestLogs", "GET", f"{_work_path(work_request_id)}/logs")
        return self._listing(None, call, whole_object, extent)

    def cancel_work_request(self, work_request_id: str) -> None:
        """Ask for a work request to be given up."""
        self._call(None, ServiceCall("CancelWorkRequest", "DELETE", _work_path(work_request_id)))

    def _described(self, namespace: str, call: ServiceCall) -> Described:
        answer = self._call(namespace, call)
        return Described(read(answer, whole_object, call.operation), answer.headers)

    def _removed(self, namespace: str, call: ServiceCall) -> Answer | None:
        """Delete something; None where it was gone after an attempt whose reply was lost."""
        try:
            return self._call(namespace, call)
        except ServiceError as error:
            if not already_gone(error):
                raise
            return None


def _matching(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"if-match": etag}


def _rule_path(namespace: str, bucket: str, rule_id: str) -> str:
    return f"{bucket_path(namespace, bucket)}/retentionRules/{quoted(rule_id, 'rule id')}"


def _work_path(work_request_id: str) -> str:
    return f"/workRequests/{quoted(work_request_id, 'work request id')}"
