"""The command line's words for the library's: a parameter in backticks becomes its flag; pure.

Below `cli/` no text names a flag. It names the parameter, as Python has it, with its value where
only one is meant: `existing='overwrite'`.
"""

import re

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)(='[^'`]*'|=True|=False)?`")

#: Where the flag is not the parameter's name with dashes.
_FLAGS = {
    "bucket": "--bucket-name",
    "source": "--file",
    "target": "--file",
    "byte_range": "--range",
    "local_directory": "--src-dir or --dest-dir",
    "max_attempts": "--max-retries",
    "existing='overwrite'": "--force",
    "existing='keep'": "--no-overwrite",
    "mode='overwrite'": "--overwrite",
    "mode='keep'": "--no-overwrite",
    "multipart=False": "--no-multipart",
    "multipart=True": "no --no-multipart",
    "parallel": "--parallel-upload-count",
    "wait=False": "--no-wait",
    "verify=False": "--no-verify-checksum",
    "sse_customer_key": "--encryption-key-file",
    "restore_hours": "--restore",
}


def in_flags(text: str) -> str:
    """`text` with the flags of the command line in place of the parameters in backticks."""
    return _PARAMETER.sub(_flag, text)


def _flag(match: re.Match[str]) -> str:
    name, value = match[1], match[2] or ""
    if flag := _FLAGS.get(name + value):
        return flag
    flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
    if value in {"", "=True"}:
        return flag
    return f"{flag} {value[1:].strip(chr(39))}"
