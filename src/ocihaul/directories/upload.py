"""A directory to a bucket: what is new or different goes up, and what is gone may go, too."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ocihaul.directories.checkpoint import Finished
from ocihaul.directories.compare import SyncAction, SyncMode, judge_upload, side_by_side
from ocihaul.directories.delete import delete_objects
from ocihaul.directories.file_sender import FileSender
from ocihaul.directories.listing import BucketIndex, Kind, WalkEntry, check_root, odd_entry, walk
from ocihaul.directories.names import disk_path, object_name, sort_key
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.results import EXTRA, UPLOADED, Unread
from ocihaul.directories.run import DirectoryContext
from ocihaul.directories.workers import DIFFERENT, SAME, Crew, FileTasks, Outcome, SendFile
from ocihaul.errors import (
    ObjectExistsError,
    OcihaulError,
    ServiceError,
    SourceError,
)
from ocihaul.events import DirectoryScanned, Notice
from ocihaul.storage.calls import Headers
from ocihaul.storage.names import check_text
from ocihaul.storage.values import ListedObject
from ocihaul.transfer.monitor import TransferMonitor
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.transfer.upload.upload import upload

#: What the summary shows of the service's headers, as the official CLI does.
SHOWN = ("etag", "last-modified", "opc-content-md5", "opc-multipart-md5")

_ASK = "Pass `mode=SyncMode.REPLACE` to replace it, or `mode=SyncMode.KEEP` to leave it as it is."
_CHANGED = "Another writer has replaced it since it was listed: look at it, then run again."
_UNREAD = (
    "their directories have names that are not valid UTF-8, and may have been stored under others."
)
#: How often the walk says how far it is, files.
_TELL = 500


@dataclass(frozen=True, slots=True)
class _Local:
    """Something in the directory, with the name of its object."""

    name: str
    found: WalkEntry


def upload_all(request: DirectoryUpload, work: DirectoryContext) -> None:
    """Upload what has to be. What became of each file is in `work.results`.

    Raises UsageError before anything is sent; SessionError, ServiceError, NetworkError when they
    concern all files; TransferCancelled; JournalError when the results cannot be kept.
    """
    check_root(request.root, parameter="source")
    check_text(request.prefix, "prefix")
    each = request.each
    uploader = _Uploader(request, work)
    uploader.run()
    if uploader.found_nothing and work.results.count(EXTRA):
        raise OcihaulError(
            f"{request.root} is empty, so nothing was deleted: a directory that is not mounted "
            "looks the same",
            hint="If all objects are to go: ocihaul os object bulk-delete",
        )
    if request.delete and not request.dry_run:
        extra = work.results.items(EXTRA)
        where = (each.namespace, each.bucket)
        delete_objects(extra, work, *where, parallel=request.parallel)
    if not request.dry_run:
        work.ended()


class _Uploader:
    def __init__(self, request: DirectoryUpload, work: DirectoryContext) -> None:
        # The slots of a large file are counted in its parts, so their size must not depend on it.
        self._part_size = request.each.part_size or DEFAULT_PART_SIZE
        request = replace(request, each=replace(request.each, part_size=self._part_size))
        self._request = request
        self._work = work
        self._sender = FileSender(
            work.storage, request, self._upload, listener=work.listener, stop=work.stop
        )
        self._incomplete = IncompleteUploadIndex(work.storage)
        self._closed = ""  # the directory, with "/", whose content is not known
        self._unread = Unread()
        self._files = self._bytes = 0
        self.found_nothing = True

    def run(self) -> None:
        """Walk and compare here, send in the workers."""
        parallel = self._work.at_a_time(self._request.parallel)
        with self._work.crew(parallel) as crew, self._takers(crew) as files:
            self._crew, self._tasks = crew, files
            for local, there in self._pairs():
                self._work.trouble.check()
                if local is not None:
                    self._local(local, there)
                elif there is not None:
                    self._extra(there)
            spared = self._unread.spare(self._work.results, self._request.prefix)
            if spared:
                self._work.listener(Notice(f"{spared} objects without a file are left: {_UNREAD}"))
            self._work.meter.all_found()
            self._work.listener(DirectoryScanned(self._files, self._bytes, complete=True))

    @contextmanager
    def _takers(self, crew: Crew) -> Iterator[FileTasks[SendFile]]:
        """What sends files: other machines, or the workers of this process."""
        work = self._work
        here = _Here(self, crew)
        if work.executor is None:
            yield here
            return
        with work.executor.sending(
            self._request, self.note, here.do, trouble=work.trouble, listener=work.listener
        ) as files:
            yield files

    def _pairs(self) -> Iterator[tuple[_Local | None, ListedObject | None]]:
        request, work = self._request, self._work
        where = (request.each.namespace, request.each.bucket, request.prefix)
        bucket = BucketIndex(work.storage, *where, on_odd=work.nameless)
        local = self._walk()
        if request.delete:
            prefix = request.prefix.encode()
            yield from side_by_side(
                local,
                bucket.of_shard(request.shard),
                lambda item: prefix + sort_key(item.found.path),
            )
        elif request.mode is SyncMode.REPLACE and (
            work.checkpoint is None or not work.checkpoint.earlier
        ):
            bucket.check()
            yield from ((item, None) for item in local)
        else:
            bucket.check()
            finder = bucket.finder(request.shard)
            for item in local:
                there = finder.find(item.name) if _has_object(item.found) else None
                yield item, there

    def _walk(self) -> Iterator[_Local]:
        request = self._request
        found = walk(
            request.root,
            follow_links=request.follow_links,
            empty=request.empty_directories,
            wanted=request.wanted,
        )
        for each in found:
            self.found_nothing = False  # by the whole directory, not by this shard's part of it
            self._unread.note(each.path)
            # What is in a closed directory may be of any shard, so it is every shard's failure.
            closed = each.kind is Kind.CLOSED
            if not (closed or (self._is_ours(each) and request.local_filter(each.path))):
                continue
            try:
                yield _Local(object_name(request.prefix, each.path), each)
            except OcihaulError as error:
                self._work.meter.found()
                self._work.failed(request.prefix + each.path, error)

    def _is_ours(self, found: WalkEntry) -> bool:
        """Whether it belongs to this shard; of files the walk has told that."""
        if found.kind is Kind.ELSEWHERE:
            return False
        request = self._request
        if request.shard.is_whole or not found.path.endswith("/"):
            return True
        return request.shard.holds(sort_key(request.prefix + found.path))

    def _local(self, item: _Local, there: ListedObject | None) -> None:
        found, work = item.found, self._work
        path = disk_path(self._request.root, found.path)
        if found.kind is Kind.SPECIAL:
            work.listener(Notice(f"{path} is left out: it is {found.reason}."))
            return
        if found.kind is not Kind.CLOSED or self._request.local_filter.may_hold(found.path):
            work.meter.found(found.size)
        if found.kind is Kind.BROKEN:
            work.failed(item.name, SourceError(f"{path} cannot be read: {found.reason}"))
        elif found.kind is Kind.CLOSED:
            self._closed = item.name
            if not self._request.local_filter.may_hold(found.path):
                return
            work.failed(item.name, SourceError(f"{path} cannot be read: {found.reason}"))
        elif there is not None and there.fault is not None:
            work.failed(item.name, odd_entry(there.fault))
        elif found.kind is Kind.EMPTY:
            self._empty(item, there)
        else:
            self._count(found.size)
            self._file(item, there)

    def _count(self, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files % _TELL == 0:
            self._work.listener(DirectoryScanned(self._files, self._bytes, complete=False))

    def _empty(self, item: _Local, there: ListedObject | None) -> None:
        if there is not None:
            self._work.skipped(item.name)
        elif self._request.dry_run:
            self._work.results.add(UPLOADED, item.found.path)
        else:
            self._tasks.do(SendFile(item.name, item.found.path, 0, 0, {"if-none-match": "*"}))

    def _file(self, item: _Local, there: ListedObject | None) -> None:
        found, work, request = item.found, self._work, self._request
        if self._done_before(item, there):
            return
        verdict = judge_upload(
            request.mode, found.size, found.mtime_ns, there, checksum=request.checksum
        )
        if verdict is SyncAction.ASK and not request.dry_run:
            answer = work.confirm(item.name) if work.confirm is not None else None
            if answer is None:
                error = ObjectExistsError("the object already exists", hint=_ASK)
                work.failed(item.name, error)
                return
            verdict = SyncAction.SEND if answer else SyncAction.SKIP
        if verdict is SyncAction.SKIP:
            work.skipped(item.name, found.size)
            return
        compared = there if verdict is SyncAction.COMPARE else None
        if request.dry_run and compared is None:
            work.results.add(UPLOADED, found.path)
            return
        large = request.each.multipart and found.size > self._part_size
        task = SendFile(
            *(item.name, found.path, found.size, found.mtime_ns),
            self._preconditions(there),
            compared,
            # Others compare large files, too; their parts are planned here.
            compare_only=request.dry_run or (large and work.executor is not None),
        )
        if large and not (compared is not None and work.executor is not None):
            self._large(task)
        else:
            self._tasks.do(task)

    def _large(self, task: SendFile) -> None:
        self._crew.do_large(-(-task.size // self._part_size), _Sending(self, task))

    def _done_before(self, item: _Local, there: ListedObject | None) -> bool:
        """Whether an interrupted run has sent this very file, and the object is still that one."""
        before = self._work.recalled(item.name) if there is not None else None
        if before is None or there is None:
            return False
        if (before.size, before.mtime_ns) != (item.found.size, item.found.mtime_ns):
            return False
        if before.headers.get("etag") != there.etag:
            return False
        self._work.finished(UPLOADED, item.name, before.size, dict(before.headers), moved=0)
        return True

    def _preconditions(self, there: ListedObject | None) -> Headers:
        if self._request.mode is SyncMode.REPLACE:
            return {}
        if there is None:
            return {"if-none-match": "*"}
        return {"if-match": there.etag} if there.etag else {}

    def _extra(self, there: ListedObject) -> None:
        """An object without a file, unless it may have one that we have not looked for.

        That is in a directory that is closed to us, or left out by the patterns, which may speak
        of the file's path in a way that does not fit the object's name.
        """
        if self._closed and there.name.startswith(self._closed):
            return
        request = self._request
        path = there.name.removeprefix(request.prefix)
        if not (request.remote_filter(there.name) and request.local_filter(path)):
            return
        if there.fault is not None:
            self._work.failed(there.name, odd_entry(there.fault))
        else:
            self._work.results.add(EXTRA, there.name, there.etag)

    # In the workers

    def send(self, task: SendFile) -> None:
        """Send one file from here."""
        self.note(task, self._sender.run(task))

    def note(self, task: SendFile, outcome: Outcome) -> None:
        """Note what came of a file. Raises what concerns all."""
        work, error = self._work, outcome.error
        if error is not None:
            if not work.trouble.judge(error):
                raise error
            self._failed(task, error)
        elif outcome.kind == SAME:
            work.skipped(task.name, task.size)
        elif outcome.kind == DIFFERENT:
            self._different(task)
        else:
            work.trouble.success()
            self._done(task, outcome.headers)

    def _different(self, task: SendFile) -> None:
        """It was only compared."""
        if self._request.dry_run:
            self._work.results.add(UPLOADED, task.path)
        else:
            self._large(replace(task, compared=None, compare_only=False))

    def _done(self, task: SendFile, headers: Mapping[str, str]) -> None:
        work, is_file = self._work, not task.path.endswith("/")
        shown = {name: headers[name] for name in SHOWN if name in headers}
        if self._request.each.verify_checksum and is_file:
            shown["verify-md5-checksum"] = _md5_verdict(headers)
        work.finished(UPLOADED, task.name, task.size, shown)
        work.remember(task.name, Finished(task.size, task.mtime_ns, shown))

    def _failed(self, task: SendFile, error: OcihaulError) -> None:
        if isinstance(error, ServiceError) and error.status == 412:
            if self._request.mode is SyncMode.KEEP:
                # It has appeared meanwhile, and is kept.
                self._work.skipped(task.name, task.size)
                return
            error.hint = _CHANGED
        self._work.failed(task.name, error)

    def _upload(self, wish: UploadRequest) -> Headers:
        work = self._work
        result = upload(
            work.storage,
            wish,
            listener=work.listener,
            stop=work.stop,
            journal=work.journal,
            monitor=TransferMonitor(concurrency=work.pace),
            incomplete=self._incomplete,
            executor=work.executor,
        )
        return result.headers


class _Here:
    """The workers of this process."""

    def __init__(self, uploader: _Uploader, crew: Crew) -> None:
        self._uploader = uploader
        self._crew = crew

    def do(self, task: SendFile) -> None:
        """Have it sent by a worker."""
        self._crew.do(_Sending(self._uploader, task))


class _Sending:
    """One file on its way; many wait at a time, so it is small."""

    __slots__ = ("_task", "_uploader")

    def __init__(self, uploader: _Uploader, task: SendFile) -> None:
        self._uploader = uploader
        self._task = task

    def __call__(self) -> None:
        self._uploader.send(self._task)


def _md5_verdict(headers: Mapping[str, str]) -> str:
    """What the summary says of an upload whose MD5, where the service has one, was compared."""
    md5 = headers.get("opc-content-md5") or headers.get("opc-multipart-md5")
    if md5 is None:
        return "md5 checksum could not be verified: the service's value is not known"
    return f"md5 checksum matches [Local: {md5}]"


def _has_object(found: WalkEntry) -> bool:
    return found.kind in {Kind.FILE, Kind.EMPTY}
