"""All that has to go before a bucket can: `os bucket delete --empty`, and versions in bulk.

Each kind is listed and deleted several at a time; what cannot be deleted does not stop the rest.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from ocihaul.errors import OcihaulError, TransferCancelled

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

#: How many are deleted before more are listed.
_BATCH = 1000

#: What is shown of a thing, and how it is deleted.
Doomed = tuple[str, Callable[[], object]]


@dataclass(slots=True)
class Deletions:
    """What became of the things of one kind; `failures` have a reason each."""

    kind: str
    deleted: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """As the official CLI's JSON."""
        return {"delete-failures": dict(self.failures), "deleted-objects": list(self.deleted)}

    def rows(self, *, dry_run: bool) -> list[dict[str, str]]:
        """As the rows of its table."""
        action = "Dry Run" if dry_run else "Deleted"
        failed = [
            {"action": "Failed", self.kind: name, "error-message": reason}
            for name, reason in self.failures.items()
        ]
        gone = [{"action": action, "type": self.kind, "name": name} for name in self.deleted]
        return [*failed, *gone]


def emptied(
    storage: "StorageClient",
    namespace: str,
    bucket: str,
    *,
    dry_run: bool,
    parallel: int,
    stop: threading.Event,
) -> list[Deletions]:
    """Delete everything that a bucket has, or only list it with `dry_run`.

    Raises what concerns all of it: ServiceError for a bucket that is not there, TransferCancelled.
    """
    versioned = storage.get_bucket(namespace, bucket).get("versioning") not in {None, "Disabled"}
    where = (namespace, bucket)
    kinds: list[tuple[str, Iterator[Doomed]]] = [
        ("replication-policy", _policies(storage, *where)),
        ("preauth-request", _pars(storage, *where)),
        ("object", versions(storage, *where) if versioned else _objects(storage, *where)),
        ("multipart-upload", _uploads(storage, *where)),
    ]
    return [
        delete_all(kind, doomed, dry_run=dry_run, parallel=parallel, stop=stop)
        for kind, doomed in kinds
    ]


def shown(outcome: Sequence[Deletions], *, dry_run: bool, table: bool) -> object:
    """The outcome as JSON by kinds, or as the rows of one table."""
    if table:
        return [row for each in outcome for row in each.rows(dry_run=dry_run)]
    return {each.kind: each.document() for each in outcome}


def delete_all(
    kind: str,
    doomed: Iterable[Doomed],
    *,
    dry_run: bool,
    parallel: int,
    stop: threading.Event,
) -> Deletions:
    """Delete them, `parallel` at a time. Raises TransferCancelled once `stop` is set."""
    outcome = Deletions(kind)
    if dry_run:
        outcome.deleted += [name for name, _ in doomed]
        return outcome
    waiting = iter(doomed)
    while batch := list(islice(waiting, _BATCH)):
        with ThreadPoolExecutor(parallel) as pool:
            for (name, _), reason in zip(batch, pool.map(_tried, batch), strict=True):
                if reason is None:
                    outcome.deleted.append(name)
                else:
                    outcome.failures[name] = reason
        if stop.is_set():
            raise TransferCancelled("stopped before everything was deleted")
    return outcome


def _tried(doomed: Doomed) -> str | None:
    """Delete one; the reason where that was not possible."""
    try:
        doomed[1]()
    except TransferCancelled as error:
        return error.message
    except OcihaulError as error:
        return error.message
    return None


def versions(
    storage: "StorageClient",
    namespace: str,
    bucket: str,
    *,
    prefix: str | None = None,
    delimiter: str | None = None,
    name: str | None = None,
    accept: Callable[[str], bool] | None = None,
) -> Iterator[Doomed]:
    """All versions and delete markers, of one object with `name`, as `name,version`."""
    from ocihaul.storage.values import Selection

    selection = Selection(prefix=name or prefix, start=name, delimiter=delimiter, fields="name")
    for page in storage.list_object_versions(namespace, bucket, selection):
        for each in page.objects:
            if name not in {None, each.name} or (accept is not None and not accept(each.name)):
                continue
            yield f"{each.name},{each.version_id}", _version(storage, namespace, bucket, each)


def _version(
    storage: "StorageClient", namespace: str, bucket: str, each: Any
) -> Callable[[], object]:
    return lambda: storage.delete_object(namespace, bucket, each.name, version_id=each.version_id)


def _objects(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    from ocihaul.storage.values import Selection

    for page in storage.list_objects(namespace, bucket, Selection(fields="name")):
        for each in page.objects:
            yield each.name, _object(storage, namespace, bucket, each.name)


def _object(
    storage: "StorageClient", namespace: str, bucket: str, name: str
) -> Callable[[], object]:
    return lambda: storage.delete_object(namespace, bucket, name)


def _policies(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    # Listed as a whole first: what is deleted meanwhile would move the pages.
    for each in list(storage.list_replication_policies(namespace, bucket)):
        policy = str(each.get("id", ""))
        yield str(each.get("name", policy)), _policy(storage, namespace, bucket, policy)


def _policy(
    storage: "StorageClient", namespace: str, bucket: str, policy: str
) -> Callable[[], object]:
    return lambda: storage.delete_replication_policy(namespace, bucket, policy)


def _pars(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    for each in list(storage.list_preauthenticated_requests(namespace, bucket)):
        yield each.name, _par(storage, namespace, bucket, each.par_id)


def _par(
    storage: "StorageClient", namespace: str, bucket: str, par_id: str
) -> Callable[[], object]:
    return lambda: storage.delete_preauthenticated_request(namespace, bucket, par_id)


def _uploads(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    for each in list(storage.list_multipart_uploads(namespace, bucket)):
        yield each.name, _upload(storage, namespace, bucket, each)


def _upload(
    storage: "StorageClient", namespace: str, bucket: str, each: Any
) -> Callable[[], object]:
    return lambda: storage.abort_multipart_upload(
        namespace, bucket, each.name, upload_id=each.upload_id
    )
