"""From the options of `os object put` to an UploadRequest.

What belongs here: which options exclude each other, what a value has to look like, and the files
that options name. The limits of the service (part sizes, counts) are the core's business: sizes
are only converted here.
"""

import io
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from ocihaul.cli.invocation import is_terminal
from ocihaul.cli.options import (
    AUTO,
    check_required,
    customer_key,
    metadata,
    namespace_or_none,
    refuse_both,
)
from ocihaul.cli.process import mimics_official_cli
from ocihaul.config.settings import Found, size
from ocihaul.config.sources import expand_home
from ocihaul.errors import SourceError, UsageError
from ocihaul.transfer.monitor import MOST
from ocihaul.transfer.upload.request import (
    DEFAULT_MEMORY_LIMIT,
    IfExists,
    UploadRequest,
    guess_content_type,
)

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
    _check_md5(options.get("content_md5"))
    file, name = str(options["file"]), options.get("name") or ""
    source = check_source(_path(file))
    piped = is_piped(source)
    if piped and not name:
        name = _name_of_pipe(source)
    limit, spool = _bytes(options, "memory_limit"), options.get("spool_dir")
    as_they_are: dict[str, Any] = {key: options.get(key) for key in _AS_THEY_ARE}
    return UploadRequest(
        source=source,
        namespace=namespace_or_none(options.get("namespace")) or "",
        bucket=options["bucket_name"],
        name=name or source.name,
        existing=_existing(options),
        restart=bool(options.get("restart")),
        outlive_session=bool(options.get("outlive_session")),
        wait=not options.get("no_wait"),
        receipt=Path(options["receipt"]) if options.get("receipt") else None,
        multipart=not options.get("no_multipart"),
        part_size=options.get("part_size"),
        parallel=_parallel(options),
        adaptive=options.get("parallel_upload_count") == AUTO,
        verify_checksum=bool(options.get("verify_checksum")),
        checksum_algorithm=options.get("opc_checksum_algorithm"),
        content_crc32c=options.get("opc_content_crc32c"),
        content_sha256=_sha256(options),
        content_sha384=options.get("opc_content_sha384"),
        content_type=_content_type(options, Path(name) if piped else source),
        kms_key_id=options.get("opc_sse_kms_key_id"),
        sse_customer_key=customer_key(options.get("encryption_key_file"), home),
        metadata=metadata(options.get("metadata"), home),
        expected_size=_bytes(options, "expected_size"),
        allow_empty=bool(options.get("allow_empty")) or mimics_official_cli(),
        memory_limit=DEFAULT_MEMORY_LIMIT if limit is None else limit,
        spool_dir=None if spool is None else expand_home(spool, home),
        **as_they_are,
    )


def _path(file: str) -> Path:
    path = Path(file)
    # `-` is stdin, `./-` a file; a Path of both says `-`.
    return path if file == STDIN or str(path) != STDIN else path.absolute()


def check_source(path: Path) -> Path:
    """`path`, if it can be read; raises UsageError saying what it is instead.

    A pipe is not opened yet: its writer may not be there.
    """
    if is_piped(path):
        return path
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
        f"--file: {path} is neither a regular file nor a pipe",
        hint=f"Pipe its content in: cat {path} | ocihaul os object put --file - …",
    )


def _check_exclusions(options: Mapping[str, Any]) -> None:
    for flag, other in (
        ("force", "no_overwrite"),
        ("if_exists", "force"),
        ("if_exists", "no_overwrite"),
        ("part_size", "no_multipart"),
        ("parallel_upload_count", "no_multipart"),
        ("parallel_upload_count", "disable_parallel_uploads"),
    ):
        refuse_both(options, flag, other)


def _name_of_pipe(source: Path) -> str:
    if str(source) == STDIN or source.is_relative_to("/dev") or source.is_relative_to("/proc"):
        raise UsageError(
            f"--file {source} has no name that an object could have: --name is missing",
            hint="Say --name NAME.",
        )
    return source.name


def _sha256(options: Mapping[str, Any]) -> str | None:
    """The expected SHA-256 in base64, from either of its options."""
    official: str | None = options.get("opc_content_sha256")
    ours: str | None = options.get("expected_sha256")
    if ours is None:
        return official
    try:
        digest = bytes.fromhex(ours) if len(ours) == 64 else b64decode(ours, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise UsageError(
            f"--expected-sha256 {ours!r} is no SHA-256",
            hint="It has 64 hexadecimal digits, as sha256sum prints them, or 44 of base64.",
        )
    encoded = b64encode(digest).decode()
    if official not in {None, encoded}:
        raise UsageError("--expected-sha256 and --opc-content-sha256 are not the same")
    return encoded


def _bytes(options: Mapping[str, Any], name: str) -> int | None:
    value = options.get(name)
    return None if value is None else int(size(Found(str(value), f"--{name.replace('_', '-')}")))


def _check_md5(value: str | None) -> None:
    """Raise UsageError, in the service's words, for an MD5 that nothing can have."""
    try:
        sound = value is None or len(b64decode(value, validate=True)) == 16
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(
            f"The value of the Content-MD5 header is no MD5 in base64: --content-md5 {value!r}",
            hint="It has 24 characters, as: openssl dgst -md5 -binary FILE | base64",
        )


def _existing(options: Mapping[str, Any]) -> IfExists:
    word = options.get("if_exists")
    if options.get("force") or word == "replace":
        return IfExists.REPLACE
    if options.get("no_overwrite") or word in {"keep", "keep-same"}:
        return IfExists.KEEP
    return IfExists.ASK


def _parallel(options: Mapping[str, Any]) -> int:
    if options.get("disable_parallel_uploads"):
        return 1
    count = options.get("parallel_upload_count")
    if count == AUTO:
        return MOST
    return DEFAULT_PARALLEL if count is None else int(count)


def _content_type(options: Mapping[str, Any], source: Path) -> str | None:
    value: str | None = options.get("content_type")
    if value != "auto":
        return value
    return guess_content_type(source.name, options.get("content_encoding"))


STDIN = "-"
_STDIN_PATHS = frozenset({STDIN, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def is_piped(path: Path) -> bool:
    """Whether this is read as a stream: `-`, /dev/stdin, or a named pipe."""
    if str(path) in _STDIN_PATHS:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def reads_stdin(request: UploadRequest) -> bool:
    """Whether stdin is the data, so that nobody can be asked there."""
    return str(request.source) in _STDIN_PATHS


@contextmanager
def piped(request: UploadRequest, stdin: TextIO | None) -> Iterator[UploadRequest]:
    """The request with its stream, if it is of one; raises UsageError and SourceError."""
    if not is_piped(request.source):
        yield request
        return
    with _of_stdin(stdin) if reads_stdin(request) else _of_pipe(request.source) as stream:
        yield replace(
            request,
            stream=stream,
            expected_size=_expected(request, stream),
            allow_empty=request.allow_empty or _has_no_producer(stream),
        )


def _of_stdin(stdin: TextIO | None) -> io.FileIO:
    if is_terminal(stdin):
        raise UsageError(
            "--file - reads stdin, which is a terminal: nothing is piped in",
            hint="Pipe something in, such as: tar -c DIRECTORY | ocihaul os object put --file - …",
        )
    try:
        if stdin is None:
            raise ValueError("stdin is closed")
        return io.FileIO(stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--file - reads stdin, and that is not possible: {error}",
            hint="Pipe something in.",
        ) from None


def _of_pipe(path: Path) -> io.FileIO:
    """Open without waiting for a writer: the upload waits for it, and hears a stop meanwhile."""
    try:
        return io.FileIO(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}",
            hint="Check that the user running this may read it.",
        ) from error


def _has_no_producer(stream: io.FileIO) -> bool:
    """Whether this is a file or a device, such as /dev/null: nothing that could have failed."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISCHR(mode)


def _expected(request: UploadRequest, stream: io.FileIO) -> int | None:
    """What is said, or how much is left of a regular file that stdin was redirected from."""
    if request.expected_size is not None:
        return request.expected_size
    try:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # /proc says 0
            return None
        return max(0, status.st_size - stream.tell())
    except OSError:
        return None
