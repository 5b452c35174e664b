"""What several commands have to know about the values of their options: checks and conversions."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocihaul.cli.defaults import json_object
from ocihaul.config.settings import Found, duration
from ocihaul.config.sources import expand_home
from ocihaul.documents import DocumentError, read_text
from ocihaul.errors import UsageError
from ocihaul.redaction import hold_misplaced
from ocihaul.storage.values import SseCustomerKey

_PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
#: A key's base64 text has 44 characters; what is much longer is another file.
_LONGEST_KEY = 64 * 1024
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")


def check_required(options: Mapping[str, Any], *names: str) -> None:
    """Raise UsageError when one of `names` (parameter names) has no value from anywhere."""
    missing = [f"--{name.replace('_', '-')}" for name in names if not options.get(name)]
    if missing:
        raise UsageError(
            f"Missing option(s) {', '.join(missing)}.",
            hint=f"Give {'it' if len(missing) == 1 else 'them'} on the command line, in "
            "--from-json, or as a default in oci_cli_rc.",
        )


def refuse_both(options: Mapping[str, Any], one: str, other: str) -> None:
    """Raise UsageError when two options (parameter names) are given that exclude each other."""
    if all(options.get(name) not in (None, False, ()) for name in (one, other)):
        first, second = (f"--{name.replace('_', '-')}" for name in (one, other))
        raise UsageError(
            f"{first} and {second} exclude each other",
            hint="Leave one out, on the command line or in the rc file.",
        )


def namespace_or_none(value: str | None) -> str | None:
    """A namespace as it may be written; None where none is given: then the service is asked."""
    if value is None:
        return None
    if not _NAMESPACE.fullmatch(value):
        raise UsageError(
            f"--namespace {value!r} must contain only letters, digits, underscores, hyphens, "
            "and periods",
            hint="Leave it out, and the service is asked for it.",
        )
    return value


def age(value: str | None, option: str = "--older-than") -> float:
    """The seconds of `--older-than`, or another option; raises UsageError.

    A number without a unit is refused, too.

    Who writes 7 means days, and seconds would drop nearly everything.
    """
    name = option.removeprefix("--").replace("-", "_")
    check_required({name: value}, name)
    text = str(value).strip()
    if _PLAIN_NUMBER.fullmatch(text) and text.strip("0."):
        raise UsageError(f"{option}: {text} has no unit", hint="Write it as 7d or 12h.")
    return duration(Found(text, option))


def customer_key(file: str | None, home: Path) -> SseCustomerKey | None:
    """The customer's key in `file`; raises UsageError when it cannot be read or is none."""
    if file is None:
        return None
    if hold_misplaced(file):
        raise UsageError(
            "--encryption-key-file: this looks like the key itself, not like a file",
            hint="Put it in a file with mode 600, and name that; and make a new key, as others on "
            "this machine may have seen this one in the list of processes.",
        )
    path = expand_home(file, home)
    try:
        text = read_text(path, most=_LONGEST_KEY, errors="replace")
    except (OSError, DocumentError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {error}"
        raise UsageError(
            f"--encryption-key-file: {path} cannot be read: {reason}",
            hint="Name the file with the base64 text of the AES-256 key.",
        ) from None
    return SseCustomerKey.from_text(text, where=f"--encryption-key-file {os.fspath(path)}")


def metadata(value: Any, home: Path) -> dict[str, str]:
    """Plain names and texts of `--metadata`; raises UsageError."""
    if value is None:
        return {}
    parsed = json_object(value, what="--metadata", home=home) if isinstance(value, str) else value
    if not isinstance(parsed, dict) or not all(isinstance(each, str) for each in parsed.values()):
        raise UsageError(
            "--metadata: every value has to be a string",
            hint='It has the form \'{"key1": "value1", "key2": "value2"}\'.',
        )
    return {key.lower().removeprefix("opc-meta-"): text for key, text in parsed.items()}
