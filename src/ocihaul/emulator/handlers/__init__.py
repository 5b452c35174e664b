"""The table of operations: method and path to handler, one row each."""

import re

from ocihaul.emulator.call import Handler, Operation
from ocihaul.emulator.handlers import (
    actions,
    auth,
    bucket_rules,
    buckets,
    objects,
    pars,
    uploads,
)

_NAMESPACE = r"/n/(?P<namespace>[^/]+)"
_BUCKET = _NAMESPACE + r"/b/(?P<bucket>[^/]+)"
_OBJECT = _BUCKET + r"/o/(?P<object>.+)"
_UPLOADS = _BUCKET + r"/u/?"
_UPLOAD = _BUCKET + r"/u/(?P<object>.+)"
_ACTION = _BUCKET + "/actions/"
_REENCRYPT = _ACTION + r"reencrypt/(?P<object>.+)"
_PARS = _BUCKET + "/p/?"
_PAR = _BUCKET + r"/p/(?P<par_id>.+)"
_RETENTION = _BUCKET + "/retentionRules/?"
_RETENTION_RULE = _BUCKET + "/retentionRules/(?P<rule>[^/]+)"
_REPLICATION = _BUCKET + "/replicationPolicies/?"
_REPLICATION_POLICY = _BUCKET + "/replicationPolicies/(?P<policy>[^/]+)"
_WORK = r"/workRequests/(?P<work>[^/]+)"
#: What stands before the paths of requests that a PAR lets in.
_WITH_PAR = r"/p/(?P<par>[^/]+)"
_PAR_UPLOAD = _WITH_PAR + _UPLOAD + r"/id/(?P<upload>[^/]+)/"


def _row(name: str, method: str, path: str, handler: Handler, *, bare: bool = False) -> Operation:
    return Operation(name, method, re.compile(path), handler, bare_body=bare)


def _login_row(name: str, method: str, handler: Handler) -> Operation:
    return Operation(name, method, re.compile("/v1/oauth2/authorize"), handler, public=True)


def _par_row(
    name: str, method: str, path: str, handler: Handler, *, header: str | None = None
) -> Operation:
    """Unsigned; a fault or a log entry can tell it from the signed operation by its name."""
    pattern = re.compile(path)
    return Operation(f"Par{name}", method, pattern, handler, public=True, header=header)


OPERATIONS: tuple[Operation, ...] = (
    _row("UploadPart", "PUT", _UPLOAD, uploads.upload_part, bare=True),
    _row("PutObject", "PUT", _OBJECT, objects.put_object, bare=True),
    _row("HeadObject", "HEAD", _OBJECT, objects.head_object),
    _row("GetObject", "GET", _OBJECT, objects.get_object),
    _row("DeleteObject", "DELETE", _OBJECT, objects.delete_object),
    _row("CreateMultipartUpload", "POST", _UPLOADS, uploads.create_upload),
    _row("ListMultipartUploads", "GET", _UPLOADS, uploads.list_uploads),
    _row("CommitMultipartUpload", "POST", _UPLOAD, uploads.commit_upload),
    _row("AbortMultipartUpload", "DELETE", _UPLOAD, uploads.abort_upload),
    _row("ListMultipartUploadParts", "GET", _UPLOAD, uploads.list_parts),
    _row("ListObjects", "GET", _BUCKET + "/o/?", objects.list_objects),
    _row(
        "ListObjectVersions",
        "GET",
        _BUCKET + "/objectversions",
        objects.list_object_versions,
    ),
    _row(
        "RestoreObjects",
        "POST",
        _ACTION + "restoreObjects",
        actions.restore_objects,
    ),
    _row("RenameObject", "POST", _ACTION + "renameObject", actions.rename_object),
    _row(
        "BatchDeleteObjects",
        "POST",
        _ACTION + "batchDeleteObjects",
        actions.batch_delete_objects,
    ),
    _row("CopyObject", "POST", _ACTION + "copyObject", actions.copy_object),
    _row(
        "UpdateObjectStorageTier",
        "POST",
        _ACTION + "updateObjectStorageTier",
        actions.update_storage_tier,
    ),
    _row("ReencryptObject", "POST", _REENCRYPT, actions.reencrypt_object),
    _row("ReencryptBucket", "POST", _ACTION + "reencrypt", actions.reencrypt_bucket, bare=True),
    _row(
        "MakeBucketWritable",
        "POST",
        _ACTION + "makeBucketWritable",
        buckets.make_bucket_writable,
        bare=True,
    ),
    _row("ListWorkRequests", "GET", "/workRequests/?", actions.list_work_requests),
    _row("GetWorkRequest", "GET", _WORK, actions.get_work_request),
    _row("CancelWorkRequest", "DELETE", _WORK, actions.cancel_work_request),
    _row("ListWorkRequestErrors", "GET", _WORK + "/errors", actions.list_errors),
    _row("ListWorkRequestLogs", "GET", _WORK + "/logs", actions.list_logs),
    _row("PutObjectLifecyclePolicy", "PUT", _BUCKET + "/l/?", bucket_rules.put_lifecycle),
    _row("GetObjectLifecyclePolicy", "GET", _BUCKET + "/l/?", bucket_rules.get_lifecycle),
    _row("DeleteObjectLifecyclePolicy", "DELETE", _BUCKET + "/l/?", bucket_rules.delete_lifecycle),
    _row("CreateRetentionRule", "POST", _RETENTION, bucket_rules.create_retention_rule),
    _row("ListRetentionRules", "GET", _RETENTION, bucket_rules.list_retention_rules),
    _row("GetRetentionRule", "GET", _RETENTION_RULE, bucket_rules.get_retention_rule),
    _row("UpdateRetentionRule", "PUT", _RETENTION_RULE, bucket_rules.update_retention_rule),
    _row("DeleteRetentionRule", "DELETE", _RETENTION_RULE, bucket_rules.delete_retention_rule),
    _row("CreateReplicationPolicy", "POST", _REPLICATION, bucket_rules.create_replication_policy),
    _row("ListReplicationPolicies", "GET", _REPLICATION, bucket_rules.list_replication_policies),
    _row("GetReplicationPolicy", "GET", _REPLICATION_POLICY, bucket_rules.get_replication_policy),
    _row(
        "DeleteReplicationPolicy",
        "DELETE",
        _REPLICATION_POLICY,
        bucket_rules.delete_replication_policy,
    ),
    _row(
        "ListReplicationSources",
        "GET",
        _BUCKET + "/replicationSources",
        bucket_rules.list_replication_sources,
    ),
    _row("CreatePreauthenticatedRequest", "POST", _PARS, pars.create_par),
    _row("ListPreauthenticatedRequests", "GET", _PARS, pars.list_pars),
    _row("GetPreauthenticatedRequest", "GET", _PAR, pars.get_par),
    _row("DeletePreauthenticatedRequest", "DELETE", _PAR, pars.delete_par),
    _row("CreateBucket", "POST", _NAMESPACE + "/b/?", buckets.create_bucket),
    _row("UpdateBucket", "POST", _BUCKET + "/?", buckets.update_bucket),
    _row("DeleteBucket", "DELETE", _BUCKET + "/?", buckets.delete_bucket),
    _row("GetBucket", "GET", _BUCKET + "/?", buckets.get_bucket),
    _row("HeadBucket", "HEAD", _BUCKET + "/?", buckets.head_bucket),
    _row("ListBuckets", "GET", _NAMESPACE + "/b/?", buckets.list_buckets),
    _row("GetNamespace", "GET", "/n/?", buckets.get_namespace),
    _row(
        "UpdateNamespaceMetadata",
        "PUT",
        _NAMESPACE + "/?",
        buckets.update_namespace_metadata,
    ),
    _row(
        "GetNamespaceMetadata",
        "GET",
        _NAMESPACE + "/?",
        buckets.get_namespace_metadata,
    ),
    _par_row("UploadPart", "PUT", _PAR_UPLOAD + r"(?P<part>[0-9]+)", pars.upload_part),
    _par_row("CommitMultipartUpload", "POST", _PAR_UPLOAD, pars.commit_upload),
    _par_row("AbortMultipartUpload", "DELETE", _PAR_UPLOAD, pars.abort_upload),
    _par_row("ListMultipartUploadParts", "GET", _PAR_UPLOAD, pars.list_parts),
    _par_row("ListObjects", "GET", _WITH_PAR + _BUCKET + "/o/?", pars.list_objects),
    _par_row(
        "CreateMultipartUpload",
        "PUT",
        _WITH_PAR + _OBJECT,
        pars.create_upload,
        header="opc-multipart",
    ),
    _par_row("PutObject", "PUT", _WITH_PAR + _OBJECT, pars.put_object),
    _par_row("GetObject", "GET", _WITH_PAR + _OBJECT, pars.get_object),
    _par_row("HeadObject", "HEAD", _WITH_PAR + _OBJECT, pars.head_object),
    _row("RefreshToken", "POST", "/v1/authentication/refresh", auth.refresh_token),
    _row(
        "GenerateUpst",
        "POST",
        "/v1/token/upst/actions/GenerateUpst",
        auth.generate_upst,
    ),
    _login_row("Authorize", "GET", auth.authorize),
    _login_row("LogIn", "POST", auth.log_in),
    _row("ListRegions", "GET", "/20160918/regions", auth.list_regions),
)
