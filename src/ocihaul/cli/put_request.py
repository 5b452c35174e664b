"""From the options of `os object put` to an UploadRequest.

What belongs here: which options exclude each other, what a value has to look like, and the files
that options name. The limits of the service (part sizes, counts) are the core's business: sizes
are only converted here.
"""

import mimetypes
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocihaul.cli.option_types import AUTO
from ocihaul.cli.option_values import check_required, customer_key, metadata, namespace_or_none
from ocihaul.cli.units import MIB
from ocihaul.errors import UsageError
from ocihaul.transfer.request import Existing, UploadRequest
from ocihaul.transfer.steering import MOST

DEFAULT_PARALLEL = 10

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
    check_required(options, "bucket_name", "file")
    _check_exclusions(options)
    file, name = str(options["file"]), options.get("name") or ""
    if file == "-":
        _refuse_stdin(name)
    source = check_source(Path(file))
    part_size = options.get("part_size")
    as_they_are: dict[str, Any] = {key: options.get(key) for key in _AS_THEY_ARE}
    return UploadRequest(
        source=source,
        namespace=namespace_or_none(options.get("namespace")) or "",
        bucket=options["bucket_name"],
        name=name or source.name,
        existing=_existing(options),
        restart=bool(options.get("restart")),
        wait=not options.get("no_wait"),
        multipart=not options.get("no_multipart"),
        part_size=None if part_size is None else part_size * MIB,
        parallel=_parallel(options),
        adaptive=options.get("parallel_upload_count") == AUTO,
        verify_checksum=bool(options.get("verify_checksum")),
        checksum_algorithm=options.get("opc_checksum_algorithm"),
        content_crc32c=options.get("opc_content_crc32c"),
        content_sha256=options.get("opc_content_sha256"),
        content_sha384=options.get("opc_content_sha384"),
        content_type=_content_type(options.get("content_type"), source),
        kms_key_id=options.get("opc_sse_kms_key_id"),
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        metadata=metadata(options.get("metadata"), home),
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


def _existing(options: Mapping[str, Any]) -> Existing:
    if options.get("force"):  # as in the stock CLI: it wins over --no-overwrite
        return Existing.REPLACE
    return Existing.KEEP if options.get("no_overwrite") else Existing.ASK


def _parallel(options: Mapping[str, Any]) -> int:
    if options.get("disable_parallel_uploads"):
        return 1
    count = options.get("parallel_upload_count")
    if count == AUTO:
        return MOST
    return DEFAULT_PARALLEL if count is None else int(count)


def _content_type(value: str | None, source: Path) -> str | None:
    return mimetypes.guess_type(source.name)[0] if value == "auto" else value
