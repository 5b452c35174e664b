"""A range of one object as GetObject has it: asked for, compared with the answer, asked for again.

A range may take several answers, as connections break. Each has to be of the object that was meant:
`if-match` says so to the service, and etag, content-range and content-length of the answer are
compared (https://docs.oracle.com/iaas/api/#/en/objectstorage/20160918/Object/GetObject).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ocihaul.errors import NetworkError, ObjectChangedError, ServiceError
from ocihaul.transport.message import WireError

#: How often an answer may go on, or break, behind its last byte.
MOST_ENDLESS = 5


@dataclass(frozen=True, slots=True)
class PinnedObject:
    """The object that is fetched, and no other: its etag and its size in bytes."""

    name: str
    etag: str | None
    size: int

    def changed(self) -> ObjectChangedError:
        """The error to raise when it is another one."""
        return ObjectChangedError(
            f"the object {self.name!r} has changed while it was fetched",
            hint="Nothing was kept: run the same command again to fetch it as it is now.",
        )

    def is_changed(self, error: ServiceError) -> bool:
        """Whether the service refused a request because the object was replaced or deleted."""
        return error.status == 412 or error.code == "ObjectNotFound"


class ObjectRange:
    """The bytes `first` to `end` (exclusive) of an object; `next` is the first that is missing.

    Without `explicit` a request for the whole object names no range: its answer has the object's
    checksums then.
    """

    def __init__(
        self, pinned: PinnedObject, first: int, end: int, *, explicit: bool = True
    ) -> None:
        self.next = first
        self.end = end
        self._pinned = pinned
        self._explicit = explicit
        self._endless = 0

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self.end - self.next

    def rewind(self, count: int) -> None:
        """Ask for the last `count` bytes again: all came, but the answer did not end there.

        Raises NetworkError when that has happened too often.
        """
        self._endless += 1
        if self._endless > MOST_ENDLESS:
            raise NetworkError(
                f"the answers with the bytes of {self._pinned.name!r} do not end where they should",
                hint="Check the proxies on the way: they may change what passes.",
            )
        self.next -= count

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for what is missing, of this object and no other."""
        headers = {"accept-encoding": "identity"}  # as it is stored: no proxy may compress it
        if self._explicit or not self._is_whole:
            headers["range"] = f"bytes={self.next}-{self.end - 1}"
        if self._pinned.etag is not None:
            headers["if-match"] = self._pinned.etag
        return headers

    def check_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Raise WireError for other bytes than asked for, ObjectChangedError for another object."""
        etag, size = self._pinned.etag, self._pinned.size
        if etag is not None and headers.get("etag", etag) != etag:
            raise self._pinned.changed()
        told = headers.get("content-range", "") if status == 206 else None
        if told is None and self._is_whole:
            told = f"bytes 0-{size - 1}/{headers.get('content-length', size)}"
        asked = f"bytes {self.next}-{self.end - 1}/{size}"
        if told != asked:
            raise WireError(f"asked for {asked}, and the answer is {status} {told or 'all of it'}")
        length = str(self.missing)
        if headers.get("content-length", length) != length:
            raise WireError(
                f"asked for {length} bytes, and {headers['content-length']} are to come"
            )

    def check_end(self) -> None:
        """Raise WireError when the answer was cut short without a sign."""
        if self.missing:
            raise WireError(f"the answer ended {self.missing} bytes too early")

    @property
    def _is_whole(self) -> bool:
        return (self.next, self.end) == (0, self._pinned.size)
