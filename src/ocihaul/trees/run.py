"""One whole run over a directory: what to do, what to remember it by, what came of it."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ocihaul.events import Event, FileFinished, Listener, audience
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.journal.journal import Journal
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

#: So many failures are told with their reasons; a directory may have millions.
MOST_FAILURES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResult:
    """What became of a directory, as numbers of files and objects.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRun:
    """One run over a directory: `work` does it in a namespace, `done` is what its successes are.

    `key` is the ledger's name of the run, from the endpoint and the namespace; None: there is
    nothing to remember. `journal` says whether the parts of large files are remembered.
    """

    work: Callable[[Work, str], None]
    key: Callable[[str, str], str] | None
    done: str
    dry: bool
    adaptive: bool
    journal: bool

    def at(
        self,
        storage: StorageClient,
        namespace: str,
        *,
        listener: Listener,
        stop: threading.Event,
        journal: Journal | None,
        pace: Pace | None,
    ) -> DirectoryResult:
        """Do it there."""
        size = _Size()
        tell = audience(listener, size)
        with ExitStack() as opened:
            results = opened.enter_context(Results())
            key = None if self.key is None else self.key(storage.base_url(namespace), namespace)
            ledger = opened.enter_context(open_ledger(key, listener))
            work = Work(storage, results, tell, stop, journal=journal, ledger=ledger, pace=pace)
            self.work(work, namespace)
            return self._result(results, size.total)

    def _result(self, results: Results, size: int) -> DirectoryResult:
        failures = chain(results.items(FAILED), results.items(NOT_DELETED))
        return DirectoryResult(
            transferred=results.count(self.done),
            skipped=results.count(SKIPPED),
            deleted=results.count(DELETED) + (results.count(EXTRA) if self.dry else 0),
            failed=results.count(FAILED) + results.count(NOT_DELETED),
            size=size,
            failures=dict(islice(failures, MOST_FAILURES)),
        )


def uploading(root: str, bucket: str, prefix: str, options: Mapping[str, Any]) -> DirectoryRun:
    """The upload of `root`; `options` are those of `ocihaul.options.DirectoryUploadOptions`.

    Raises UsageError when there is no such directory.
    """
    walk.check_root(root, flag="directory")
    of_run, each = _split(options)
    guess_types = each.get("content_type") == "auto"
    if guess_types:
        each["content_type"] = None
    include, exclude = of_run["include"], of_run["exclude"]
    local = make_filter(include, exclude, root=root)
    remote = make_filter(include, exclude, root=bucket, prefix=prefix)

    def request(namespace: str) -> TreeUpload:
        return TreeUpload(
            root=root,
            each=UploadRequest(
                source=Path(root),
                name="-",
                namespace=namespace,
                bucket=bucket,
                parallel=of_run["parallel"],
                **each,
            ),
            prefix=prefix,
            mode=of_run["mode"],
            local_filter=local,
            remote_filter=remote,
            follow_links=of_run["follow_links"],
            guess_types=guess_types,
            empty_directories=True,
            checksum=of_run["checksum"],
            delete=of_run["delete"],
            dry_run=of_run["dry_run"],
        )

    dry = of_run["dry_run"]
    return DirectoryRun(
        work=lambda work, namespace: upload.upload_tree(request(namespace), work),
        key=(lambda endpoint, namespace: upload.upload_key(request(namespace), endpoint))
        if _remembers(of_run)
        else None,
        done=UPLOADED,
        dry=dry,
        adaptive=of_run["adaptive"],
        journal=not dry,
    )


def downloading(bucket: str, root: str, prefix: str, options: Mapping[str, Any]) -> DirectoryRun:
    """The download to `root`; `options` are those of `ocihaul.options.DirectoryDownloadOptions`.

    Raises UsageError when that is no directory.
    """
    destination.check_root(root, flag="directory")
    of_run, each = _split(options)
    accept = make_filter(of_run["include"], of_run["exclude"], root=root, prefix=prefix)

    def request(namespace: str) -> TreeDownload:
        return TreeDownload(
            root=root,
            namespace=namespace,
            bucket=bucket,
            prefix=prefix,
            mode=of_run["mode"],
            filter=accept,
            follow_links=of_run["follow_links"],
            strip_prefix=True,
            checksum=of_run["checksum"],
            delete=of_run["delete"],
            dry_run=of_run["dry_run"],
            parallel=of_run["parallel"],
            **each,
        )

    return DirectoryRun(
        work=lambda work, namespace: download.download_tree(request(namespace), work),
        key=(lambda endpoint, namespace: download.download_key(request(namespace), endpoint))
        if _remembers(of_run)
        else None,
        done=DOWNLOADED,
        dry=of_run["dry_run"],
        adaptive=of_run["adaptive"],
        journal=False,  # a download's own files say how far it is
    )


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is asked of the run, with what is not given, and what of each file."""
    of_run: dict[str, Any] = {
        "mode": Mode.SYNC,
        "include": (),
        "exclude": (),
        "checksum": False,
        "delete": False,
        "dry_run": False,
        "parallel": 10,
        "adaptive": False,
        "follow_links": True,
    }
    each = {name: value for name, value in options.items() if name not in of_run}
    return of_run | {name: options[name] for name in options if name in of_run}, each


def _remembers(of_run: Mapping[str, Any]) -> bool:
    """What is new or different is seen without a memory."""
    return not of_run["mode"].syncs and not of_run["dry_run"]


class _Size:
    """A listener that adds up the bytes of what is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards total
        self.total = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, FileFinished):
            with self._lock:
                self.total += event.size
