"""Errors as text for stderr: what is wrong, what the service said, what to do about it.

The block under `ServiceError:` has the stock CLI's keys, because scripts look for them. Nothing
here prints: the caller does, after redaction.
"""

import json
import traceback
from datetime import UTC, datetime

from ocihaul import __version__
from ocihaul.cli.exit_codes import chain
from ocihaul.config.login_command import login_command
from ocihaul.errors import Interrupted, OcihaulError, ServiceError

GO_ON = "Run the same command again."

_HINTS = {
    400: "The service could not use the request; its message says why.",
    401: "Check that the profile, its key and --region belong together; a new login is made with: "
    f"{login_command()}",
    403: "The policies of the tenancy do not allow this; ask its administrator.",
    404: "Check --bucket-name, --namespace and --region. The answer is the same when the bucket "
    "exists and no policy lets you see it.",
    412: "The object on the service is not the one that --if-match (or --no-overwrite) expects.",
    413: "The object or part is too large; leave --no-multipart out or raise --part-size.",
}


def error_text(error: BaseException, *, debug: bool = False, now: datetime | None = None) -> str:
    """All that a person should read about `error`; `debug` adds the traceback."""
    if not isinstance(error, OcihaulError):
        text = f"Error: {type(error).__name__}: {error}"
        hint: str | None = "This should not happen. Run again with --debug and report what it says."
    else:
        text, hint = _known(error, now or datetime.now(UTC))
    lines = [text, *([hint] if hint else [])]
    if debug:
        lines.insert(0, "".join(traceback.format_exception(error)).rstrip())
    return "\n".join(lines)


def _known(error: OcihaulError, now: datetime) -> tuple[str, str | None]:
    causes = [link for link in chain(error) if isinstance(link, OcihaulError)]
    service = next((link for link in causes if isinstance(link, ServiceError)), None)
    parts = []
    if service is not None:
        parts.append(service_error_text(service, now))
    if error is not service:
        parts.append(f"Error: {error.message}")
        parts += [
            f"Reason: {link.message}"
            for link in causes[1:]
            if link is not service and link.message != error.message
        ]
    hints = [link.hint for link in causes if link.hint]
    if service is not None and not hints:
        hints = [_HINTS[service.status]] if service.status in _HINTS else []
    resumable = error.resumable or any(isinstance(link, Interrupted) for link in causes)
    if resumable and not error.hint:
        hints.append(GO_ON)
    return "\n".join(parts), "\n".join(dict.fromkeys(hints)) or None


def service_error_text(error: ServiceError, now: datetime) -> str:
    """The block that the stock CLI prints for an answer with an error status."""
    details = {
        "client_version": f"ocihaul/{__version__}",
        "code": error.code,
        "message": error.service_message,
        "opc-request-id": error.opc_request_id,
        "operation_name": error.operation,
        "status": error.status,
        "target_service": "object_storage",
        "timestamp": now.isoformat(),
    }
    return "ServiceError:\n" + json.dumps(details, indent=4, sort_keys=True, ensure_ascii=False)
