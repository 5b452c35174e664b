"""What a caller asks for when it names a directory or a prefix: values, made from options; pure.

`include` and `exclude` say which names belong to the work. As in the official CLI they are shell
patterns, of which "*" matches "/" too, against the path below the directory (or the bucket). With a
`prefix` that has a "/", a pattern also counts behind it. An absolute pattern is compared with the
absolute path.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocihaul.directories.compare import SyncMode
from ocihaul.directories.listing import Wanted
from ocihaul.directories.names import sort_key
from ocihaul.directories.shards import WHOLE, Shard, parse_shard
from ocihaul.errors import UsageError
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.upload.request import UploadRequest

#: No pattern is longer, characters.
LONGEST_PATTERN = 4096


def _any(patterns: Sequence[str]) -> re.Pattern[str] | None:
    texts = [fnmatch.translate(os.path.normcase(each)) for each in patterns]
    return re.compile("|".join(f"(?:{text})" for text in texts)) if texts else None


class Filter:
    """Whether relative paths belong to the work. Immutable."""

    def __init__(
        self, patterns: Sequence[str] = (), *, include: bool = False, root: str = ""
    ) -> None:
        self._relative = _any([each for each in patterns if not each.startswith("/")])
        self._absolute = _any([each for each in patterns if each.startswith("/")])
        self._include = include
        self._root = root

    def __call__(self, path: str) -> bool:
        """Whether `path` belongs to the work."""
        path = os.path.normcase(path)
        found = self._relative is not None and self._relative.match(path)
        if not found and self._absolute is not None:
            found = self._absolute.match(os.path.join(self._root, path))  # noqa: PTH118  text
        return bool(found) is self._include

    def may_hold(self, directory: str) -> bool:
        """Whether something in this directory, which ends with "/", may belong to the work."""
        return self._include or self(directory)


#: The filter without patterns.
EVERYTHING = Filter()


def make_filter(
    include: Sequence[str], exclude: Sequence[str], *, root: str, prefix: str = ""
) -> Filter:
    """The filter for paths below `root`.

    Raises UsageError when both kinds are given, or for a pattern that no path is as long as: the
    time that a pattern takes grows with the square of its length.
    """
    if include and exclude:
        raise UsageError("`include` and `exclude` exclude each other", hint="Leave one out.")
    if not include and not exclude:
        return EVERYTHING
    patterns = list(include or exclude)
    if "/" in prefix:
        patterns += [os.path.join(prefix, each) for each in patterns]  # noqa: PTH118  text
    longest = max(map(len, patterns))
    if longest > LONGEST_PATTERN:
        raise UsageError(
            f"`include` and `exclude`: a pattern of {longest} characters (at most "
            f"{LONGEST_PATTERN}, with the prefix before it)",
            hint="A name has at most 1,024 bytes.",
        )
    return Filter(patterns, include=bool(include), root=root)


#: Asked with a name before something is replaced (`SyncMode.ASK`); None for no answer at all.
ConfirmReplacement = Callable[[str], bool | None]
#: Asked with the number of objects before any of them is deleted.
ConfirmDeletion = Callable[[int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUpload:
    """A directory to a bucket.

    `each` is the request for every file, but for its source, name and `existing`. With
    `guess_types` the content type comes from each name. `empty_directories` become objects whose
    names end with "/". `delete` removes objects (that pass `remote_filter`) without a file. With
    `checksum`, SYNC compares the content of all that has the same size, whatever its time. Names
    of other shards than `shard` are neither sent nor deleted.
    """

    root: str
    each: UploadRequest
    prefix: str = ""
    mode: SyncMode = SyncMode.ASK
    local_filter: Filter = EVERYTHING
    remote_filter: Filter = EVERYTHING
    follow_links: bool = True
    guess_types: bool = False
    empty_directories: bool = False
    checksum: bool = False
    delete: bool = False
    dry_run: bool = False
    shard: Shard = WHOLE

    @property
    def parallel(self) -> int:
        """How many files, or parts of large ones, go at a time."""
        return self.each.parallel

    @property
    def wanted(self) -> Wanted | None:
        """What tells the paths of this shard's files; None where all are."""
        if self.shard.is_whole:
            return None
        prefix, shard = sort_key(self.prefix), self.shard
        return lambda path: shard.holds(prefix + path)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryDownload:
    """What is under a prefix to a directory. Sizes are bytes.

    With `strip_prefix` the files are called without the prefix, archived objects are left out,
    and files get their objects' times. An object larger than `part_size` and `threshold` (128 MiB
    each when None) is fetched in parts, unless `multipart` is False. `delete` removes files (that
    pass `filter`) without an object. `checksum` and `shard` are as for uploads; a file belongs to
    the shard of the object that it would be.
    """

    root: str
    namespace: str
    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    mode: SyncMode = SyncMode.ASK
    filter: Filter = EVERYTHING
    follow_links: bool = True
    strip_prefix: bool = False
    checksum: bool = False
    delete: bool = False
    dry_run: bool = False
    multipart: bool = True
    part_size: int | None = None
    threshold: int | None = None
    parallel: int = 10
    sse_customer_key: SseCustomerKey | None = None
    shard: Shard = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryDelete:
    """All objects under a prefix that pass `filter` and belong to `shard`."""

    namespace: str
    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    filter: Filter = EVERYTHING
    parallel: int = 10
    dry_run: bool = False
    shard: Shard = WHOLE


Request = DirectoryUpload | DirectoryDownload | DirectoryDelete


def upload_of(
    root: str, bucket: str, prefix: str, namespace: str, options: Mapping[str, Any]
) -> DirectoryUpload:
    """The request of `ocihaul.options.DirectoryUploadOptions`. Raises UsageError."""
    of_run, each = _split(options)
    shard = parse_shard(of_run.pop("shard"), os.environ)
    guess_types = each.get("content_type") == "auto"
    if guess_types:
        each["content_type"] = None
    include, exclude = of_run.pop("include"), of_run.pop("exclude")
    return DirectoryUpload(
        root=root,
        each=UploadRequest(
            source=Path(root),
            name="-",
            namespace=namespace,
            bucket=bucket,
            parallel=of_run.pop("parallel"),
            **each,
        ),
        prefix=prefix,
        local_filter=make_filter(include, exclude, root=root),
        remote_filter=make_filter(include, exclude, root=bucket, prefix=prefix),
        guess_types=guess_types,
        empty_directories=True,
        shard=shard,
        **of_run,
    )


def download_of(
    bucket: str, root: str, prefix: str, namespace: str, options: Mapping[str, Any]
) -> DirectoryDownload:
    """The request of `ocihaul.options.DirectoryDownloadOptions`. Raises UsageError."""
    of_run, each = _split(options)
    shard = parse_shard(of_run.pop("shard"), os.environ)
    include, exclude = of_run.pop("include"), of_run.pop("exclude")
    return DirectoryDownload(
        root=root,
        namespace=namespace,
        bucket=bucket,
        prefix=prefix,
        filter=make_filter(include, exclude, root=root, prefix=prefix),
        strip_prefix=True,
        shard=shard,
        **of_run,
        **each,
    )


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is asked of the run, with what is not given, and what of each file."""
    of_run: dict[str, Any] = {
        "mode": SyncMode.SYNC,
        "include": (),
        "exclude": (),
        "checksum": False,
        "delete": False,
        "dry_run": False,
        "parallel": 10,
        "follow_links": True,
        "shard": None,
    }
    each = {name: value for name, value in options.items() if name not in of_run}
    return of_run | {name: options[name] for name in options if name in of_run}, each
