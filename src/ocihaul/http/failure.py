"""An error answer as a ServiceError, with what to do about the common ones."""

from collections.abc import Mapping

from ocihaul.config.login_command import login_command
from ocihaul.documents import DocumentError, read_object
from ocihaul.errors import NetworkError, ServiceError
from ocihaul.wire.message import ERROR_LIMIT, Answer, excerpt

#: What a code, an id or a media type may have, characters.
_WORD = 200
_HIDDEN = "The service also says this where the policy does not allow access."
_HINTS = {
    "BucketNotFound": f"Check --bucket-name, --namespace and --region. {_HIDDEN}",
    "ObjectNotFound": f"Check the object's name, --bucket-name and --region. {_HIDDEN}",
    "NamespaceNotFound": f"Check --namespace and --region. {_HIDDEN}",
    "NotAuthorizedOrNotFound": f"Check the names and the region. {_HIDDEN}",
    "NotAuthenticated": "The credential was not accepted: check the profile, its key and the clock "
    f"of this machine, then log in again with: {login_command()}",
}


def service_error(answer: Answer, operation: str) -> ServiceError:
    """The error that an answer stands for; meaningful only when its status is one."""
    code, message = _code_and_message(answer)
    if answer.status == 401:
        code = code or "NotAuthenticated"
    return ServiceError(
        status=answer.status,
        code=code,
        message=message,
        operation=operation,
        headers=_with_short_id(answer.headers),
        hint=_HINTS.get(code or ""),
    )


def foreign(answer: Answer, operation: str) -> NetworkError:
    """The error that an answer stands for which has no name of the service's: it is another's.

    A captive portal, or a proxy that wants somebody to log in, says 200 to a commit, too, and a
    balancer without a service says 404 of an upload that is there.
    """
    kind = excerpt(answer.headers.get("content-type", "no content type"), _WORD)
    return NetworkError(
        f"{operation}: the answer is not the service's ({answer.status}, {kind})",
        hint="Check the proxies between this machine and the service: is there a page to log in?",
    )


def _with_short_id(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers; an opc-request-id that is none of the service's is of any length."""
    own = dict(headers)
    if "opc-request-id" in own:
        own["opc-request-id"] = excerpt(own["opc-request-id"], _WORD)
    return own


def _code_and_message(answer: Answer) -> tuple[str | None, str]:
    if answer.status < 300 or not answer.body:
        return None, ""
    try:
        document = read_object(answer.body)
    except DocumentError:
        if len(answer.body) >= ERROR_LIMIT:
            return None, f"the answer says more than {ERROR_LIMIT // 1024} KiB, and was not read"
        kind = excerpt(answer.headers.get("content-type", "no content type"), _WORD)
        return None, f"the answer is not the service's JSON ({kind}): is there a proxy on the way?"
    code, message = document.get("code"), document.get("message")
    return (
        excerpt(code, _WORD) if isinstance(code, str) else None,
        excerpt(message) if isinstance(message, str) else "",
    )
