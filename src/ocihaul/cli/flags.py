"""The command line's words for the library's, in backticks: flags and commands; pure.

Below `cli/` no text names a flag or a command with flags. It names the parameter, as Python has it,
with its value where only one is meant: `existing=IfExists.KEEP`. Where a whole command is meant, it
has the call: `abort_multipart_upload(namespace='n', bucket='b', name='o', upload_id='u')`.
"""

import re
import shlex

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
    done, at = "", 0
    while (found := _CALL.search(text, at)) is not None:
        command, end = _command(text, found)
        done += _PARAMETER.sub(_flag, text[at : found.start()]) + command
        at = end
    return done + _PARAMETER.sub(_flag, text[at:])


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
