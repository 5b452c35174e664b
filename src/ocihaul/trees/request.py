"""What a caller asks for when it names a directory or a prefix: values, no behaviour."""

from collections.abc import Callable
from dataclasses import dataclass

from ocihaul.storage.types import SseCustomerKey
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.trees.compare import Mode
from ocihaul.trees.filters import EVERYTHING, Filter

#: Asked with a name before something is replaced (`Mode.ASK`).
Confirm = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeUpload:
    """A directory to a bucket.

    `each` is the request for every file, but for its source, name and `existing`. With
    `guess_types` the content type comes from each name. `empty_directories` become objects whose
    names end with "/". `delete` removes objects (that pass `remote_filter`) without a file. With
    `checksum`, SYNC compares the content of all that has the same size, whatever its time.
    """

    root: str
    each: UploadRequest
    prefix: str = ""
    mode: Mode = Mode.ASK
    local_filter: Filter = EVERYTHING
    remote_filter: Filter = EVERYTHING
    follow_links: bool = True
    guess_types: bool = False
    empty_directories: bool = False
    checksum: bool = False
    delete: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDownload:
    """What is under a prefix to a directory. Sizes are bytes.

    With `strip_prefix` the files are called without the prefix, archived objects are left out,
    and files get their objects' times. An object larger than `part_size` and `threshold` (128 MiB
    each when None) is fetched in parts, unless `multipart` is False. `delete` removes files (that
    pass `filter`) without an object. `checksum` is as for uploads.
    """

    root: str
    namespace: str
    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    mode: Mode = Mode.ASK
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDelete:
    """All objects under a prefix that pass `filter`."""

    namespace: str
    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    filter: Filter = EVERYTHING
    parallel: int = 10
    dry_run: bool = False
