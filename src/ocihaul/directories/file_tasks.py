"""One file of a directory as a value, and what came of it: they may go to another machine and back.

What decides (walk, list, compare) and what remembers is one process; sending and fetching is
anybody's who has a storage client and sees the files.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.directories.workers import FailurePolicy
from ocihaul.errors import OcihaulError
from ocihaul.events import Listener
from ocihaul.storage.calls import Headers
from ocihaul.storage.values import ListedObject
from ocihaul.transfer.download.remote import RangeExecutor
from ocihaul.transfer.upload.remote import PartExecutor

#: What came of a file or an object.
DONE = "done"
#: It has the content of what it was compared with.
SAME = "same"
#: It has not, and nothing was sent or fetched: that was only to be compared.
DIFFERENT = "different"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SendFile:
    """A file to send. `path` is relative to the directory; a directory's ends with "/".

    `size` (bytes) and `mtime_ns` are what the walk has seen. With `compared` it is sent only if it
    differs from that object, and with `compare_only` not even then. `is_second`: another machine
    could not.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    preconditions: Headers = field(default_factory=dict)
    compared: ListedObject | None = None
    compare_only: bool = False
    is_second: bool = False

    @property
    def weight(self) -> int:
        """Bytes that it may move."""
        return self.size


@dataclass(frozen=True, slots=True)
class FetchObject:
    """An object to fetch to the relative `path`; with `compare` only if it is not that file."""

    there: ListedObject
    path: str
    compare: bool = False
    compare_only: bool = False
    is_second: bool = False

    @property
    def weight(self) -> int:
        """Bytes that it may move."""
        return self.there.size or 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: DONE, SAME, DIFFERENT, or FAILED with its `error`.

    `headers` are the service's; `mtime_ns` is the time of a file that was fetched.
    """

    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    mtime_ns: int = 0
    error: OcihaulError | None = None


Task = TypeVar("Task", SendFile, FetchObject)
T_contra = TypeVar("T_contra", contravariant=True)


class FileTasks(Protocol, Generic[T_contra]):
    """Takes tasks; what came of them is told as they end."""

    def do(self, task: T_contra) -> None:
        """Have it done; waits while there are enough under way. Raises what concerns all."""


class FileExecutor(PartExecutor, RangeExecutor, Protocol):
    """Other machines that send and fetch files, and parts of large ones.

    Each context is a run: `note` is called in the thread that calls `do`, once for each task, and
    leaving the context waits for all of them. What they do not see is given to `here` instead.
    """

    @property
    def slots(self) -> int:
        """How many parts of large files may be under way."""

    def sending(
        self,
        request: DirectoryUpload,
        note: Callable[[SendFile, Outcome], None],
        here: Callable[[SendFile], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> AbstractContextManager[FileTasks[SendFile]]:
        """Files of a directory that all of them see."""

    def fetching(
        self,
        request: DirectoryDownload,
        note: Callable[[FetchObject, Outcome], None],
        here: Callable[[FetchObject], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> AbstractContextManager[FileTasks[FetchObject]]:
        """Objects to a directory that all of them see."""
