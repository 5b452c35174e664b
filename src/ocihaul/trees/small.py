"""A small file as one PutObject, with as little around it as is safe.

Its bytes are read once, before anything is sent: so the checksum goes along, the service refuses
what was damaged on the way, and a file that changes while it is read stores nothing.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import replace

import crc32c

from ocihaul.errors import ChecksumError, ServiceError, SourceChanged, SourceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import check_headers
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.uploads.headers import put_headers
from ocihaul.transfer.uploads.request import UploadRequest
from ocihaul.transfer.uploads.sending import MOST_SENDS, Headers
from ocihaul.transfer.uploads.target import TargetObject

#: A file of at most so many bytes is small. It is held in memory once for each worker.
SMALL = 2**20

_CRC = checksum.content_header(CRC32C)
_MD5 = checksum.content_header(MD5)
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class SmallFiles:
    """Uploads small files with the same headers. Thread-safe: it keeps no state.

    `request` is an upload's in all but source and name.
    """

    def __init__(self, storage: StorageClient, request: UploadRequest) -> None:
        self._storage = storage
        self._request = request
        self._headers = {**put_headers(request), "opc-checksum-algorithm": CRC32C}
        check_headers(self._headers)

    def put(
        self, path: str, name: str, preconditions: Headers, *, content_type: str | None = None
    ) -> Headers:
        """Upload one file; returns the answer's headers.

        Raises SourceError, SourceChanged, ChecksumError, ServiceError (412 when a precondition
        fails) and what `Client.call` raises.
        """
        try:
            file = os.open(path, _FLAGS)
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            for _ in range(MOST_SENDS):
                data, status = _read(file, path)
                answer = self._send(data, name, preconditions, content_type)
                # The same rule that finds newer files later would not see what changed meanwhile.
                if _same(status, os.fstat(file)):
                    return answer
                preconditions = {"if-match": answer["etag"]}
        finally:
            os.close(file)
        raise SourceChanged(
            f"{path} has changed each time it was read",
            hint="What was stored is older than the file. Upload it when nobody writes to it.",
        )

    def empty(self, name: str, preconditions: Headers) -> Headers:
        """An object without bytes, which stands for a directory."""
        return self._send(b"", name, preconditions, None)

    def _send(
        self, data: bytes, name: str, preconditions: Headers, content_type: str | None
    ) -> Headers:
        ours = {_CRC: checksum.encoded(crc32c.crc32c(data).to_bytes(4))}
        headers = {**self._headers, **ours}
        if content_type is not None:
            headers["content-type"] = content_type
        for attempt in range(1, MOST_SENDS + 1):
            answer: Headers = {}
            try:
                answer = self._attempt(data, name, {**headers, **preconditions}, ours)
                self._check(data, ours, answer)
            except ChecksumError as error:
                if attempt == MOST_SENDS:
                    raise ChecksumError(
                        f"it arrived damaged {MOST_SENDS} times: {error.message}", hint=_DAMAGED
                    ) from error
                if answer:  # what is there now is ours
                    preconditions = {"if-match": answer["etag"]}
            else:
                return answer
        raise AssertionError("the loop above returns or raises")

    def _attempt(self, data: bytes, name: str, headers: Headers, ours: dict[str, str]) -> Headers:
        request = self._request
        try:
            return self._storage.put_object(
                request.namespace, request.bucket, name, data, headers
            ).headers
        except ServiceError as error:
            if error.status == 412 and error.after_retry:
                settled = self._settled(data, name, ours)
                if settled is not None:
                    return settled
            if error.status == 400 and "nmatched" in f"{error.code} {error.service_message}":
                raise ChecksumError(error.message) from error
            raise

    def _check(self, data: bytes, ours: dict[str, str], answer: Headers) -> None:
        if _CRC not in answer or self._request.verify_checksum:
            ours = {**ours, _MD5: _md5(data)}
        wrong = checksum.differing(ours, answer)
        if wrong is not None:
            raise ChecksumError(f"{wrong} is {answer[wrong]}, but what was sent has {ours[wrong]}")
        if not any(name in answer for name in ours):
            raise ChecksumError("the service returned no checksum at all")

    def _settled(self, data: bytes, name: str, ours: dict[str, str]) -> Mapping[str, str] | None:
        """The object's headers if an attempt of ours, whose reply was lost, has stored it."""
        target = TargetObject(self._storage, replace(self._request, name=name))
        return target.settled(len(data), {**ours, _MD5: _md5(data)})


_DAMAGED = "Check this machine's memory and disk, and the proxies on the way."


def _md5(data: bytes) -> str:
    return checksum.encoded(hashlib.md5(data, usedforsecurity=False).digest())


def _read(file: int, path: str) -> tuple[bytes, os.stat_result]:
    """All bytes of the file, and what it was while they were read."""
    for _ in range(MOST_SENDS):
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > 2 * SMALL:
                raise SourceChanged(f"{path} is not the small file any more that it was")
            data = _read_whole(file, status.st_size)
            if len(data) == status.st_size and _same(status, os.fstat(file)):
                return data, status
        except OSError as error:
            raise _unreadable(path, error) from error
    raise SourceChanged(
        f"{path} changes while it is read",
        hint="Nothing was stored. Upload it when nobody writes to it.",
    )


def _read_whole(file: int, size: int) -> bytes:
    """From the start to the end, or to one byte more than `size`."""
    os.lseek(file, 0, os.SEEK_SET)
    data = os.read(file, size + 1)
    while len(data) < size:
        more = os.read(file, size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {error.strerror}",
        hint="Check that it is still there, and that the user running this may read it.",
    )
