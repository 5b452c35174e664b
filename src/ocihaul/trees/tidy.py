"""The files that no object stands for: `sync --dest-dir --delete`."""

import os
from collections.abc import Iterator

from ocihaul.errors import TargetError
from ocihaul.transfer.downloads.download import SUFFIX
from ocihaul.trees.destination import Destination
from ocihaul.trees.names import from_disk
from ocihaul.trees.request import TreeDownload
from ocihaul.trees.results import DELETED, FILE
from ocihaul.trees.work import Work

#: Stands for every link to a directory: no path is called like this.
_LINK = "//"


def delete_files(request: TreeDownload, work: Work, destination: Destination) -> None:
    """Delete the files below the directory that were not listed, and what is empty then.

    Symbolic links to directories are left alone, and what they lead to: it is not ours. So are
    downloads that have begun, and files that an object has under the name of a link.
    """
    kept = {_LINK}
    links = _Links(destination)
    for directory, below, names in _upwards(destination.root):
        work.trouble.check()
        remains = any(each in kept for each in below)
        for name in names:
            path = _joined(directory, name)
            stays = _ours(name) or _belongs(path, request, work, destination)
            stays = stays or any(
                work.results.has(FILE, destination.key(other)) for other in links.names(path)
            )
            remains |= stays or not _delete_file(path, request, work, destination)
        stays = remains or not directory or links.lead_to(directory)
        stays = stays or work.results.has(FILE, destination.key(directory + "/"))
        if stays or not _delete_directory(directory, request, work, destination):
            kept.add(directory)


class _Links:
    """The symbolic links below a directory that do not lead out of it; paths are relative."""

    def __init__(self, destination: Destination) -> None:
        self._links: list[tuple[str, str]] = []  # (where it leads, its own path)
        root = os.path.realpath(os.fsencode(destination.root))
        below = [root]
        while below:
            try:
                with os.scandir(below.pop()) as entries:
                    for entry in entries:
                        if entry.is_symlink():
                            self._add(root, entry.path)
                        elif entry.is_dir():
                            below.append(entry.path)
            except OSError:
                continue  # nothing can be deleted there either

    def _add(self, root: bytes, path: bytes) -> None:
        real = os.path.realpath(path)
        if os.path.commonpath([root, real]) == root:
            leads, own = os.path.relpath(real, root), os.path.relpath(path, root)
            self._links.append((from_disk(leads), from_disk(own)))

    def names(self, path: str, *, most: int = 8) -> Iterator[str]:
        """The other names of a file, through `most` links at most."""
        for real, link in self._links if most else ():
            if path == real or path.startswith(real + "/"):
                other = link + path[len(real) :]
                yield other
                yield from self.names(other, most=most - 1)

    def lead_to(self, directory: str) -> bool:
        """Whether it is what a link stands for."""
        return any(real == directory for real, _ in self._links)


def _upwards(root: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(path, directories, other names) of every directory, those below first; relative paths.

    A link to a directory is among the directories, under a path that is always kept.
    """
    base = os.fsencode(root)
    for full, directories, names in os.walk(base, topdown=False):
        directory = from_disk(os.path.relpath(full, base)).replace(os.sep, "/")
        directory = "" if directory == "." else directory
        below = []
        for each in directories:
            link = os.path.islink(os.path.join(full, each))  # noqa: PTH114, PTH118
            below.append(_LINK if link else _joined(directory, from_disk(each)))
        yield directory, below, [from_disk(name) for name in names]


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _ours(name: str) -> bool:
    return name.startswith(".") and (name.endswith(SUFFIX) or f"{SUFFIX}-" in name)


def _belongs(path: str, request: TreeDownload, work: Work, destination: Destination) -> bool:
    if not request.follow_links and os.path.islink(destination.full(path)):  # noqa: PTH114
        return True
    return not request.filter(path) or work.results.has(FILE, destination.key(path))


def _delete_file(path: str, request: TreeDownload, work: Work, destination: Destination) -> bool:
    full = destination.full(path)
    try:
        if not request.dry_run:
            os.unlink(full)  # noqa: PTH108
    except FileNotFoundError:
        return True
    except OSError as error:
        work.failed(path, TargetError(f"{full} cannot be deleted: {error.strerror}"))
        return False
    work.results.add(DELETED, full)
    return True


def _delete_directory(
    path: str, request: TreeDownload, work: Work, destination: Destination
) -> bool:
    full = destination.full(path)
    try:
        if not request.dry_run:
            os.rmdir(full)  # noqa: PTH106
    except OSError:
        return False  # it is not empty any more
    work.results.add(DELETED, full + "/")
    return True
