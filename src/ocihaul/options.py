"""What a caller may ask of a transfer, by name and type; checked where a call comes in.

Sizes are bytes, durations seconds. What is not given has the default that is said here.
"""

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypedDict, Union, get_args, get_origin, get_type_hints

from ocihaul.directories.compare import SyncMode
from ocihaul.errors import UsageError
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.upload.request import IfExists


class ProfileOptions(TypedDict, total=False):
    """Which profile, where, and how: what `Client.from_profile` takes, and says what it means."""

    profile: str | None
    config_file: str | Path | None
    auth: str | None
    region: str | None
    endpoint: str | None
    auth_endpoint: str | None
    allow_plain_http: bool
    renew_with: str | None
    session_wait: float
    connection_timeout: float | None
    read_timeout: float | None
    max_attempts: int | None
    bandwidth: str | None
    proxy: str | None
    cert_bundle: str | Path | None


class ObjectOptions(TypedDict, total=False):
    """What an upload can say of each object, one or many.

    `part_size` is bytes (None: 10 to 128 MiB by the size of the file and `parallel`, in a directory
    128 MiB; more where 10,000 parts would not do); `multipart` (True)
    allows parts at all; `verify_checksum` (False) compares an MD5 as well. `metadata` has plain
    keys. `storage_tier` is Standard, InfrequentAccess or Archive (None: the bucket's).
    """

    part_size: int | None
    multipart: bool
    verify_checksum: bool
    metadata: Mapping[str, str]
    storage_tier: str | None
    content_type: str | None
    content_language: str | None
    content_encoding: str | None
    content_disposition: str | None
    cache_control: str | None
    kms_key_id: str | None
    sse_customer_key: SseCustomerKey | None


class UploadOptions(ObjectOptions, total=False):
    """What the upload of one file or stream can be asked.

    `existing` (IfExists.ASK: raise ObjectExistsError) says what becomes of an object that is there.
    `parallel` (10) parts go at a time, with `adaptive` (False) at most so many. `resume` (True)
    goes on with what an earlier run has begun, `restart` (False) drops it; `wait` (True) waits for
    another process at the same object. `receipt` is a file for the proof. `expected_size` and the
    `content_*` checksums (base64) refuse anything else. `outlive_session` (False) sends the parts
    through a pre-authenticated request, made for `expected_rate` bytes per second. Of a stream at
    most `memory_limit` bytes (256 MiB) wait in memory, the rest in `spool_dir`.
    """

    existing: IfExists
    if_match: str | None
    parallel: int
    adaptive: bool
    resume: bool
    restart: bool
    wait: bool
    receipt: str | Path | None
    upload_id: str | None
    content_md5: str | None
    checksum_algorithm: str | None
    content_crc32c: str | None
    content_sha256: str | None
    content_sha384: str | None
    expected_size: int | None
    memory_limit: int
    spool_dir: str | Path | None
    outlive_session: bool
    expected_rate: float | None


class DirectoryOptions(TypedDict, total=False):
    """What a whole directory can be asked, in either direction.

    `mode` (SyncMode.SYNC) says what becomes of what is there. `include` or `exclude` are shell
    patterns for paths, of which "*" matches "/" too. `checksum` (False) compares the content of
    everything that has the same size, whatever its time. `delete` (False) deletes what the source
    does not have, and nothing where the source is empty. `dry_run` (False) only counts. `parallel`
    (10) files or parts go at a time, or fewer where the service asks for that or, of small files,
    the processor is full; with `adaptive` (False) at most so many. `follow_links` (True) follows
    symbolic links. `shard` (None: all names) is "I/N", counted from 0, or "auto" in an indexed
    Kubernetes Job or a Slurm array: only the names of that shard are done.
    """

    mode: SyncMode
    include: Iterable[str]
    exclude: Iterable[str]
    checksum: bool
    delete: bool
    dry_run: bool
    parallel: int
    adaptive: bool
    follow_links: bool
    shard: str | None


class DirectoryUploadOptions(DirectoryOptions, ObjectOptions, total=False):
    """What the upload of a directory can be asked; `content_type` "auto" guesses by each name."""


class DirectoryDownloadOptions(DirectoryOptions, total=False):
    """What the download of a directory can be asked.

    Objects of more than `part_size` bytes (128 MiB) are fetched in parts, unless `multipart`
    (True) is False.
    """

    part_size: int | None
    multipart: bool
    sse_customer_key: SseCustomerKey | None


class DownloadOptions(TypedDict, total=False):
    """What the download of one object can be asked.

    `byte_range` is written as in HTTP ("bytes=0-99"). An object larger than `threshold` (None: two
    parts) and than `part_size` (None: 10 to 128 MiB, by its size) is fetched in `parallel` (10)
    ranges at a time, the last ones smaller; with `adaptive` (False) at most so many, unless
    `multipart` (True) is False. `verify` (True) compares what came
    with the object's checksum. `restore` (False) asks for an archived object and waits for it,
    for `restore_hours` (None: the service's 24). `restart` (False) drops what an earlier run has
    fetched; `wait` (True) waits for another process at the same file. `response_headers` are
    GetObject's httpResponse… parameters by the rest of their names, such as ContentType.
    """

    version_id: str | None
    if_match: str | None
    if_none_match: str | None
    byte_range: str | None
    part_size: int | None
    threshold: int | None
    parallel: int
    adaptive: bool
    multipart: bool
    verify: bool
    restart: bool
    wait: bool
    restore: bool
    restore_hours: int | None
    sse_customer_key: SseCustomerKey | None
    response_headers: Mapping[str, str]


def checked(options: Mapping[str, Any], allowed: type) -> dict[str, Any]:
    """The options, if each is one of `allowed` (one of the classes above) and of its type.

    Raises UsageError that names the option, what it was given and what it takes.
    """
    types = get_type_hints(allowed)
    settled = {}
    for name, given in options.items():
        if name not in types:
            near = difflib.get_close_matches(name, types, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(types)}."
            raise UsageError(f"there is no option {name!r}", hint=hint)
        kinds = _kinds(types[name])
        value = _patterns(given) if kinds == _PATTERNS else given
        if not any(_is_a(value, kind) for kind in kinds):
            wanted = " or ".join(_word(kind) for kind in kinds)
            raise UsageError(f"{name}: {value!r} is no {wanted}", hint=_hint(name, kinds))
        settled[name] = value
    return settled


_PATTERNS = (Iterable[str],)

#: For those options that people give in the command line's units.
_HINTS = {
    "part_size": "A part size is a number of bytes: 128 MiB are 128 * 2**20.",
    "threshold": "It is a number of bytes: 128 MiB are 128 * 2**20.",
    "memory_limit": "It is a number of bytes: 256 MiB are 256 * 2**20.",
}


def _hint(name: str, kinds: Iterable[Any]) -> str | None:
    """What can be given: units, or the values of an enumeration."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Enum):
            return f"It can be {', '.join(str(each) for each in kind)} of the package ocihaul."
    return _HINTS.get(name)


def _kinds(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(get_args(annotation))
    return (annotation,)


def _is_a(value: object, kind: Any) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if get_origin(kind) is Mapping:
        return isinstance(value, Mapping) and _all_texts(chain(value, value.values()))
    if get_origin(kind) is Iterable:
        return isinstance(value, tuple) and _all_texts(value)
    return isinstance(value, kind)


def _patterns(given: object) -> object:
    """One text is one pattern, and what can be iterated over only once is kept."""
    if isinstance(given, str):
        return (given,)
    return tuple(given) if isinstance(given, Iterable) else given


def _all_texts(values: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _word(kind: Any) -> str:
    words = {NoneType: "None", int: "integer", float: "number", str: "text", bool: "bool"}
    if get_origin(kind) is Mapping:
        return "mapping of texts to texts"
    if get_origin(kind) is Iterable:
        return "list of texts"
    return words.get(kind, getattr(kind, "__name__", str(kind)))
