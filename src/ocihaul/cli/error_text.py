"""Errors as text for stderr: what is wrong, what the service said, what to do about it.

The block under `ServiceError:` has the official CLI's keys, because scripts look for them. Nothing
here prints: the caller does, with `printing.say_text`. The line breaks in a text are our own.
"""

import json
import traceback
from datetime import UTC, datetime

from ocihaul import __version__
from ocihaul.cli.exit_codes import chain
from ocihaul.cli.flags import in_flags
from ocihaul.cli.formatting import in_local_time
from ocihaul.config.sources import login_command
from ocihaul.errors import OcihaulError, ServiceError, TransferCancelled, UsageError
from ocihaul.printable import cut, json_text, one_line, without_braces
from ocihaul.printing import LONGEST_LINE
from ocihaul.redaction import redact

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
        text = one_line(cut(redact(f"Error: {type(error).__name__}: {error}"), LONGEST_LINE))
        hint: str | None = "This should not happen. Run again with --debug and report what it says."
    else:
        text, hint = _known(error, now or datetime.now(UTC))
    lines = [text, *([hint] if hint else [])]
    if debug:
        lines.insert(0, traceback_text(error))
    return "\n".join(lines)


def summary(error: BaseException) -> tuple[str, list[str]]:
    """What is wrong in one line, each reason once, and the hints; without secrets."""
    if not isinstance(error, OcihaulError):
        return one_line(cut(redact(f"{type(error).__name__}: {error}"), LONGEST_LINE)), []
    causes = [link for link in chain(error) if isinstance(link, OcihaulError)]
    reasons: list[str] = []
    for link in causes:
        text = _cut(_said(link.message))
        if not any(text in each for each in reasons):
            reasons.append(text)
    hints = [_cut(_said(line)) for link in causes if link.hint for line in link.hint.split("\n")]
    if not hints and isinstance(causes[-1], ServiceError) and causes[-1].status in _HINTS:
        hints = [_HINTS[causes[-1].status]]
    return "; ".join(reasons), list(dict.fromkeys(hints))


def error_fields(error: BaseException, *, now: datetime | None = None) -> dict[str, object]:
    """The same for a JSON log: `service` has the official CLI's keys where the service answered."""
    reason, hints = summary(error)
    found: dict[str, object] = {"type": type(error).__name__, "reason": reason, "hints": hints}
    service = next((link for link in chain(error) if isinstance(link, ServiceError)), None)
    if service is not None:
        found["service"] = service_details(service, now or datetime.now(UTC))
    return found


def traceback_text(error: BaseException) -> str:
    """The traceback, without secrets, behind a margin: no line of it looks like one of ours."""
    text = redact("".join(traceback.format_exception(error))).rstrip()
    return "\n".join(f"| {one_line(cut(line, LONGEST_LINE))}" for line in text.split("\n"))


def _known(error: OcihaulError, now: datetime) -> tuple[str, str | None]:
    causes = [link for link in chain(error) if isinstance(link, OcihaulError)]
    service = next((link for link in causes if isinstance(link, ServiceError)), None)
    hints = [_cut(_said(line)) for link in causes if link.hint for line in link.hint.split("\n")]
    if service is not None and not hints:
        hints = [_HINTS[service.status]] if service.status in _HINTS else []
    resumable = error.resumable or any(isinstance(link, TransferCancelled) for link in causes)
    if resumable and not error.hint:
        hints.append(GO_ON)
    hints = list(dict.fromkeys(hints))
    parts = []
    if error is not service:
        # As the official CLI begins them.
        kind = "UsageError" if isinstance(error, UsageError) else "Error"
        parts.append(_cut(f"{kind}: {_said(error.message)}"))
        parts += [
            _cut(f"Reason: {_said(link.message)}")
            for link in causes[1:]
            if link is not service and link.message != error.message
        ]
    if service is not None:
        # The block is the last thing that is said, and has the only braces: what begins with {
        # ends with } for a script.
        parts = [without_braces(part) for part in parts]
        parts.append(service_error_text(service, now, hint=" ".join(hints)))
        hints = []
    return "\n".join(parts), "\n".join(hints) or None


def service_error_text(error: ServiceError, now: datetime, *, hint: str = "") -> str:
    """The block that the official CLI prints for an answer with an error status, and our hint."""
    details = service_details(error, now)
    if hint:
        details["hint"] = hint
    document = json.dumps(details, indent=4, sort_keys=True, ensure_ascii=False)
    return f"ServiceError:\n{json_text(document)}"


def service_details(error: ServiceError, now: datetime) -> dict[str, object]:
    """An answer with an error status, by the official CLI's keys."""
    return {
        "client_version": f"ocihaul/{__version__}",
        "code": error.code and _cut(error.code),
        "message": _cut(error.service_message) or _unsaid(error.status),
        "opc-request-id": error.opc_request_id and _cut(error.opc_request_id),
        "operation_name": error.operation,
        "status": error.status,
        "target_service": "object_storage",
        "timestamp": now.isoformat(),
    }


def _unsaid(status: int) -> str:
    """What the official CLI says of an answer without a body, such as that to a HEAD."""
    return f"The service returned error code {status}"


def _said(text: str) -> str:
    """A text of ours in the command line's words, and in local time as the log has it."""
    return in_local_time(in_flags(text))


def _cut(text: str) -> str:
    """As much of a foreign text as helps; after redaction, so that no secret is cut in two."""
    return cut(redact(text), LONGEST_LINE)
