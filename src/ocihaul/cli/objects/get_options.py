"""From the options of `os object get` to a DownloadRequest."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ocihaul.cli.option_types import AUTO, OptionalHours
from ocihaul.cli.option_values import check_required, customer_key, namespace_or_none
from ocihaul.errors import UsageError
from ocihaul.storage.names import check_bucket_name, check_object_name
from ocihaul.transfer.download.local_file import is_special, resolved
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.monitor import MOST

DEFAULT_PARALLEL = 10

#: Parameter name → what GetObject calls it, after httpResponse.
_RESPONSE_HEADERS = {
    "http_response_content_disposition": "ContentDisposition",
    "http_response_cache_control": "CacheControl",
    "http_response_content_type": "ContentType",
    "http_response_content_language": "ContentLanguage",
    "http_response_content_encoding": "ContentEncoding",
    "http_response_expires": "Expires",
}


def build_request(options: Mapping[str, Any], *, home: Path, stdout: TextIO) -> DownloadRequest:
    """The request that these options (by their parameter names) mean; raises UsageError."""
    check_required(options, "bucket_name", "name", "file")
    check_bucket_name(options["bucket_name"])
    check_object_name(options["name"])
    file, hours = str(options["file"]), options.get("restore")
    threshold = options.get("multipart_download_threshold")
    parallel = options.get("parallel_download_count")
    count = DEFAULT_PARALLEL if parallel is None else parallel
    _check_exclusions(options, to_stdout=file == "-")
    return DownloadRequest(
        namespace=namespace_or_none(options.get("namespace")) or "",
        bucket=options["bucket_name"],
        name=options["name"],
        target=_unbuffered(stdout) if file == "-" else _checked(Path(file)),
        version_id=options.get("version_id"),
        if_match=options.get("if_match"),
        if_none_match=options.get("if_none_match"),
        byte_range=options.get("range"),
        part_size=options.get("part_size"),
        threshold=threshold,
        parallel=MOST if count == AUTO else count,
        adaptive=count == AUTO,
        multipart=not options.get("no_multipart"),
        verify=not options.get("no_verify_checksum"),
        restart=bool(options.get("restart")),
        wait=not options.get("no_wait"),
        restore=hours is not None,
        restore_hours=None if hours == OptionalHours.DEFAULT else hours,
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        response_headers={
            name: options[parameter]
            for parameter, name in _RESPONSE_HEADERS.items()
            if options.get(parameter) is not None
        },
    )


def _check_exclusions(options: Mapping[str, Any], *, to_stdout: bool) -> None:
    for flag in ("restart", "no_wait"):
        if to_stdout and options.get(flag):
            raise UsageError(
                f"--{flag.replace('_', '-')} is for files: nothing is kept of what goes to stdout",
                hint="Leave it out.",
            )


def _checked(path: Path) -> Path:
    """`path`, if it can be a file; raises UsageError before anything else is done."""
    if os.path.isdir(path) or not is_special(path):  # noqa: PTH112  never raises, as is_dir may
        resolved(path)
    return path


def _unbuffered(stdout: TextIO) -> BinaryIO:
    """The bytes below a text stream: what is written is out, and nothing is left to flush."""
    try:
        return io.FileIO(stdout.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:  # it is no file at all
        return stdout.buffer
