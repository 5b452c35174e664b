"""Many objects deleted: in batches where the service knows them, else one by one."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from ocihaul.directories.bucket_index import BucketIndex
from ocihaul.directories.context import DirectoryContext
from ocihaul.directories.request import DirectoryDelete
from ocihaul.directories.results import DELETED, EXTRA, NOT_DELETED
from ocihaul.errors import OcihaulError, ServiceError
from ocihaul.storage.names import check_text
from ocihaul.storage.values import PAGE

#: What a service says that does not know the operation.
_UNKNOWN = frozenset({400, 404, 405, 501})

#: Object names with the etag that they must have, None for any.
Batch = dict[str, str | None]
_UNASKED = "\0"  # no etag is like this
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
        return "Somebody has replaced it meanwhile: look at it, then run the same command again."
    return None
