"""One upload in hand: what was asked, what was planned, and the tools that it works with."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import checksum
from ocihaul.transfer.adaptive_concurrency import Pace
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5, SHA256, SHA384
from ocihaul.transfer.hashing import digest_ranges
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.part_uploader import Headers, RangeSender
from ocihaul.transfer.upload.remote_object import TargetObject
from ocihaul.transfer.upload.request import UploadRequest, UploadResult


@dataclass(slots=True)
class Job:
    """The context of one upload. `started` is monotonic seconds.

    `kept_bytes` are the bytes of parts that an earlier run has left at the service. `pace` says
    how many parts go at a time, None: as many as the request says. Once `abandoned` is set, nobody
    needs to finish what is under way.
    """

    storage: StorageClient
    request: UploadRequest
    listener: Listener
    stop: threading.Event
    integrity: Integrity
    target: TargetObject = field(init=False)
    sender: RangeSender = field(init=False)
    started: float = field(default_factory=time.monotonic)
    kept_bytes: int = 0
    pace: Pace | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.target = TargetObject(self.storage, self.request)
        self.sender = RangeSender(self.integrity, listener=self.listener, abandoned=self.abandoned)

    def result(
        self,
        answer: Headers,
        *,
        size: int,
        part_count: int,
        crc32c: str | None,
        md5: str | None,
        parts: Sequence[SentPart],
        upload_id: str | None = None,
    ) -> UploadResult:
        """What the caller gets."""
        return UploadResult(
            headers=answer,
            size=size,
            part_count=part_count,
            upload_id=upload_id,
            crc32c=crc32c,
            md5=md5,
            bytes_sent=self.sender.sent_bytes,
            bytes_resent=self.sender.sent_bytes - (size - self.kept_bytes),
            seconds=time.monotonic() - self.started,
            parts=parts,
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


def check_announced(request: UploadRequest, source: FileSource, stop: threading.Event) -> None:
    """A multipart upload cannot carry checksums of the whole file: compare them here.

    Raises ChecksumError when one differs, Interrupted.
    """
    given = announced(request)
    if not given:
        return
    (digests,) = digest_ranges(source, [(0, source.size)], given, stop=stop)
    compare_announced(request, digests)


def compare_announced(request: UploadRequest, digests: Mapping[str, bytes]) -> None:
    """Raise ChecksumError when a checksum that the caller gave is not ours; nothing was sent."""
    for algorithm, value in announced(request).items():
        ours = checksum.encoded(digests[algorithm])
        if ours != value:
            raise ChecksumError(
                f"{request.source} has the {algorithm} {ours}, not {value} as announced",
                hint="Nothing was sent: find out which of the two is right.",
            )


def wished_algorithm(request: UploadRequest) -> str | None:
    """The checksum that the caller wants to be declared, or implies by giving its value."""
    implied = (name for name in announced(request) if name in DECLARABLE)
    return request.checksum_algorithm or next(implied, None)
