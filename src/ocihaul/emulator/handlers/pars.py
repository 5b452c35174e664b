"""Pre-authenticated requests as their owner sees them: create, get, list, delete."""

from typing import Any

from ocihaul.emulator.buckets import Bucket
from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import SHORT_PAGE, numbered_page
from ocihaul.emulator.objects import ACCESS_TYPES, LISTING_ACTIONS, Par
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
