"""Parts of one upload by other machines: what they need to know, and what is asked of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.upload.request import UploadRequest


@dataclass(frozen=True, slots=True)
class RemoteUpload:
    """A multipart upload that is under way; `declared` is the checksum that the service is told."""

    request: UploadRequest
    upload_id: str
    declared: str


#: Offset and length of each part by its number, bytes.
Parts = Mapping[int, tuple[int, int]]


class PartTasks(Protocol):
    """Sends parts of one upload."""

    def send(self, parts: Parts, *, elsewhere: bool = False) -> dict[int, SentPart]:
        """Send them; with `elsewhere`, not by the machine that has sent that part before."""


class PartExecutor(Protocol):
    """Other machines that see the file."""

    def check_file(self, path: Path) -> None:
        """Raise SourceError, which names each machine that does not see the same file."""

    def sending_parts(
        self, upload: RemoteUpload, told: Callable[[int, SentPart, int], None]
    ) -> AbstractContextManager[PartTasks]:
        """`told` hears of each part: its number, what it is, and how many bytes were sent for it.

        Raises SourceError, which names each machine that does not see the same file.
        """
