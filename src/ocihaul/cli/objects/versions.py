"""Versions of objects, listed and deleted, and all else that has to go before a bucket can.

`os object list-object-versions` and `bulk-delete-versions`; `os bucket delete --empty` calls this
too. Each kind is listed and deleted several at a time; what cannot be deleted does not stop the
rest.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.directories import options as shared
from ocihaul.cli.invocation import Invocation, at_work, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import (
    OFFICIAL_PAGE,
    agreed,
    all_option,
    check_all,
    command,
    force_option,
    question,
    told,
)
from ocihaul.cli.process import DONE, FAILED, is_of_one
from ocihaul.errors import OcihaulError, TransferCancelled, UsageError
from ocihaul.threads import call_for_each

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient
    from ocihaul.storage.values import ListedObject, ObjectPage


@question("os", "object", "list-object-versions", required=("bucket_name",))
@namespace_option
@click.option("-bn", "--bucket-name", "--bucket", "bucket_name", help="The bucket. [required]")
@click.option("--prefix", help="Only names that begin with this.")
@click.option("--start", help="Only names from this one on.")
@click.option("--end", help="Only names before this one.")
@click.option("--start-after", help="Only names after this one.")
@click.option("--delimiter", help="Tell names up to this character, once. It can only be /.")
@click.option("--fields", help="What to tell of each version, separated by commas. [everything]")
@click.option("--page", help="Where to go on: opc-next-page of an earlier answer.")
@all_option
def list_object_versions(
    invocation: Invocation, storage: "StorageClient", namespace: str
) -> object:
    """List the versions of the objects in a bucket: 100, unless --limit or --all says otherwise."""
    from ocihaul.cli.objects.official_json import object_version
    from ocihaul.storage.values import ALL_FIELDS, PAGE, Selection

    check_all(invocation)
    options = invocation.options
    fields = options["fields"]
    selection = Selection(
        prefix=options["prefix"],
        start=options["start"] or None,
        end=options["end"],
        start_after=options["start_after"],
        delimiter=options["delimiter"],
        fields=ALL_FIELDS if fields is None else fields,
    )
    everything = options["all_pages"]
    page_size = options["page_size"] or (PAGE if everything else OFFICIAL_PAGE)
    found: list[dict[str, Any]] = []
    prefixes: dict[str, None] = {}
    following = None
    pages = storage.list_object_versions(
        namespace,
        options["bucket_name"],
        selection,
        page=options["page"],
        limit=None if everything else options["limit"] or OFFICIAL_PAGE,
        page_size=min(page_size, PAGE),
    )
    for page in told(pages, invocation):
        found += map(object_version, page.objects)
        prefixes |= dict.fromkeys(page.prefixes)
        following = page.following
    answer: dict[str, Any] = {"prefixes": list(prefixes)}
    if found:
        answer["data"] = found
    if following is not None:
        answer["opc-next-page"] = following
    return answer


@bucket_options
@click.option("--prefix", help="Only objects whose names begin with this. [all in the bucket]")
@click.option("--object-name", help="Only the versions of this object.")
@click.option("--delimiter", help='Only objects without "/" behind the prefix. The only one is /.')
@shared.options(shared.DRY_RUN)
@force_option
@click.option(
    "--parallel-operations-count",
    type=click.IntRange(1, 1000),
    help="Operations at the same time. [10]",
)
@shared.options(shared.FILTERS)
def _bulk_delete_versions() -> None:
    """Delete all versions of the objects that match, for good.

    A version that cannot be deleted does not stop the others.
    """


def _run(invocation: Invocation) -> int:
    from ocihaul.cli.options import namespace_or_none
    from ocihaul.directories.request import make_filter
    from ocihaul.storage.values import PAGE

    options = invocation.options
    bucket, name, prefix = options["bucket_name"], options["object_name"], options["prefix"]
    include, exclude = shared.patterns(options["include"]), shared.patterns(options["exclude"])
    if name and (prefix or include or exclude):
        raise UsageError(
            "The --object-name parameter cannot be combined with either --prefix or --include or "
            "--exclude"
        )
    accept = make_filter(include, exclude, root=bucket, prefix=prefix or "")
    dry_run = bool(options["dry_run"])
    with at_work(invocation) as (storage, stop):
        namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
        doomed: Iterator[Doomed] = versions(
            storage,
            namespace,
            bucket,
            prefix=prefix,
            delimiter=options["delimiter"],
            name=name,
            accept=accept,
        )
        if not (dry_run or options["force"]):
            # The first page is listed before the question, so that it can say how many there are.
            first = list(islice(doomed, PAGE))
            if not first:
                invocation.tell(f"There are no objects to delete in {bucket}")
                return DONE
            text = (
                f"WARNING: This command will delete at least {len(first)} object versions. Are "
                "you sure you wish to continue? [y/N]:"
            )
            if not agreed(invocation, text):
                return FAILED
            doomed = chain(first, doomed)
        outcome = delete_all(
            "object",
            doomed,
            dry_run=dry_run,
            parallel=options["parallel_operations_count"] or shared.DEFAULT_PARALLEL,
            stop=stop,
        )
    table = invocation.view.is_table
    invocation.answer(outcome.rows(dry_run=dry_run) if table else outcome.document())
    return FAILED if outcome.failures else DONE


bulk_delete_versions = command(
    "os", "object", "bulk-delete-versions", required=("bucket_name",), like=_bulk_delete_versions
)(_run)


#: How many are deleted before more are listed.
_BATCH = 1000
_UNUSABLE = "its entry in the list cannot be used: {}"


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is shown of a thing, and how it is deleted; or the `trouble`: why it cannot be."""

    name: str
    delete: Callable[[], object]
    trouble: str | None = None


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
    """Delete them, `parallel` at a time; what cannot be deleted does not stop the rest.

    Raises TransferCancelled once `stop` is set, and the error that the next one would meet, too.
    """
    outcome = Deletions(kind)
    waiting = iter(doomed)
    while batch := list(islice(waiting, _BATCH)):
        reasons = [each.trouble for each in batch]
        if not dry_run:
            reasons = _tried(batch, parallel)
        for each, reason in zip(batch, reasons, strict=True):
            if reason is None:
                outcome.deleted.append(each.name)
            else:
                outcome.failures[each.name] = reason
        if stop.is_set():
            raise TransferCancelled("stopped before everything was deleted")
    return outcome


def _tried(batch: Sequence[Doomed], parallel: int) -> list[str | None]:
    """Delete them; for each the reason where that was not possible."""
    reasons = [each.trouble for each in batch]

    def delete(number: int) -> None:
        try:
            batch[number].delete()
        except OcihaulError as error:
            if not is_of_one(error):
                raise
            reasons[number] = error.message

    sound = [number for number, reason in enumerate(reasons) if reason is None]
    call_for_each(sound, delete, parallel=parallel, name="ocihaul-delete")
    return reasons


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
    numbers = count(1)
    for page in storage.list_object_versions(namespace, bucket, selection):
        yield from _nameless(page, numbers)
        for each in page.objects:
            if name not in {None, each.name} or (accept is not None and not accept(each.name)):
                continue
            delete = partial(
                storage.delete_object, namespace, bucket, each.name, version_id=each.version_id
            )
            yield Doomed(f"{each.name},{each.version_id}", delete, _trouble_of(each))


def _trouble_of(each: "ListedObject") -> str | None:
    """Why a version cannot be deleted: without its id a delete marker would be made instead."""
    fault = each.fault
    if fault is None and each.version_id is None:
        fault = "versionId is missing"
    return None if fault is None else _UNUSABLE.format(fault)


def _nameless(page: "ObjectPage", numbers: Iterator[int]) -> Iterator[Doomed]:
    """The entries of a page without a usable name: each is a failure of its own."""
    for reason in page.odd:
        name = f"(entry without a usable name: {next(numbers)})"
        yield Doomed(name, _nothing, _UNUSABLE.format(reason))


def _nothing() -> None:
    """What cannot be named cannot be deleted."""


def _objects(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    from ocihaul.storage.values import Selection

    numbers = count(1)
    for page in storage.list_objects(namespace, bucket, Selection(fields="name")):
        yield from _nameless(page, numbers)
        for each in page.objects:
            yield Doomed(each.name, partial(storage.delete_object, namespace, bucket, each.name))


def _policies(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    # Listed as a whole first: what is deleted meanwhile would move the pages.
    for each in list(storage.list_replication_policies(namespace, bucket)):
        policy = str(each.get("id") or "")
        delete = partial(storage.delete_replication_policy, namespace, bucket, policy)
        trouble = None if policy else _UNUSABLE.format("id is missing")
        yield Doomed(str(each.get("name", policy)), delete, trouble)


def _pars(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    for each in list(storage.list_preauthenticated_requests(namespace, bucket)):
        delete = partial(storage.delete_preauthenticated_request, namespace, bucket, each.par_id)
        yield Doomed(each.name, delete)


def _uploads(storage: "StorageClient", namespace: str, bucket: str) -> Iterator[Doomed]:
    for each in list(storage.list_multipart_uploads(namespace, bucket)):
        abort = partial(storage.abort_multipart_upload, upload_id=each.upload_id)
        yield Doomed(each.name, partial(abort, namespace, bucket, each.name))
