"""A tree with very many names beside a list with very many names, compared without a service.

Arguments: "up" or "down", the directory, how many names. Prints how many of each kind there were.
"""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ocihaul.directories.compare import SyncMode
from ocihaul.directories.download import download_all
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.directories.results import DELETED, DOWNLOADED, EXTRA, SKIPPED, UPLOADED, Results
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.upload import upload_all
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PAGE, ListedObject, ObjectPage, Selection
from ocihaul.transfer.upload.request import UploadRequest

#: Of so many names one is on one side only.
GAP = 100
#: Of so many names one is in a directory of a thousand; the others are in one directory.
NESTED = 10


def names(count: int) -> Iterator[str]:
    """In the order of a list."""
    nested = count // NESTED
    for number in range(nested):
        yield f"a/{number // 1000:04}/{number:07}"
    for number in range(nested, count):
        yield f"b/{number:07}"


def local(count: int) -> Iterator[str]:
    """The files: all but the first of each `GAP`."""
    return (name for number, name in enumerate(names(count)) if number % GAP != 0)


class Lists:
    """The service's list: all names but the second of each `GAP`."""

    def __init__(self, count: int) -> None:
        self._count = count

    def list_objects(self, _ns: str, _bucket: str, _selection: Selection) -> Iterator[ObjectPage]:
        there = (name for number, name in enumerate(names(self._count)) if number % GAP != 1)
        modified = "2040-01-01T00:00:00.000Z"
        while page := tuple(
            ListedObject(name=name, size=0, etag=f"etag of {name}", time_modified=modified)
            for name in islice(there, PAGE)
        ):
            yield ObjectPage(page, (), None)


def main() -> None:
    """Compare, move nothing, and say what would be."""
    direction, root, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    where: dict[str, Any] = {"namespace": "ns1", "bucket": "backups"}
    with Results() as results:
        work = DirectoryContext(cast("StorageClient", Lists(count)), results)
        wish: dict[str, Any] = {"root": root, "delete": True, "dry_run": True}
        if direction == "up":
            each = UploadRequest(source=Path(root), name="-", **where)
            upload_all(DirectoryUpload(each=each, mode=SyncMode.SYNC, **wish), work)
        else:
            # Files are older than objects, so a look at each decides.
            download_all(DirectoryDownload(mode=SyncMode.KEEP, **where, **wish), work)
        kinds = (UPLOADED, DOWNLOADED, SKIPPED, EXTRA, DELETED)
        sys.stdout.write(json.dumps({kind: results.count(kind) for kind in kinds}))


if __name__ == "__main__":
    main()
