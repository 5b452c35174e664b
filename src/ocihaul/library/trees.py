"""A directory to a bucket, and what is under a prefix to a directory: `sync` as two functions."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ocihaul.errors import UsageError
from ocihaul.events import Event, FileFinished, Listener, audience, ignore
from ocihaul.library.place import Place
from ocihaul.storage.types import SseCustomerKey
from ocihaul.transfer.journal.opening import open_journal
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.uploads.request import UploadRequest
from ocihaul.trees import destination, download, upload, walk
from ocihaul.trees.compare import Mode
from ocihaul.trees.filters import make_filter
from ocihaul.trees.ledger import open_ledger
from ocihaul.trees.request import TreeDownload, TreeUpload
from ocihaul.trees.results import (
    DELETED,
    DOWNLOADED,
    EXTRA,
    FAILED,
    NOT_DELETED,
    SKIPPED,
    UPLOADED,
    Results,
)
from ocihaul.trees.work import Work

#: So many failures are told with their reasons; a tree may have millions.
MOST_FAILURES = 1000

_COMMAND = ("os", "object", "sync")
#: The fields of an UploadRequest that can be the same for all files.
_OF_EACH = frozenset(
    {
        *("part_size", "multipart", "verify_checksum", "metadata", "storage_tier"),
        *("content_type", "content_language", "content_encoding", "content_disposition"),
        *("cache_control", "kms_key_id", "sse_customer_key"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeResult:
    """What became of a tree, as numbers of files and objects.

    `transferred` were uploaded or downloaded, by this run or by an interrupted one that it has
    gone on with; `size` is their bytes. `skipped` are as they were to be. `failed` are all that
    failed; `failures` has the reasons of the first 1,000, by the object's name (where a file could
    not be deleted, by its path below the directory). After a dry run the numbers are what would
    be, and `size` is 0.
    """

    transferred: int
    skipped: int
    deleted: int
    failed: int
    size: int
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing failed."""
        return not self.failed


def upload_tree(
    directory: str | Path,
    bucket: str,
    *,
    prefix: str = "",
    mode: Mode = Mode.SYNC,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    checksum: bool = False,
    delete: bool = False,
    dry_run: bool = False,
    parallel: int = 10,
    adaptive: bool = False,
    follow_links: bool = True,
    namespace: str | None = None,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    session_wait: float = 0.0,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    **wishes: Any,
) -> TreeResult:
    """Upload all files below a directory, and return when each was tried.

        >>> import ocihaul
        >>> ocihaul.upload_tree("photos", "backups", prefix="photos/").good  # doctest: +SKIP
        True

    An object is called as its file's path below `directory`, behind `prefix`. Empty directories
    become objects whose names end with "/". `mode` says what becomes of objects that are there:
    SYNC replaces those of another size, and those that are older than their files (with `checksum`
    any) and have another content; REPLACE all, KEEP none; with ASK each is a failure, as there is
    nobody to ask. `include` or `exclude` are shell
    patterns for the paths, of which "*" matches "/" too. `delete` deletes the objects under the
    prefix that have no file, never for a directory that is empty. `parallel` files or parts go at
    a time, or with `adaptive` at most so many, as the line and the service allow. Without
    `follow_links` symbolic links are as if they were not there.

    A file that fails does not stop the others and raises nothing: see `TreeResult.failures`.
    Called again after it was stopped or killed, it goes on, as the command line does, and with
    the same files in the state directory. Where these cannot be used, `listener` hears a Notice.

    `wishes` are fields of `ocihaul.transfer.uploads.request.UploadRequest` that all files can
    share: part_size (bytes), multipart, verify_checksum, metadata, storage_tier, cache_control,
    kms_key_id, sse_customer_key, content_type ("auto" guesses it from each name) and the other
    content_… headers. The rest is as for `ocihaul.upload`.

    Raises OcihaulError for what concerns all files: UsageError before anything is sent;
    ConfigError, SessionError, ServiceError (no such bucket), NetworkError, JournalError when
    there is no room for the results, Interrupted after `stop`.
    """
    root = os.fspath(directory)
    walk.check_root(root, flag="directory")
    mode = _mode(mode)
    _check_wishes(wishes)
    guess_types = wishes.get("content_type") == "auto"
    if guess_types:
        wishes["content_type"] = None
    include, exclude = _patterns(include), _patterns(exclude)
    local = make_filter(include, exclude, root=root)
    remote = make_filter(include, exclude, root=bucket, prefix=prefix)

    def request(namespace: str) -> TreeUpload:
        each = UploadRequest(
            source=Path(root),
            name="-",
            namespace=namespace,
            bucket=bucket,
            parallel=parallel,
            **wishes,
        )
        return TreeUpload(
            root=root,
            each=each,
            prefix=prefix,
            mode=mode,
            local_filter=local,
            remote_filter=remote,
            follow_links=follow_links,
            guess_types=guess_types,
            empty_directories=True,
            checksum=checksum,
            delete=delete,
            dry_run=dry_run,
        )

    run = _Run(
        work=lambda work, namespace: upload.upload_tree(request(namespace), work),
        key=lambda endpoint, namespace: upload.upload_key(request(namespace), endpoint),
        done=UPLOADED,
        dry=dry_run,
        # What is new or different is seen without a memory.
        remembers=mode is not Mode.SYNC and not dry_run,
        adaptive=adaptive,
        journal=not dry_run,
    )
    place = Place(
        profile=profile,
        config_file=config_file,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=session_wait,
    )
    return run.at(place, namespace, listener, stop or threading.Event())


def download_tree(
    bucket: str,
    directory: str | Path,
    *,
    prefix: str = "",
    mode: Mode = Mode.SYNC,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    checksum: bool = False,
    delete: bool = False,
    dry_run: bool = False,
    parallel: int = 10,
    adaptive: bool = False,
    follow_links: bool = True,
    part_size: int | None = None,
    multipart: bool = True,
    sse_customer_key: SseCustomerKey | None = None,
    namespace: str | None = None,
    profile: str | None = None,
    config_file: str | Path | None = None,
    auth: str | None = None,
    region: str | None = None,
    endpoint: str | None = None,
    auth_endpoint: str | None = None,
    session_wait: float = 0.0,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
) -> TreeResult:
    """Download all objects under a prefix, and return when each was tried.

        >>> import ocihaul
        >>> ocihaul.download_tree("backups", "photos", prefix="photos/").good  # doctest: +SKIP
        True

    A file is called as its object without `prefix`, below `directory`, which is made; it gets its
    object's time. A name that ends with "/" becomes a directory, and archived objects are
    skipped. `mode` says what becomes of files that are there: SYNC replaces those of another size,
    and those that are older than their objects (with `checksum` any) and have another content.
    `delete` deletes the files that have no object, never
    where nothing is under the prefix; without `follow_links` it leaves symbolic links alone.
    `part_size` is bytes: objects of more (128 MiB when None) are fetched in parts, unless
    `multipart` is False. Nothing is ever written outside of `directory`. The rest is as for
    `upload_tree`.

    Raises OcihaulError for what concerns all objects: UsageError before anything is fetched;
    ConfigError, SessionError, ServiceError (no such bucket), NetworkError, TargetError when the
    directory cannot be made or its disk fails, JournalError when there is no room for the results,
    Interrupted after `stop`.
    """
    root = os.fspath(directory)
    destination.check_root(root, flag="directory")
    mode = _mode(mode)
    accept = make_filter(_patterns(include), _patterns(exclude), root=root, prefix=prefix)

    def request(namespace: str) -> TreeDownload:
        return TreeDownload(
            root=root,
            namespace=namespace,
            bucket=bucket,
            prefix=prefix,
            mode=mode,
            filter=accept,
            follow_links=follow_links,
            strip_prefix=True,
            checksum=checksum,
            delete=delete,
            dry_run=dry_run,
            multipart=multipart,
            part_size=part_size,
            parallel=parallel,
            sse_customer_key=sse_customer_key,
        )

    run = _Run(
        work=lambda work, namespace: download.download_tree(request(namespace), work),
        key=lambda endpoint, namespace: download.download_key(request(namespace), endpoint),
        done=DOWNLOADED,
        dry=dry_run,
        remembers=mode is not Mode.SYNC and not dry_run,
        adaptive=adaptive,
        journal=False,  # a download's own files say how far it is
    )
    place = Place(
        profile=profile,
        config_file=config_file,
        auth=auth,
        region=region,
        endpoint=endpoint,
        auth_endpoint=auth_endpoint,
        session_wait=session_wait,
    )
    return run.at(place, namespace, listener, stop or threading.Event())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run over a tree: `work` does it in a namespace, `done` is the kind of its successes.

    `key` is the ledger's name of the run, from the endpoint and the namespace.
    """

    work: Callable[[Work, str], None]
    key: Callable[[str, str], str]
    done: str
    dry: bool
    remembers: bool
    adaptive: bool
    journal: bool

    def at(
        self, place: Place, namespace: str | None, listener: Listener, stop: threading.Event
    ) -> TreeResult:
        """Do it there."""
        size = _Size()
        pace = Pace() if self.adaptive else None
        tell = audience(listener, size, *([pace] if pace is not None else []))
        with ExitStack() as opened:
            results = opened.enter_context(Results())
            journal = opened.enter_context(open_journal(listener)) if self.journal else None
            storage = opened.enter_context(place.storage(_COMMAND, tell, stop))
            namespace = namespace or storage.get_namespace()
            key = self.key(storage.base_url(namespace), namespace) if self.remembers else None
            ledger = opened.enter_context(open_ledger(key, listener))
            work = Work(storage, results, tell, stop, journal=journal, ledger=ledger, pace=pace)
            self.work(work, namespace)
            return self._result(results, size.total)

    def _result(self, results: Results, size: int) -> TreeResult:
        failures = chain(results.items(FAILED), results.items(NOT_DELETED))
        return TreeResult(
            transferred=results.count(self.done),
            skipped=results.count(SKIPPED),
            deleted=results.count(DELETED) + (results.count(EXTRA) if self.dry else 0),
            failed=results.count(FAILED) + results.count(NOT_DELETED),
            size=size,
            failures=dict(islice(failures, MOST_FAILURES)),
        )


class _Size:
    """A listener that adds up the bytes of what is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards total
        self.total = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, FileFinished):
            with self._lock:
                self.total += event.size


def _mode(mode: object) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        names = ", ".join(each.name for each in Mode)
        raise UsageError(f"{mode!r} is no mode", hint=f"ocihaul.Mode has {names}.") from None


def _patterns(given: Iterable[str]) -> tuple[str, ...]:
    """The patterns; one text is one pattern."""
    patterns = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(each, str) for each in patterns):
        raise UsageError("include and exclude are patterns: texts")
    return patterns


def _check_wishes(wishes: Mapping[str, object]) -> None:
    """Raise UsageError for what cannot be the same for all files."""
    misfits = sorted(wishes.keys() - _OF_EACH)
    if misfits:
        raise UsageError(
            f"{', '.join(misfits)}: this cannot be said of all files of a tree",
            hint=f"What can be: {', '.join(sorted(_OF_EACH))}.",
        )
