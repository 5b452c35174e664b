"""The table of operations: method and path to handler, one row each."""

import re

from . import (
    handlers_actions,
    handlers_anonymous,
    handlers_auth,
    handlers_buckets,
    handlers_lists,
    handlers_objects,
    handlers_pars,
    handlers_uploads,
)
from .call import Handler, Operation

_NAMESPACE = r"/n/(?P<namespace>[^/]+)"
_BUCKET = _NAMESPACE + r"/b/(?P<bucket>[^/]+)"
_OBJECT = _BUCKET + r"/o/(?P<object>.+)"
_UPLOADS = _BUCKET + r"/u/?"
_UPLOAD = _BUCKET + r"/u/(?P<object>.+)"
_ACTION = _BUCKET + "/actions/"
_PARS = _BUCKET + "/p/?"
_PAR = _BUCKET + r"/p/(?P<par_id>.+)"
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
    _row("UploadPart", "PUT", _UPLOAD, handlers_uploads.upload_part, bare=True),
    _row("PutObject", "PUT", _OBJECT, handlers_objects.put_object, bare=True),
    _row("HeadObject", "HEAD", _OBJECT, handlers_objects.head_object),
    _row("GetObject", "GET", _OBJECT, handlers_objects.get_object),
    _row("DeleteObject", "DELETE", _OBJECT, handlers_objects.delete_object),
    _row("CreateMultipartUpload", "POST", _UPLOADS, handlers_uploads.create_upload),
    _row("ListMultipartUploads", "GET", _UPLOADS, handlers_uploads.list_uploads),
    _row("CommitMultipartUpload", "POST", _UPLOAD, handlers_uploads.commit_upload),
    _row("AbortMultipartUpload", "DELETE", _UPLOAD, handlers_uploads.abort_upload),
    _row("ListMultipartUploadParts", "GET", _UPLOAD, handlers_uploads.list_parts),
    _row("ListObjects", "GET", _BUCKET + "/o/?", handlers_lists.list_objects),
    _row(
        "ListObjectVersions",
        "GET",
        _BUCKET + "/objectversions",
        handlers_lists.list_object_versions,
    ),
    _row(
        "RestoreObjects",
        "POST",
        _ACTION + "restoreObjects",
        handlers_actions.restore_objects,
    ),
    _row("RenameObject", "POST", _ACTION + "renameObject", handlers_actions.rename_object),
    _row(
        "BatchDeleteObjects",
        "POST",
        _ACTION + "batchDeleteObjects",
        handlers_actions.batch_delete_objects,
    ),
    _row("CopyObject", "POST", _ACTION + "copyObject", handlers_actions.copy_object),
    _row("GetWorkRequest", "GET", _WORK, handlers_actions.get_work_request),
    _row(
        "ListWorkRequestErrors",
        "GET",
        _WORK + "/errors",
        handlers_actions.list_work_request_errors,
    ),
    _row("CreatePreauthenticatedRequest", "POST", _PARS, handlers_pars.create_par),
    _row("ListPreauthenticatedRequests", "GET", _PARS, handlers_pars.list_pars),
    _row("GetPreauthenticatedRequest", "GET", _PAR, handlers_pars.get_par),
    _row("DeletePreauthenticatedRequest", "DELETE", _PAR, handlers_pars.delete_par),
    _row("CreateBucket", "POST", _NAMESPACE + "/b/?", handlers_buckets.create_bucket),
    _row("UpdateBucket", "POST", _BUCKET + "/?", handlers_buckets.update_bucket),
    _row("GetBucket", "GET", _BUCKET + "/?", handlers_buckets.get_bucket),
    _row("HeadBucket", "HEAD", _BUCKET + "/?", handlers_buckets.head_bucket),
    _row("ListBuckets", "GET", _NAMESPACE + "/b/?", handlers_buckets.list_buckets),
    _row("GetNamespace", "GET", "/n/?", handlers_buckets.get_namespace),
    _row(
        "GetNamespaceMetadata",
        "GET",
        _NAMESPACE + "/?",
        handlers_buckets.get_namespace_metadata,
    ),
    _par_row(
        "UploadPart", "PUT", _PAR_UPLOAD + r"(?P<part>[0-9]+)", handlers_anonymous.upload_part
    ),
    _par_row("CommitMultipartUpload", "POST", _PAR_UPLOAD, handlers_anonymous.commit_upload),
    _par_row("AbortMultipartUpload", "DELETE", _PAR_UPLOAD, handlers_anonymous.abort_upload),
    _par_row("ListMultipartUploadParts", "GET", _PAR_UPLOAD, handlers_anonymous.list_parts),
    _par_row("ListObjects", "GET", _WITH_PAR + _BUCKET + "/o/?", handlers_anonymous.list_objects),
    _par_row(
        "CreateMultipartUpload",
        "PUT",
        _WITH_PAR + _OBJECT,
        handlers_anonymous.create_upload,
        header="opc-multipart",
    ),
    _par_row("PutObject", "PUT", _WITH_PAR + _OBJECT, handlers_anonymous.put_object),
    _par_row("GetObject", "GET", _WITH_PAR + _OBJECT, handlers_anonymous.get_object),
    _par_row("HeadObject", "HEAD", _WITH_PAR + _OBJECT, handlers_anonymous.head_object),
    _row("RefreshToken", "POST", "/v1/authentication/refresh", handlers_auth.refresh_token),
    _row(
        "GenerateUpst",
        "POST",
        "/v1/token/upst/actions/GenerateUpst",
        handlers_auth.generate_upst,
    ),
    _login_row("Authorize", "GET", handlers_auth.authorize),
    _login_row("LogIn", "POST", handlers_auth.log_in),
    _row("ListRegions", "GET", "/20160918/regions", handlers_auth.list_regions),
)
