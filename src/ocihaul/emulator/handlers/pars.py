"""Pre-authenticated requests: what their owner does with them, and what their URL allows.

The right is looked at on each use. Behind it are the same handlers as for signed requests.
"""

from typing import Any
from urllib.parse import quote

from ocihaul.emulator.buckets import Bucket
from ocihaul.emulator.call import Call, Handler
from ocihaul.emulator.handlers import objects, uploads
from ocihaul.emulator.handlers.common import (
    SHORT_PAGE,
    attributes_from_headers,
    check_object_name,
    numbered_page,
)
from ocihaul.emulator.objects import ACCESS_TYPES, LISTING_ACTIONS, Par, Upload, check_write
from ocihaul.emulator.responses import Answer, ApiError, json_answer, read_timestamp, timestamp
from ocihaul.emulator.state import Service


def create_par(service: Service, call: Call) -> Answer:
    """The one answer that has the URL."""
    body = call.json()
    for name in ("name", "accessType", "timeExpires"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise ApiError(400, "MissingParameter", f"The {name} is missing")
    expires = read_timestamp(body["timeExpires"])
    if expires is None or expires <= service.now():
        raise ApiError(400, "InvalidParameter", "The timeExpires is no time in the future")
    if body["accessType"] not in ACCESS_TYPES:
        raise ApiError(400, "InvalidParameter", f"'{body['accessType']}' is no access type")
    listing = body.get("bucketListingAction")
    if listing is not None and listing not in LISTING_ACTIONS:
        raise ApiError(400, "InvalidParameter", f"'{listing}' is no listing action")
    par = Par(
        name=body["name"],
        access_type=body["accessType"],
        expires=expires,
        object_name=body.get("objectName") or None,
        listing=listing,
        created=service.now(),
    )
    if not par.any_object and par.object_name is None:
        raise ApiError(400, "InvalidParameter", "This access type needs an objectName")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        bucket.pars[par.par_id] = par
        bucket.par_secrets.add(par.secret)
    uri = par.access_uri(call.namespace, call.bucket)
    scheme = "https" if service.settings.tls else "http"
    full = f"{scheme}://{call.headers.get('host', '')}{uri}"
    return json_answer({**_describe(par), "accessUri": uri, "fullPath": full})


def get_par(service: Service, call: Call) -> Answer:
    """All but the URL."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        return json_answer(_describe(_par(bucket, call)))


def list_pars(service: Service, call: Call) -> Answer:
    """All of the bucket, expired ones too, in pages."""
    prefix = call.query.get("objectNamePrefix", "")
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        pars = [par for par in bucket.pars.values() if (par.object_name or "").startswith(prefix)]
    return numbered_page(service, call, [_describe(par) for par in pars], usual=SHORT_PAGE)


def delete_par(service: Service, call: Call) -> Answer:
    """Its URL is of no use any more."""
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        del bucket.pars[_par(bucket, call).par_id]
    return Answer(status=204)


def _par(bucket: Bucket, call: Call) -> Par:
    par = bucket.pars.get(call.parameters["par_id"])
    if par is None:
        raise ApiError(404, "NotAuthorizedOrNotFound", "There is no such pre-authenticated request")
    return par


def _describe(par: Par) -> dict[str, Any]:
    return {
        "id": par.par_id,
        "name": par.name,
        "accessType": par.access_type,
        "objectName": par.object_name,
        "bucketListingAction": par.listing,
        "timeCreated": timestamp(par.created),
        "timeExpires": timestamp(par.expires),
    }


def get_object(service: Service, call: Call) -> Answer:
    """GetObject; without an object's name, ListObjects."""
    return _use(service, call, objects.get_object, write=False)


def head_object(service: Service, call: Call) -> Answer:
    """HeadObject."""
    return _use(service, call, objects.head_object, write=False)


def put_object(service: Service, call: Call) -> Answer:
    """PutObject."""
    return _use(service, call, objects.put_object, write=True)


def list_objects(service: Service, call: Call) -> Answer:
    """ListObjects, where the PAR lists; one that has a prefix shows what begins with it."""
    par = _right(service, call)
    if not (par.lists and service.settings.par_lists_objects):
        raise _refused(service, "the PAR does not list", misused=True)
    prefix = par.object_name or ""
    if not call.query.get("prefix", "").startswith(prefix):
        call.query["prefix"] = prefix
    return objects.list_objects(service, call)


def create_upload(service: Service, call: Call) -> Answer:
    """PUT with `opc-multipart: true`: the URL of a multipart upload."""
    par = _allowed(service, call, write=True)
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        check_object_name(call.name)
        check_write(bucket.etag_of(call.name), call.headers)
        attributes = attributes_from_headers(call.headers, bucket.storage_tier)
        upload = Upload(name=call.name, attributes=attributes, par_secret=par.secret)
        bucket.uploads[upload.upload_id] = upload
    place = f"/n/{quote(call.namespace)}/b/{quote(call.bucket)}/u/{quote(call.name, safe='/')}"
    value = {
        "namespace": call.namespace,
        "bucket": call.bucket,
        "object": call.name,
        "uploadId": upload.upload_id,
        "timeCreated": timestamp(upload.created),
        "accessUri": f"{par.prefix}{place}/id/{upload.upload_id}/",
    }
    return json_answer(value)


def upload_part(service: Service, call: Call) -> Answer:
    """UploadPart."""
    return _use_upload(service, call, uploads.upload_part)


def commit_upload(service: Service, call: Call) -> Answer:
    """CommitMultipartUpload; without a body, of all parts."""
    return _use_upload(service, call, uploads.commit_upload)


def abort_upload(service: Service, call: Call) -> Answer:
    """AbortMultipartUpload."""
    return _use_upload(service, call, uploads.abort_upload)


def list_parts(service: Service, call: Call) -> Answer:
    """ListMultipartUploadParts, where the service has that."""
    if not service.settings.par_lists_parts:
        raise ApiError(405, "MethodNotAllowed", "GET is not possible here")
    return _use_upload(service, call, uploads.list_parts)


def _use(service: Service, call: Call, handler: Handler, *, write: bool) -> Answer:
    _allowed(service, call, write=write)
    return handler(service, call)


def _use_upload(service: Service, call: Call, handler: Handler) -> Answer:
    par = _allowed(service, call, write=True)
    upload_id = call.parameters["upload"]
    with service.store.lock:
        bucket = service.store.bucket(call.namespace, call.bucket)
        if bucket.upload(call.name, upload_id).par_secret != par.secret:
            raise _refused(service, "the upload was not begun through this PAR")
    call.query["uploadId"] = upload_id
    if "part" in call.parameters:
        call.query["uploadPartNum"] = call.parameters["part"]
    return handler(service, call)


def _allowed(service: Service, call: Call, *, write: bool) -> Par:
    par = _right(service, call)
    if not par.allows(call.name, write=write):
        raise _refused(service, "the PAR is for something else", misused=True)
    return par


def _right(service: Service, call: Call) -> Par:
    """The PAR of the URL, if it can be used now; what PARs ignore is taken from the headers."""
    settings = service.settings
    with service.store.lock:
        try:
            bucket = service.store.bucket(call.namespace, call.bucket)
        except ApiError:
            raise _refused(service, "the bucket does not exist") from None
        pars = [par for par in bucket.pars.values() if par.secret == call.parameters["par"]]
    if not pars:
        raise _refused(service, "the PAR does not exist")
    if pars[0].expires <= service.now():
        raise _refused(service, "the PAR is expired")
    if not settings.par_rights:
        raise _refused(service, "the owner of the PAR has no right any more")
    for name in settings.par_ignores:
        call.headers.pop(name, None)
    return pars[0]


_REFUSAL_CODES = {401: "NotAuthenticated", 403: "NotAuthorized", 404: "NotAuthorizedOrNotFound"}


def _refused(service: Service, detail: str, *, misused: bool = False) -> ApiError:
    """One answer for whatever does not fit, unless the settings give one to misuse; the log has
    the reason.
    """
    message = "The pre-authenticated request does not exist, is expired, or does not allow this"
    settings = service.settings
    status = (misused and settings.par_misuse_refusal) or settings.par_refusal
    return ApiError(status, _REFUSAL_CODES[status], message, detail=detail)
