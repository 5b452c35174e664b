"""From the options of `os object put` to an UploadRequest.

What belongs here: which options exclude each other, what a value has to look like, and the files
that options name. The limits of the service (part sizes, counts) are the core's business: sizes
are only converted here.
"""

import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocihaul.cli.defaults import json_object
from ocihaul.cli.units import MIB
from ocihaul.config.rcfile import expand_home
from ocihaul.errors import UsageError
from ocihaul.storage.types import SseCustomerKey
from ocihaul.transfer.request import Existing, UploadRequest

DEFAULT_PARALLEL = 10

_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")
_AS_THEY_ARE = (
    "if_match",
    "content_md5",
    "content_language",
    "content_encoding",
    "content_disposition",
    "cache_control",
    "storage_tier",
)


def build_request(options: Mapping[str, Any], *, home: Path) -> UploadRequest:
    """The request that these options (by their parameter names) mean; raises UsageError."""
    _check_required(options)
    _check_exclusions(options)
    file, name = str(options["file"]), options.get("name") or ""
    if file == "-":
        _refuse_stdin(name)
    source = check_source(Path(file))
    part_size = options.get("part_size")
    as_they_are: dict[str, Any] = {key: options.get(key) for key in _AS_THEY_ARE}
    return UploadRequest(
        source=source,
        namespace=_namespace(options.get("namespace")),
        bucket=options["bucket_name"],
        name=name or source.name,
        existing=_existing(options),
        restart=bool(options.get("restart")),
        wait=not options.get("no_wait"),
        multipart=not options.get("no_multipart"),
        part_size=None if part_size is None else part_size * MIB,
        parallel=_parallel(options),
        verify_checksum=bool(options.get("verify_checksum")),
        checksum_algorithm=options.get("opc_checksum_algorithm"),
        content_crc32c=options.get("opc_content_crc32c"),
        content_sha256=options.get("opc_content_sha256"),
        content_sha384=options.get("opc_content_sha384"),
        content_type=_content_type(options.get("content_type"), source),
        kms_key_id=options.get("opc_sse_kms_key_id"),
        sse_customer_key=_customer_key(options.get("encryption_key_file"), home),
        metadata=_metadata(options.get("metadata"), home),
        **as_they_are,
    )


def check_source(path: Path) -> Path:
    """`path`, if it is a file that can be read; raises UsageError saying what it is instead."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb"):
                return path
    except OSError as error:
        raise UsageError(
            f"--file: {path} cannot be read: {error.strerror}",
            hint="Correct the path; in a container, check the mount and the user it runs as.",
        ) from None
    if stat.S_ISDIR(mode):
        raise UsageError(
            f"--file: {path} is a directory",
            hint="Name one file; a directory can be packed first, with tar.",
        )
    raise UsageError(
        f"--file: {path} is not a regular file", hint="Write its content to a file first."
    )


def _check_required(options: Mapping[str, Any]) -> None:
    missing = [
        flag
        for flag, name in (("--bucket-name", "bucket_name"), ("--file", "file"))
        if not options.get(name)
    ]
    if missing:
        raise UsageError(
            f"missing: {', '.join(missing)}",
            hint="Give it on the command line, in --from-json, or as a default in oci_cli_rc.",
        )


def _check_exclusions(options: Mapping[str, Any]) -> None:
    for flag, other in (
        ("part_size", "no_multipart"),
        ("parallel_upload_count", "no_multipart"),
        ("parallel_upload_count", "disable_parallel_uploads"),
    ):
        if options.get(flag) is not None and options.get(other):
            first, second = (f"--{name.replace('_', '-')}" for name in (flag, other))
            raise UsageError(f"{first} and {second} exclude each other", hint="Leave one out.")


def _refuse_stdin(name: str) -> None:
    if not name:
        raise UsageError(
            "--file - reads from stdin, which has no name: --name is missing",
            hint="Say --name NAME.",
        )
    raise UsageError(
        "--file -: uploading from a pipe is not supported yet",
        hint="Write the data to a file first, and name that.",
    )


def _namespace(value: str | None) -> str:
    """Empty where none is given: then the service is asked."""
    if value is None:
        return ""
    if not _NAMESPACE.fullmatch(value):
        raise UsageError(
            f"--namespace {value!r} must contain only letters, digits, underscores, hyphens, "
            "and periods",
            hint="Leave it out, and the service is asked for it.",
        )
    return value


def _existing(options: Mapping[str, Any]) -> Existing:
    if options.get("force"):  # as in the stock CLI: it wins over --no-overwrite
        return Existing.REPLACE
    return Existing.KEEP if options.get("no_overwrite") else Existing.ASK


def _parallel(options: Mapping[str, Any]) -> int:
    if options.get("disable_parallel_uploads"):
        return 1
    count: int | None = options.get("parallel_upload_count")
    return DEFAULT_PARALLEL if count is None else count


def _content_type(value: str | None, source: Path) -> str | None:
    return mimetypes.guess_type(source.name)[0] if value == "auto" else value


def _customer_key(file: str | None, home: Path) -> SseCustomerKey | None:
    if file is None:
        return None
    path = expand_home(file, home)
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(
            f"--encryption-key-file: {path} cannot be read: {error.strerror}",
            hint="Name the file with the base64 text of the AES-256 key.",
        ) from None
    return SseCustomerKey.from_text(text, where=f"--encryption-key-file {os.fspath(path)}")


def _metadata(value: Any, home: Path) -> dict[str, str]:
    if value is None:
        return {}
    parsed = json_object(value, what="--metadata", home=home) if isinstance(value, str) else value
    if not isinstance(parsed, dict) or not all(isinstance(each, str) for each in parsed.values()):
        raise UsageError(
            "--metadata: every value has to be a string",
            hint='It has the form \'{"key1": "value1", "key2": "value2"}\'.',
        )
    return {key.lower().removeprefix("opc-meta-"): text for key, text in parsed.items()}
