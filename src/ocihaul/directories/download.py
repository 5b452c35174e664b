"""What is under a prefix to a directory: what is new or different comes down."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace

from ocihaul.directories.checkpoint import Finished, run_key
from ocihaul.directories.compare import SyncAction, judge_download
from ocihaul.directories.delete import delete_files, holds_files
from ocihaul.directories.destination import Destination, check_root
from ocihaul.directories.file_fetcher import FileFetcher, is_small
from ocihaul.directories.listing import BucketIndex, odd_entry
from ocihaul.directories.names import relative_path, sort_key
from ocihaul.directories.request import DirectoryDownload
from ocihaul.directories.results import AWAITED, DOWNLOADED, FILE
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.workers import DIFFERENT, SAME, Crew, FetchObject, FileTasks, Outcome
from ocihaul.errors import LocalFileError, ObjectArchivedError, ObjectExistsError, OcihaulError
from ocihaul.events import Notice
from ocihaul.storage.values import ListedObject
from ocihaul.transfer.download.download import download, is_unfinished, tidy
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.download.request import DownloadRequest, validate_options
from ocihaul.transfer.locks import alone
from ocihaul.transfer.monitor import TransferMonitor

_ASK = "Pass `mode=SyncMode.REPLACE` to replace it, or `mode=SyncMode.KEEP` to leave it as it is."


def download_all(request: DirectoryDownload, work: DirectoryContext) -> None:
    """Download what has to be. What became of each object is in `work.results`.

    Raises UsageError before anything is fetched; SessionError, ServiceError, NetworkError when
    they concern all objects; LocalFileError when the directory cannot be made; TransferCancelled;
    JournalError when the results cannot be kept.
    """
    check_root(request.root, parameter="target")
    validate_options(part_size=request.part_size, parallel=request.parallel)
    if request.dry_run:
        with Destination(request.root, make=False) as destination:
            _download(request, work, destination)
        return
    real = os.path.realpath(request.root)
    lock = work.directory / f"tree-{run_key(root=real, **request.shard.facts())[:16]}.lock"
    with (
        Destination(request.root, listener=work.listener) as destination,
        alone(lock, real, wait=True, listener=work.listener, stop=work.stop),
    ):
        _download(request, work, destination)
        if work.results.count(DOWNLOADED) and hasattr(os, "sync"):
            os.sync()  # once, not once a file
        work.ended()


def _download(request: DirectoryDownload, work: DirectoryContext, destination: Destination) -> None:
    downloader = _Downloader(request, work, destination)
    downloader.run()
    if not request.delete:
        return
    if work.odd_names:  # one of them may be the object of any file
        text = "Nothing was deleted: the list has entries whose names cannot be used."
        work.listener(Notice(text))
        return
    if downloader.found_nothing and holds_files(request.root):
        raise OcihaulError(
            f"there is no object under the prefix {request.prefix!r} of bucket {request.bucket}, "
            f"so nothing in {request.root} was deleted",
            hint="Check `prefix` and `bucket`; if it is meant, empty the directory by hand.",
        )
    delete_files(request, work, destination)


class _Downloader:
    def __init__(
        self, request: DirectoryDownload, work: DirectoryContext, destination: Destination
    ) -> None:
        self.found_nothing = True
        self._request = request
        self._work = work
        self._destination = destination
        self._parent = ""  # the last directory that other shards write to
        self._fetcher = FileFetcher(
            work.storage, request, destination, self._download, stop=work.stop
        )

    @contextlib.contextmanager
    def _takers(self, crew: Crew) -> Iterator[FileTasks[FetchObject]]:
        """What fetches objects: other machines, or the workers of this process."""
        work = self._work
        here = _Here(self, crew)
        if work.executor is None:
            yield here
            return
        with work.executor.fetching(
            self._request, self.note, here.do, trouble=work.trouble, listener=work.listener
        ) as files:
            yield files

    def run(self) -> None:
        """List and compare here, fetch in the workers."""
        request, work = self._request, self._work
        where = (request.namespace, request.bucket, request.prefix)
        bucket = BucketIndex(work.storage, *where, on_odd=work.nameless)
        parallel = work.at_a_time(request.parallel)
        with work.crew(parallel) as crew, self._takers(crew) as files:
            self._crew, self._tasks = crew, files
            for there in bucket.objects(delimiter=request.delimiter):
                self.found_nothing = False  # by the whole list, not by this shard's part of it
                work.trouble.check()
                if not request.shard.holds(sort_key(there.name)):
                    self._elsewhere(there)
                    continue
                work.meter.found(there.size or 0)
                try:
                    self._object(there)
                except OcihaulError as error:
                    if not work.trouble.judge(error):
                        raise
                    work.failed(there.name, error)
            work.meter.all_found()

    def _elsewhere(self, there: ListedObject) -> None:
        """An object of another shard: note which file it has, where that matters to this one.

        It matters to what is deleted, and where two objects would be the same file: the first in
        the list has it, and all shards have to see that alike.
        """
        request, work = self._request, self._work
        prefix = request.prefix if request.strip_prefix else ""
        # Names are their files' but for one leading slash, and what the file system takes as equal.
        alone = there.name.removeprefix(prefix)[:1] > "/" and not self._destination.folds
        if alone and not request.delete:
            return
        try:
            path = relative_path(there.name, prefix=prefix)
        except OcihaulError:
            return  # its own shard tells
        if not (path and request.filter(path)) or is_unfinished(path.rpartition("/")[2]):
            return
        key = self._destination.key(path)
        parent = key.removesuffix("/").rpartition("/")[0]
        if work.results.claim(FILE, key, there.name) and not self._skips(there):
            if parent and parent != self._parent:
                work.results.add(AWAITED, parent + "/")
            self._parent = parent

    def _skips(self, there: ListedObject) -> bool:
        archived = (there.archival_state or "Restored") != "Restored"
        return there.fault is not None or (archived and self._request.strip_prefix)

    def _object(self, there: ListedObject) -> None:
        request, work = self._request, self._work
        path = relative_path(there.name, prefix=request.prefix if request.strip_prefix else "")
        if not path:
            work.skipped(there.name)  # the directory itself
            return
        if not request.filter(path):
            work.meter.found(-(there.size or 0), files=-1)
            return
        if is_unfinished(path.rpartition("/")[2]):
            raise LocalFileError(
                "its name is one of those that unfinished downloads have",
                hint="Download it alone, to a `target` with another name.",
            )
        if not work.results.claim(FILE, self._destination.key(path), there.name):
            other = work.results.value(FILE, self._destination.key(path))
            raise LocalFileError(f"it would be the same file as the object {other!r}")
        if there.fault is not None:
            raise odd_entry(there.fault)
        if path.endswith("/"):
            self._directory(there, path)
        elif (there.archival_state or "Restored") != "Restored":
            if not request.strip_prefix:
                raise ObjectArchivedError(
                    f"the object is in the Archive tier ({there.archival_state})",
                    hint="Restore it first, with: os object restore",
                )
            work.skipped(there.name, there.size)
        else:
            self._file(there, path)

    def _directory(self, there: ListedObject, path: str) -> None:
        """An object that stands for a directory."""
        if there.size:
            raise LocalFileError(
                f"its name ends with '/', so no file can hold its {there.size} bytes",
                hint="Download it alone, to a `target` with another name.",
            )
        status = self._destination.status(path.removesuffix("/"))
        if status is not None and stat.S_ISDIR(status.st_mode):
            self._work.skipped(there.name)
            return
        if not self._request.dry_run:
            self._destination.directory(path)
        self._work.finished(DOWNLOADED, there.name, 0)

    def _file(self, there: ListedObject, path: str) -> None:
        request, work = self._request, self._work
        status = self._destination.status(path)
        compare = False
        if status is not None and not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise LocalFileError(
                f"{self._destination.full(path)} is {what}",
                hint="Rename it, or download to another directory.",
            )
        if status is not None:
            if not (request.dry_run or is_small(there)):
                with contextlib.suppress(OcihaulError), self._destination.place(path) as place:
                    tidy(work.storage, self._fetcher.request_for(there, place), place)
            if self._done_before(there, status):
                return
            verdict = judge_download(
                request.mode, there, status.st_size, status.st_mtime_ns, checksum=request.checksum
            )
            if verdict is SyncAction.ASK and not request.dry_run:
                answer = work.confirm(path) if work.confirm is not None else None
                if answer is None:
                    raise ObjectExistsError("the file already exists", hint=_ASK)
                verdict = SyncAction.SEND if answer else SyncAction.SKIP
            if verdict is SyncAction.SKIP:
                work.skipped(there.name, there.size)
                return
            compare = verdict is SyncAction.COMPARE
        if request.dry_run and not compare:
            work.results.add(DOWNLOADED, there.name)
            return
        large = request.multipart and (there.size or 0) > self._fetcher.threshold
        task = FetchObject(
            there,
            path,
            compare,
            # Others compare large files, too; their ranges are planned here.
            compare_only=request.dry_run or (large and work.executor is not None),
        )
        if large and not (compare and work.executor is not None):
            self._large(task)
        else:
            self._tasks.do(task)

    def _large(self, task: FetchObject) -> None:
        parts = -(-(task.there.size or 0) // self._fetcher.part_size)
        self._crew.do_large(parts, _Fetching(self, task))

    def _done_before(self, there: ListedObject, status: os.stat_result) -> bool:
        """Whether an interrupted run has fetched this very object, and the file is still that."""
        before = self._work.recalled(there.name)
        if before is None or before.headers.get("etag") != there.etag:
            return False
        if (before.size, before.mtime_ns) != (status.st_size, status.st_mtime_ns):
            return False
        self._work.finished(DOWNLOADED, there.name, before.size, moved=0)
        return True

    # In the workers

    def fetch(self, task: FetchObject) -> None:
        """Fetch one object from here."""
        self.note(task, self._fetcher.run(task))

    def note(self, task: FetchObject, outcome: Outcome) -> None:
        """Note what came of an object. Raises what concerns all."""
        work, there, error = self._work, task.there, outcome.error
        if error is not None:
            if not work.trouble.judge(error):
                raise error
            work.failed(there.name, error)
        elif outcome.kind == SAME:
            work.skipped(there.name, there.size)
        elif outcome.kind == DIFFERENT:
            self._different(task)
        else:
            size = there.size or 0
            work.trouble.success()
            work.finished(DOWNLOADED, there.name, size)
            headers = {"etag": there.etag or ""}
            work.remember(there.name, Finished(size, outcome.mtime_ns, headers))

    def _different(self, task: FetchObject) -> None:
        """It was only compared."""
        if self._request.dry_run:
            self._work.results.add(DOWNLOADED, task.there.name)
        else:
            self._large(replace(task, compare=False, compare_only=False))

    def _download(self, wish: DownloadRequest, place: Place) -> None:
        work = self._work
        download(
            work.storage,
            wish,
            listener=work.listener,
            stop=work.stop,
            directory=work.directory,
            monitor=TransferMonitor(concurrency=work.pace),
            place=place,
            executor=work.executor,
        )


class _Here:
    """The workers of this process."""

    def __init__(self, downloader: _Downloader, crew: Crew) -> None:
        self._downloader = downloader
        self._crew = crew

    def do(self, task: FetchObject) -> None:
        """Have it fetched by a worker."""
        self._crew.do(_Fetching(self._downloader, task))


class _Fetching:
    """One object on its way; many wait at a time, so it is small."""

    __slots__ = ("_downloader", "_task")

    def __init__(self, downloader: _Downloader, task: FetchObject) -> None:
        self._downloader = downloader
        self._task = task

    def __call__(self) -> None:
        self._downloader.fetch(self._task)
