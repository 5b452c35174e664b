"""The table of operations: method and path to handler, one row each."""

import re

from . import handlers_auth, handlers_buckets, handlers_objects, handlers_uploads
from .call import Handler, Operation

_NAMESPACE = r"/n/(?P<namespace>[^/]+)"
_BUCKET = _NAMESPACE + r"/b/(?P<bucket>[^/]+)"
_OBJECT = _BUCKET + r"/o/(?P<object>.+)"
_UPLOADS = _BUCKET + r"/u/?"
_UPLOAD = _BUCKET + r"/u/(?P<object>.+)"


def _row(name: str, method: str, path: str, handler: Handler, *, bare: bool = False) -> Operation:
    return Operation(name, method, re.compile(path), handler, bare_body=bare)


def _login_row(name: str, method: str, handler: Handler) -> Operation:
    return Operation(name, method, re.compile("/v1/oauth2/authorize"), handler, public=True)


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
    _row("ListObjects", "GET", _BUCKET + "/o/?", handlers_buckets.list_objects),
    _row(
        "ListObjectVersions",
        "GET",
        _BUCKET + "/objectversions",
        handlers_buckets.list_object_versions,
    ),
    _row(
        "RestoreObjects",
        "POST",
        _BUCKET + "/actions/restoreObjects",
        handlers_objects.restore_objects,
    ),
    _row("RenameObject", "POST", _BUCKET + "/actions/renameObject", handlers_objects.rename_object),
    _row("GetBucket", "GET", _BUCKET + "/?", handlers_buckets.get_bucket),
    _row("HeadBucket", "HEAD", _BUCKET + "/?", handlers_buckets.head_bucket),
    _row("ListBuckets", "GET", _NAMESPACE + "/b/?", handlers_buckets.list_buckets),
    _row("GetNamespace", "GET", "/n/?", handlers_buckets.get_namespace),
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
