"""The part size of an upload that somebody else has begun."""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from ocihaul.errors import UsageError
from ocihaul.events import ignore
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PartSummary
from ocihaul.transfer.checksum import encoded
from ocihaul.transfer.journal.journal import Target
from ocihaul.transfer.plan import ServiceLimits
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.transfer.upload.resume import import_upload, part_size_of
from ocihaul.transfer.upload.state import UploadState
from tests.world import MIB


def parts(**sizes: int) -> list[PartSummary]:
    return [PartSummary(int(name[1:]), "e", "m", size) for name, size in sizes.items()]


class Service:
    """Has one part of an upload, of zeros."""

    def __init__(self, size: int) -> None:
        md5 = encoded(hashlib.md5(bytes(size), usedforsecurity=False).digest())
        self.listed = [PartSummary(1, "e", md5, size)]

    def list_multipart_upload_parts(self, *_: object, **__: object) -> list[PartSummary]:
        return self.listed


@pytest.mark.parametrize(("size", "fits"), [(10_000 * MIB, True), (10_000 * MIB + 1, False)])
def test_an_upload_that_would_have_too_many_parts_is_not_begun(
    tmp_path: Path, size: int, fits: bool
) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(size)
    request = UploadRequest(
        source=tmp_path / "x", namespace="n", bucket="b", name="o", upload_id="u"
    )
    storage = cast("StorageClient", Service(MIB))
    target = Target("http://e", "n", "b", "o")
    state = UploadState(None, target, ignore, IncompleteUploadIndex(storage))
    expected: AbstractContextManager[object]
    expected = nullcontext() if fits else pytest.raises(UsageError, match="at most 10000")
    with FileSource(tmp_path / "x") as source, expected:
        import_upload(state, request, source, storage, Event())
    assert list(state.imported) == [1] * fits


@pytest.mark.parametrize(
    ("listed", "size", "given", "expected"),
    [
        ([], 500 * MIB, None, 128 * MIB),
        ([], 500 * MIB, 20 * MIB, 20 * MIB),
        ([], 2 * 2**40, None, 210 * MIB),
        (parts(p1=5 * MIB), 500 * MIB, None, 5 * MIB),
        (parts(p1=5 * MIB), 500 * MIB, 20 * MIB, 5 * MIB),
        (parts(p3=5 * MIB), 500 * MIB, None, 5 * MIB),
        (parts(p3=7), 20 * MIB + 7, None, 10 * MIB),
        (parts(p1=10 * MIB, p3=7), 20 * MIB + 7, None, 10 * MIB),
        (parts(p1=10 * MIB, p2=10 * MIB, p3=30 * MIB), 500 * MIB, None, 10 * MIB),
        (parts(p1=3), 3, None, 3),
    ],
)
def test_the_listed_parts_tell_it(
    listed: list[PartSummary], size: int, given: int | None, expected: int
) -> None:
    assert part_size_of(listed, size, given, ServiceLimits()) == expected


def test_an_empty_file_has_nothing_to_go_on_with() -> None:
    with pytest.raises(UsageError, match="empty"):
        part_size_of([], 0, None, ServiceLimits())
