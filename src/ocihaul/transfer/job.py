"""One upload in hand: what was asked, what was planned, and the tools that it works with."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import checksum
from ocihaul.transfer.body import digest_range
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5, SHA256, SHA384
from ocihaul.transfer.integrity import Integrity
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.plan import Plan
from ocihaul.transfer.request import UploadRequest, UploadResult
from ocihaul.transfer.sending import Headers, RangeSender
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.target import TargetObject


@dataclass(slots=True)
class Job:
    """The context of one upload. `started` is monotonic seconds.

    `kept_bytes` are the bytes of parts that an earlier run has left at the service. `pace` says
    how many parts go at a time, None: as many as the request says.
    """

    storage: StorageClient
    request: UploadRequest
    source: FileSource
    plan: Plan
    listener: Listener
    stop: threading.Event
    integrity: Integrity
    target: TargetObject = field(init=False)
    sender: RangeSender = field(init=False)
    started: float = field(default_factory=time.monotonic)
    kept_bytes: int = 0
    pace: Pace | None = None

    def __post_init__(self) -> None:
        self.target = TargetObject(self.storage, self.request)
        self.sender = RangeSender(self.source, self.integrity, listener=self.listener)

    def reread(self, algorithm: str) -> bytes:
        """A checksum of the whole source by reading it once more."""
        return digest_range(self.source, 0, self.plan.size, algorithm)

    def check_announced(self) -> None:
        """A multipart upload cannot carry checksums of the whole file: compare them here."""
        for algorithm, value in announced(self.request).items():
            ours = checksum.encoded(self.reread(algorithm))
            if ours != value:
                raise ChecksumError(
                    f"{self.source.path} has the {algorithm} {ours}, not {value} as announced",
                    hint="Nothing was sent: find out which of the two is right.",
                )

    def result(
        self,
        answer: Headers,
        *,
        crc32c: str | None,
        md5: str | None,
        upload_id: str | None = None,
    ) -> UploadResult:
        """What the caller gets."""
        return UploadResult(
            headers=answer,
            size=self.plan.size,
            part_count=self.plan.part_count,
            upload_id=upload_id,
            crc32c=crc32c,
            md5=md5,
            bytes_sent=self.sender.sent_bytes,
            bytes_resent=self.sender.sent_bytes - (self.plan.size - self.kept_bytes),
            seconds=time.monotonic() - self.started,
        )


def announced(request: UploadRequest) -> Mapping[str, str]:
    """The checksums of the whole file that the caller gave, by algorithm."""
    given = {
        CRC32C: request.content_crc32c,
        SHA256: request.content_sha256,
        SHA384: request.content_sha384,
        MD5: request.content_md5,
    }
    return {name: value for name, value in given.items() if value is not None}


def wished_algorithm(request: UploadRequest) -> str | None:
    """The checksum that the caller wants to be declared, or implies by giving its value."""
    implied = (name for name in announced(request) if name in DECLARABLE)
    return request.checksum_algorithm or next(implied, None)
