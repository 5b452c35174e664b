"""Errors as text for stderr: what is wrong, what the service said, what to do about it.

The block under `ServiceError:` has the official CLI's keys, because scripts look for them. Nothing
here prints: the caller does, with `printing.say_text`. The line breaks in a text are our own.

Below `cli/` no text names a flag or a command with flags. It names the parameter in backticks, as
Python has it, with its value where only one is meant: `existing='overwrite'`. Where a whole command
is meant, it has the call: `abort_multipart_upload(namespace='n', bucket='b', name='o',
upload_id='u')`. A new login is `config.sources.login_command`. `in_flags` puts the command line's
words for these.
"""

import json
import re
import shlex
from datetime import UTC, datetime

from ocihaul import __version__
from ocihaul.cli.process import chain
from ocihaul.config.sources import with_logins
from ocihaul.errors import OcihaulError, ServiceError, TransferCancelled, UsageError
from ocihaul.printable import cut, json_text, one_line, without_braces

GO_ON = "Run the same command again."

_HINTS = {
    400: "The service could not use the request; its message says why.",
    401: "Check that the profile, its key and --region belong together; a new login is made with: "
    "ocihaul session login (or: oci session authenticate)",
    403: "The policies of the tenancy do not allow this; ask its administrator.",
    404: "Check --bucket-name, --namespace and --region. The answer is the same when the bucket "
    "exists and no policy lets you see it.",
    412: "The object on the service is not the one that --if-match (or --no-overwrite) expects.",
    413: "The object or part is too large; leave --no-multipart out or raise --part-size.",
}


def error_text(error: BaseException, *, debug: bool = False, now: datetime | None = None) -> str:
    """All that a person should read about `error`; `debug` adds the traceback."""
    from ocihaul.printing import LONGEST_LINE
    from ocihaul.redaction import redact

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
    from ocihaul.printing import LONGEST_LINE
    from ocihaul.redaction import redact

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


def failure_lines(what: str, error: BaseException) -> list[str]:
    """What is said of one of several that has failed: why, and the hints."""
    reason, hints = summary(error)
    named = reason.startswith((f"{what}:", f"{what} "))
    return [f"failed: {reason}" if named else f"failed: {what}: {reason}", *hints]


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
    import traceback

    from ocihaul.printing import LONGEST_LINE
    from ocihaul.redaction import redact

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
    from ocihaul.cli.output import in_local_time

    return in_local_time(in_flags(text))


def _cut(text: str) -> str:
    """As much of a foreign text as helps; after redaction, so that no secret is cut in two."""
    from ocihaul.printing import LONGEST_LINE
    from ocihaul.redaction import redact

    return cut(redact(text), LONGEST_LINE)


_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)(='[^'`]*'|=True|=False|=[A-Z][A-Za-z]+\.[A-Z]+)?`")

#: Where the flag is not the parameter's name with dashes.
_FLAGS = {
    "bucket": "--bucket-name",
    "source": "--file",
    "target": "--file",
    "byte_range": "--range",
    "local_directory": "--src-dir or --dest-dir",
    "max_attempts": "--max-retries",
    "existing=IfExists.REPLACE": "--force",
    "existing=IfExists.KEEP": "--no-overwrite",
    "mode=SyncMode.REPLACE": "--overwrite",
    "mode=SyncMode.KEEP": "--no-overwrite",
    "multipart=False": "--no-multipart",
    "multipart=True": "no --no-multipart",
    "parallel": "--parallel-upload-count",
    "wait=False": "--no-wait",
    "verify=False": "--no-verify-checksum",
    "sse_customer_key": "--encryption-key-file",
    "restore_hours": "--restore",
    "executor": "--dask",
}


#: The command of each call that a text may name, and its flags in their order.
_COMMANDS = {
    "upload": (
        "ocihaul os object resume-put",
        {
            "namespace": "-ns",
            "bucket": "-bn",
            "name": "--name",
            "source": "--file",
            "upload_id": "--upload-id",
            "part_size": "--part-size",
        },
    ),
    "abort_multipart_upload": (
        "ocihaul os multipart abort",
        {"namespace": "-ns", "bucket": "-bn", "name": "-on", "upload_id": "--upload-id"},
    ),
    "delete_preauthenticated_request": (
        "ocihaul os preauth-request delete",
        {"namespace": "-ns", "bucket": "-bn", "par_id": "--par-id"},
    ),
    "head_object": (
        "ocihaul os object head",
        {"namespace": "-ns", "bucket": "-bn", "name": "--name"},
    ),
    "list_incomplete_uploads": ("ocihaul uploads", {"bucket": "-bn"}),
}
_CALL = re.compile(rf"`(?={'|'.join(_COMMANDS)})([a-z_]+)\(")


def in_flags(text: str) -> str:
    """`text` with flags in place of the parameters in backticks, and commands in that of calls."""
    text, done, at = with_logins(text, _login), "", 0
    while (found := _CALL.search(text, at)) is not None:
        command, end = _command(text, found)
        done += _PARAMETER.sub(_flag, text[at : found.start()]) + command
        at = end
    return done + _PARAMETER.sub(_flag, text[at:])


def _login(profile: str | None) -> str:
    """Our own command, and the official one, which writes the same files."""
    named = f" --profile-name {shlex.quote(profile)}" if profile else ""
    return f"ocihaul session login{named} (or: oci session authenticate{named})"


def _command(text: str, found: re.Match[str]) -> tuple[str, int]:
    """The command of the call that begins there, and where the call ends; a name may hold `)`."""
    end = text.find(")`", found.end())
    while end >= 0:
        try:
            given = _arguments(text[found.start() + 1 : end + 1])
        except (SyntaxError, ValueError):
            end = text.find(")`", end + 1)
            continue
        command, flags = _COMMANDS[found[1]]
        words = [f"{flags[name]} {_word(name, value)}" for name, value in given.items()]
        return " ".join([command, *words]), end + 2
    return found[0], found.end()


def _arguments(call: str) -> dict[str, object]:
    """The keyword arguments of a call, all literals. Raises SyntaxError, ValueError."""
    import ast

    match ast.parse(call, mode="eval").body:
        case ast.Call(keywords=keywords):
            return {each.arg: ast.literal_eval(each.value) for each in keywords if each.arg}
    raise ValueError("not a call")


def _word(name: str, value: object) -> str:
    """A value as the shell takes it; a part size is in MiB where it has whole ones."""
    if name == "part_size" and isinstance(value, int):
        return f"{value}B" if value % 2**20 else str(value // 2**20)
    return shlex.quote(str(value))


def _flag(match: re.Match[str]) -> str:
    name, value = match[1], match[2] or ""
    if flag := _FLAGS.get(name + value):
        return flag
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value in {"", "=True"}:
        return flag
    return f"{flag} {value[1:].strip(chr(39))}"
