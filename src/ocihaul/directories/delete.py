"""Delete what is extra: objects of a prefix, and files that no object stands for.

Objects go in batches where the service knows them, else one by one. Files are removed by name in a
directory that is held open, so that a link which takes the place of a directory meanwhile leads
nowhere.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from ocihaul.directories.destination import Destination, is_link
from ocihaul.directories.listing import BucketIndex
from ocihaul.directories.names import printable, sort_key
from ocihaul.directories.request import DirectoryDelete, DirectoryDownload
from ocihaul.directories.results import AWAITED, DELETED, EXTRA, FILE, NOT_DELETED
from ocihaul.directories.run import DirectoryContext
from ocihaul.errors import LocalFileError, OcihaulError, ServiceError
from ocihaul.events import Notice
from ocihaul.filesystem import from_disk, on_disk
from ocihaul.storage.names import check_text
from ocihaul.storage.values import PAGE
from ocihaul.transfer.download.download import RANGES, SUFFIX

#: What a service says that does not know the operation.
_UNKNOWN = frozenset({400, 404, 405, 501})

#: Object names with the etag that they must have, None for any.
Batch = dict[str, str | None]
_UNASKED = "\0"  # no etag is like this
#: Names of one file, through symbolic links, that are looked for among the objects.
_MOST_NAMES = 1000
Names = Iterator[tuple[str, str | None]]


class NothingToDelete(Exception):
    """There was nothing to ask about."""


def delete_all(
    request: DirectoryDelete,
    work: DirectoryContext,
    *,
    confirm: Callable[[int], bool] | None = None,
) -> None:
    """Delete what the request selects, listed once. Raises what concerns all.

    `confirm` is asked with the number of objects before the first one is deleted; when the answer
    is no, that is OcihaulError. Raises NothingToDelete where there is nothing to ask about.
    """
    where = (request.namespace, request.bucket, request.prefix)
    odd = partial(work.nameless, kind=NOT_DELETED)
    bucket = BucketIndex(work.storage, *where, on_odd=odd)
    objects = bucket.of_shard(request.shard, delimiter=request.delimiter)
    names: Names = ((each.name, None) for each in objects if request.filter(each.name))
    if request.dry_run:
        for name, _ in names:
            work.results.add(DELETED, name)
        return
    if confirm is not None:
        for name, _ in names:
            work.results.add(EXTRA, name)
        count = work.results.count(EXTRA)
        if not count:
            raise NothingToDelete
        if not confirm(count):
            raise OcihaulError("nothing was deleted")
        names = work.results.items(EXTRA)
    delete_objects(names, work, request.namespace, request.bucket, parallel=request.parallel)


def delete_objects(
    names: Names,
    work: DirectoryContext,
    namespace: str,
    bucket: str,
    *,
    parallel: int,
) -> None:
    """Delete each name, which must have the etag beside it; what is gone already counts."""
    deleter = _Deleter(work, namespace, bucket)
    with work.crew(parallel) as crew:
        while batch := dict(islice(names, PAGE)):
            work.meter.found(files=len(batch))
            for job in deleter.jobs(batch):
                crew.do(job)
        work.meter.all_found()


class _Deleter:
    def __init__(self, work: DirectoryContext, namespace: str, bucket: str) -> None:
        self._work = work
        self._where = (namespace, bucket)
        self._batches: bool | None = None

    def jobs(self, batch: Batch) -> Iterator["_Job"]:
        """The requests that delete a batch. The first batch is tried at once, to be sure."""
        sound: Batch = {}
        for name, etag in batch.items():
            try:
                check_text(name, "object name")
                sound[name] = etag
            except OcihaulError as error:
                self._work.failed(name, error, kind=NOT_DELETED)
        if not sound:
            return
        if self._batches is None:
            self._batches = self._tried(sound)
            if self._batches:
                return
        if self._batches:
            yield _Job(self._many, sound)
        else:
            for name, etag in sound.items():
                yield _Job(self._one, {name: etag})

    def _tried(self, batch: Batch) -> bool:
        """Whether the service knows batches."""
        try:
            self._batch(batch)
        except ServiceError as error:
            if error.status in _UNKNOWN and error.code != "BucketNotFound":
                return False
            self._judge(error, batch)
        except OcihaulError as error:
            self._judge(error, batch)
        return True

    def _many(self, batch: Batch) -> None:
        try:
            self._batch(batch)
        except OcihaulError as error:
            self._judge(error, batch)

    def _batch(self, batch: Batch) -> None:
        told = self._work.storage.batch_delete_objects(*self._where, batch)
        self._work.trouble.success()
        left = dict(batch)  # the answer counts for the names that were asked for, once each
        for name in told.deleted:
            if left.pop(name, _UNASKED) is not _UNASKED:
                self._deleted(name)
        for each in told.failed:
            if left.pop(each.name, _UNASKED) is _UNASKED:
                continue
            if each.status == 404:
                self._deleted(each.name)
            else:
                failure = OcihaulError(f"{each.status}: {each.message}", hint=_hint(each.status))
                self._work.failed(each.name, failure, kind=NOT_DELETED)
        for name in left:
            failure = OcihaulError("the service's answer does not say what became of it")
            self._work.failed(name, failure, kind=NOT_DELETED)

    def _one(self, batch: Batch) -> None:
        ((name, etag),) = batch.items()
        try:
            self._work.storage.delete_object(*self._where, name, if_match=etag)
        except ServiceError as error:
            if error.status != 404 or error.code not in {"ObjectNotFound", None}:
                self._judge(error, batch)
                return
        except OcihaulError as error:
            self._judge(error, batch)
            return
        self._work.trouble.success()
        self._deleted(name)

    def _deleted(self, name: str) -> None:
        self._work.finished(DELETED, name, 0)

    def _judge(self, error: OcihaulError, batch: Batch) -> None:
        if not self._work.trouble.judge(error):
            raise error
        if isinstance(error, ServiceError) and (hint := _hint(error.status)):
            error.hint = hint
        for name in batch:
            self._work.failed(name, error, kind=NOT_DELETED)


_Call = Callable[[Batch], None]


class _Job:
    """A call with its batch."""

    __slots__ = ("_batch", "_call")

    def __init__(self, call: "_Call", batch: Batch) -> None:
        self._call = call
        self._batch = batch

    def __call__(self) -> None:
        self._call(self._batch)


def _hint(status: int) -> str | None:
    if status == 412:
        return "Another writer has replaced it: look at it, then run the same command again."
    return None


def delete_files(
    request: DirectoryDownload, work: DirectoryContext, destination: Destination
) -> None:
    """Delete the files below the directory that were not listed, and what is empty then.

    Symbolic links to directories are left alone, and what they lead to: it is not ours. So are
    downloads that have begun, and files that an object has under the name of a link. Files of
    other shards are theirs to delete, and what is in a directory below that cannot be read stays:
    a notice names it. Raises LocalFileError when the directory itself cannot be read.
    """
    if destination.descriptor is None:
        return
    tidying = _Tidying(request, work, destination)
    try:
        for path, below, names, descriptor in os.fwalk(
            b".", topdown=False, onerror=tidying.is_closed, dir_fd=destination.descriptor
        ):
            work.trouble.check()
            tidying.visit(
                from_disk(path).removeprefix(".").removeprefix("/"),
                [from_disk(name) for name in below],
                [from_disk(name) for name in names],
                descriptor,
            )
    except OSError as error:
        raise _unreadable(destination.root, error) from error


def _unreadable(path: str, error: OSError) -> LocalFileError:
    return LocalFileError(
        f"{path} cannot be read: {error.strerror}",
        hint="Nothing in it was deleted. Check the rights on it, and run the same command again.",
    )


def holds_files(root: str) -> bool:
    """Whether there is anything in the directory that a download has not made for itself.

    Raises LocalFileError when it cannot be read.
    """
    try:
        return not all(_ours(name) for name in os.listdir(root))  # noqa: PTH208
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(root, error) from error


class _Tidying:
    """Visits every directory after those in it; paths are relative.

    A directory in which only other shards have something to delete is tried as if it were empty.
    Every shard tries that after its own deletions there, so the last one succeeds. One that another
    shard has still to write to is left alone.
    """

    def __init__(
        self, request: DirectoryDownload, work: DirectoryContext, destination: Destination
    ) -> None:
        self._request = request
        self._work = work
        self._destination = destination
        self._links = _Links(destination)
        self._shard, self._prefix = request.shard, sort_key(request.prefix)
        self._empty: set[str] = set()  # those to be deleted from the directory above

    def visit(self, directory: str, below: list[str], names: list[str], descriptor: int) -> None:
        """Delete from the open directory what does not belong there: other names, then `below`."""
        there, remains = set(names), False
        for name in names:
            if self._is_orphan(name, there):
                self._drop(name, descriptor)  # its download is complete
                continue
            path = _joined(directory, name)
            if _ours(name) or self._belongs(path, name, descriptor):
                remains = True
            elif self._holds(path):
                remains |= not self._delete_file(path, name, descriptor)
        for name in below:
            path = _joined(directory, name)
            if path in self._empty:
                self._empty.remove(path)
                if _ours(name) and not self._shard.is_whole:
                    remains = True  # a shard that begins looks there how names are taken
                    continue
                remains |= not self._delete_directory(path, name, descriptor)
            else:  # also a link to a directory
                remains |= not self._is_gone(name, descriptor)
        if not (remains or self._is_wanted(directory)):
            self._empty.add(directory)

    def is_closed(self, error: OSError) -> None:
        """Say that a directory cannot be read; `error` has only its name."""
        if isinstance(error, FileNotFoundError):
            return  # another shard was faster
        name = from_disk(os.fsencode(error.filename or ""))
        self._work.listener(
            Notice(
                f"Nothing was deleted in the directory {printable(name)} below "
                f"{self._destination.root}: it cannot be read: {error.strerror}."
            )
        )

    def _is_orphan(self, name: str, there: set[str]) -> bool:
        """Whether it lists the ranges of a file that is not there; other shards make such files."""
        orphan = name.endswith(RANGES) and name.removesuffix(RANGES) not in there
        return orphan and _ours(name) and self._shard.is_whole

    def _is_wanted(self, directory: str) -> bool:
        """Whether a directory stays even if it is empty."""
        results, key = self._work.results, self._destination.key(directory + "/")
        known = results.has(FILE, key) or results.has_below(AWAITED, key)
        return not directory or known or self._links.lead_to(directory)

    def _holds(self, path: str) -> bool:
        """Whether it is this shard's to delete: by the name of the object that it would be."""
        return self._shard.is_whole or self._shard.holds(self._prefix + sort_key(path))

    def _is_gone(self, name: str, descriptor: int) -> bool:
        """Whether another shard has deleted it since the directory was read."""
        if self._shard.is_whole:
            return False
        try:
            os.stat(on_disk(name), dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return True
        return False

    def _belongs(self, path: str, name: str, descriptor: int) -> bool:
        request, results = self._request, self._work.results
        if not request.follow_links and is_link(name, descriptor):
            return True
        if not request.filter(path) or results.has(FILE, self._destination.key(path)):
            return True
        others = list(islice(self._links.names(path), _MOST_NAMES + 1))
        if len(others) > _MOST_NAMES:
            return True  # not all of its names are known: an object may have one of the others
        return any(results.has(FILE, self._destination.key(each)) for each in others)

    def _drop(self, name: str, descriptor: int) -> None:
        if not self._request.dry_run:
            with contextlib.suppress(OSError):
                os.unlink(on_disk(name), dir_fd=descriptor)

    def _delete_file(self, path: str, name: str, descriptor: int) -> bool:
        full = self._destination.full(path)
        try:
            if not self._request.dry_run:
                os.unlink(on_disk(name), dir_fd=descriptor)
        except FileNotFoundError:
            return True
        except OSError as error:
            self._work.failed(path, LocalFileError(f"{full} cannot be deleted: {error.strerror}"))
            return False
        self._work.results.add(DELETED, full)
        return True

    def _delete_directory(self, path: str, name: str, descriptor: int) -> bool:
        if self._request.dry_run and not self._holds(path + "/"):
            return True
        try:
            if not self._request.dry_run:
                os.rmdir(on_disk(name), dir_fd=descriptor)
        except FileNotFoundError:
            return True  # another shard was faster
        except OSError:
            return False  # it is not empty, or not any more
        self._work.results.add(DELETED, self._destination.full(path) + "/")
        return True


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
            leads = b"" if real == root else os.path.relpath(real, root)
            self._links.append((from_disk(leads), from_disk(os.path.relpath(path, root))))

    def names(self, path: str, *, most: int = 8) -> Iterator[str]:
        """The other names of a file, through `most` links at most.

        Links to a directory above them give names without end.
        """
        for real, link in self._links if most else ():
            if not real or path == real or path.startswith(real + "/"):
                other = link + path[len(real) :] if real else f"{link}/{path}"
                yield other
                yield from self.names(other, most=most - 1)

    def lead_to(self, directory: str) -> bool:
        """Whether it is what a link stands for."""
        return any(real == directory for real, _ in self._links)


def _joined(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _ours(name: str) -> bool:
    return name.startswith(".") and (name.endswith(SUFFIX) or f"{SUFFIX}-" in name)
