"""`ocihaul cp`: its options, and every copy by the engine that the other commands have."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, client_at_work, settle
from ocihaul.cli.options import ParallelCount, PartSize
from ocihaul.cli.process import DONE, FAILED, is_of_one, worst
from ocihaul.cli.shell.cp_plan import STREAM, Copy, RefusedCopy, plan
from ocihaul.cli.shell.uri import SCHEME, ObjectUri, is_uri, run_command
from ocihaul.errors import OcihaulError, ServiceError, TransferCancelled, UsageError
from ocihaul.threads import call_for_each

if TYPE_CHECKING:
    from ocihaul.cli.shell.uri import OnOdd
    from ocihaul.cli.transfer_run import TransferRun
    from ocihaul.client import Client
    from ocihaul.directories.results import Results


@click.command("cp")
@click.argument("paths", nargs=-1, required=True, metavar="SOURCE... TARGET")
@click.option("-r", "-R", "--recursive", is_flag=True, help="Directories, with all below them.")
@click.option("-n", "--no-clobber", is_flag=True, help="Keep what is there. [it is replaced]")
@click.option("--part-size", type=PartSize(), help="Size of a part in MiB, or with its unit (10M).")
@click.option("--parallel", type=ParallelCount(), help="Parts or files at a time, or auto. [10]")
@global_options(hidden=True)
@click.pass_context
def cp(context: click.Context, /, **options: Any) -> None:
    """Copy files and objects: paths, oci://bucket[@namespace]/name, and - for stdin or stdout.

    Into a directory (a TARGET that ends with "/", a bucket, or one that is here) a SOURCE goes by
    its own name; a directory that is written with "/" at its end, by what is in it. Files are sent
    and fetched as by os object put and get, and resumed as these are. From bucket to bucket the
    service copies, and it is waited for.
    """

    raise click.exceptions.Exit(run_command(settle(context, options, command=("cp",)), run))


_Item = TypeVar("_Item")

#: Copies of the service that are under way at a time.
_COPIES = 10
#: Seconds between two looks at a copy: the first, and the longest.
_LOOKS = (0.2, 5.0)


def run(invocation: Invocation) -> int:
    """Make all copies; returns the worst exit status. What is wrong is found before the first."""
    options = invocation.options
    into = str(options["paths"][-1])
    try:
        copies = list(plan(options["paths"], recursive=bool(options["recursive"])))
    except UsageError as error:
        from ocihaul.cli.transfer_run import fail

        return fail(invocation, "cp", _without_scheme(into), error)
    if len(copies) == 1:
        return _one(invocation, copies[0])
    return _several(invocation, into, [(str(each.source), each) for each in copies], _one)


def _several(
    invocation: Invocation,
    into: str,
    items: Sequence[tuple[str, _Item]],
    transfer: Callable[[Invocation, _Item], int],
) -> int:
    from ocihaul.cli.transfer_run import run_several

    buckets = {name.partition("/")[0] for name in map(_without_scheme, dict(items))}
    # From several buckets to files, one that is missing is about its own objects.
    apart = len(buckets) > 1 and not is_uri(into)

    def goes_on(error: OcihaulError) -> bool:
        return is_of_one(error, one_bucket=not apart)

    return run_several(invocation, "cp", _without_scheme(into), items, transfer, is_of_one=goes_on)


def _without_scheme(address: str) -> str:
    return address.removeprefix(SCHEME)


def _one(invocation: Invocation, copy: Copy | RefusedCopy) -> int:
    if isinstance(copy, RefusedCopy):
        from ocihaul.cli.transfer_run import fail

        return fail(invocation, "cp", _without_scheme(str(copy.source)), copy.error)
    match copy.source, copy.target:
        case ObjectUri() as source, ObjectUri() as target:
            return _between_buckets(invocation, source, target, recursive=copy.recursive)
        case ObjectUri() as source, str() as path:
            return _down(invocation, source, path, recursive=copy.recursive)
        case str() as path, ObjectUri() as target:
            upload = _upload_directory if copy.recursive and Path(path).is_dir() else _upload
            return upload(invocation, path, target)
    raise TypeError("cp copies to or from a bucket")


def _with_options(invocation: Invocation, **more: object) -> Invocation:
    """The same, with the options of the command that does the work."""
    return replace(invocation, options={**invocation.options, **more})


# Up


def _upload(invocation: Invocation, path: str, target: ObjectUri) -> int:
    from ocihaul.cli.objects.put import run_put
    from ocihaul.cli.objects.put_options import build_request

    keep = bool(invocation.options["no_clobber"])
    given = _with_options(
        invocation,
        bucket_name=target.bucket,
        namespace=target.namespace,
        name=target.name,
        file=path,
        no_overwrite=keep,
        force=not keep,
        parallel_upload_count=invocation.options["parallel"],
    )
    return run_put(
        given,
        lambda: build_request(given.options, home=given.home),
        command="cp",
        answers=False,
    )


def _upload_directory(invocation: Invocation, path: str, target: ObjectUri) -> int:
    from ocihaul.cli.directories import options as shared
    from ocihaul.cli.directories.run import UPLOAD, run_directory
    from ocihaul.directories.request import DirectoryUpload
    from ocihaul.transfer.upload.request import UploadRequest

    given = invocation.options
    request = DirectoryUpload(
        root=path,
        prefix=target.prefix,
        each=UploadRequest(
            source=Path(path),
            namespace=target.namespace or "",
            bucket=target.bucket,
            name="-",
            part_size=given["part_size"],
            parallel=shared.parallel(given["parallel"]),
        ),
        mode=_mode(given),
    )
    return run_directory(
        _with_options(invocation, src_dir=path),
        request,
        UPLOAD,
        command="cp",
        adaptive=_adaptive(given),
        dry_run=_print_nothing,
    )


# Down


def _down(invocation: Invocation, source: ObjectUri, path: str, *, recursive: bool) -> int:
    if not recursive:
        return _download(invocation, source, path)
    from ocihaul.cli.shell.uri import look

    try:
        with client_at_work(invocation) as (client, _):
            found = look(client, source)
    except OcihaulError as error:
        from ocihaul.cli.transfer_run import fail

        return fail(invocation, "cp", f"{source.bucket}/{source.name}", error)
    if not found.is_directory:
        return _download(invocation, source, path)
    if not found.is_object:
        return _download_directory(invocation, source, path)

    def both(part: Invocation, download: _Download) -> int:
        return download(part, source, path)

    if invocation.whole is not None:
        return worst([both(invocation, _download), both(invocation, _download_directory)])
    items = [(str(source), _download), (f"{source}/", _download_directory)]
    return _several(invocation, path, items, both)


_Download = Callable[[Invocation, ObjectUri, str], int]


def _download(invocation: Invocation, source: ObjectUri, path: str) -> int:
    from ocihaul.cli.objects.get import build_request, run_get

    if invocation.options["no_clobber"] and path != STREAM and os.path.lexists(path):
        return _keep(invocation, source, path)
    given = _with_options(
        invocation,
        bucket_name=source.bucket,
        namespace=source.namespace,
        name=source.name,
        file=path,
        parallel_download_count=invocation.options["parallel"],
    )
    return run_get(
        given,
        lambda: build_request(given.options, stdout=given.stdout, home=given.home),
        command="cp",
    )


def _keep(invocation: Invocation, source: ObjectUri, path: str) -> int:
    from ocihaul.cli.run_result import KEPT
    from ocihaul.cli.transfer_run import run_transfer

    def work(run: "TransferRun") -> int:
        run.state = KEPT
        run.notice(f"{path} is there, and is kept")
        return DONE

    return run_transfer(invocation, "cp", f"{source.bucket}/{source.name}", work)


def _download_directory(invocation: Invocation, source: ObjectUri, path: str) -> int:
    from ocihaul.cli.directories import options as shared
    from ocihaul.cli.directories.run import DOWNLOAD, run_directory
    from ocihaul.directories.request import DirectoryDownload

    given = invocation.options
    request = DirectoryDownload(
        root=path,
        namespace=source.namespace or "",
        bucket=source.bucket,
        prefix=source.prefix,
        strip_prefix=True,
        mode=_mode(given),
        part_size=given["part_size"],
        parallel=shared.parallel(given["parallel"]),
    )
    return run_directory(
        _with_options(invocation, dest_dir=path),
        request,
        DOWNLOAD,
        command="cp",
        adaptive=_adaptive(given),
        dry_run=_print_nothing,
    )


def _mode(given: Mapping[str, Any]) -> Any:
    from ocihaul.directories.compare import SyncMode

    return SyncMode.KEEP if given["no_clobber"] else SyncMode.REPLACE


def _adaptive(given: Mapping[str, Any]) -> bool | None:
    from ocihaul.cli.options import AUTO

    return None if given["parallel"] is None else given["parallel"] == AUTO


def _print_nothing(results: "Results", stdout: TextIO) -> None:
    """What was copied is not said: the log has how many."""


# Between buckets


def _between_buckets(
    invocation: Invocation, source: ObjectUri, target: ObjectUri, *, recursive: bool
) -> int:
    region = invocation.settings().region
    if region is None:
        raise UsageError(
            "cp: the service copies to a region, and none is known",
            hint="Say --region us-ashburn-1 (or yours), or set OCI_CLI_REGION.",
        )
    from ocihaul.cli.transfer_run import run_transfer

    def work(run: "TransferRun") -> int:
        return _copy_all(invocation, run, region, source, target, recursive=recursive)

    return run_transfer(invocation, "cp", f"{target.bucket}/{target.name}", work)


def _copy_all(
    invocation: Invocation,
    run: "TransferRun",
    region: str,
    source: ObjectUri,
    target: ObjectUri,
    *,
    recursive: bool,
) -> int:
    from ocihaul.cli.client import client_for
    from ocihaul.cli.run_result import FileCounts

    settings = invocation.settings()
    for text in invocation.notices(settings):
        run.notice(f"Notice: {text}")
    left_out: list[str] = []
    with client_for(settings, listener=run, stop=run.stop) as client:
        _check_distinct(client, source, target, recursive=recursive)
        # Listed as a whole first: the target may be below the source.
        pairs = list(_pairs(client, source, target, left_out.append, recursive=recursive))
        copier = _Copier(client, region, run.stop, keep=bool(invocation.options["no_clobber"]))
        call_for_each(pairs, copier.copy, parallel=min(_COPIES, len(pairs)), name="ocihaul-copy")
    failed = len(copier.failed) + len(left_out)
    run.files = FileCounts(
        transferred=copier.copied, unchanged=copier.kept, deleted=0, failed=failed
    )
    for reason in left_out:
        run.notice(f"failed: an entry of the list cannot be copied: {reason}")
    if copier.kept:
        run.notice(f"{copier.kept} of {len(pairs)} are there, and are kept")
    if len(pairs) == 1 and copier.failed and not left_out:
        raise copier.failed[0][1]
    for each, error in copier.failed:
        run.notice(f"failed: {each}: {error}")
    if copier.ended_by:
        raise copier.ended_by[0]
    if failed:
        total = len(pairs) + len(left_out)
        run.notice(f"{failed} of {total} failed; the others are done.")
        return FAILED
    return DONE


def _check_distinct(
    client: "Client", source: ObjectUri, target: ObjectUri, *, recursive: bool
) -> None:
    """Raise UsageError for what would be copied over itself."""
    places = {
        (each.namespace or client.namespace, each.bucket, each.prefix if recursive else each.name)
        for each in (source, target)
    }
    if len(places) == 1:
        raise UsageError(f"{source} and {target} are the same", hint="Name another target.")


def _pairs(
    client: "Client",
    source: ObjectUri,
    target: ObjectUri,
    on_odd: "OnOdd",
    *,
    recursive: bool,
) -> Iterator[tuple[ObjectUri, ObjectUri]]:
    from ocihaul.cli.shell.uri import look, objects_below

    found = look(client, source)
    if found.is_object:
        yield source, target
    elif not recursive:
        raise OcihaulError(f"{source}: there is no such object", hint="Copy a prefix with -r.")
    if found.is_directory and recursive:
        for each in objects_below(client, source, on_odd):
            copy = target.below(each.name[len(source.prefix) :])
            # What stands for the directory itself has no name in a bucket.
            if copy.name:
                yield replace(source, name=each.name), copy


class _CopyFailedError(OcihaulError):
    """The service has accepted a copy, and not made it."""


class _Copier:
    """Has the service copy one object after the other; used from several threads."""

    def __init__(self, client: "Client", region: str, stop: threading.Event, *, keep: bool) -> None:
        self._client = client
        self._region = region
        self._stop = stop
        self._keep = keep
        self._lock = threading.Lock()  # guards what follows
        self.copied = self.kept = 0
        #: What was not copied, and why.
        self.failed: list[tuple[ObjectUri, OcihaulError]] = []
        #: What the next one would fail from, too.
        self.ended_by: list[OcihaulError] = []

    def copy(self, pair: tuple[ObjectUri, ObjectUri]) -> None:
        """Copy and wait, unless something is wrong for all."""
        if self.ended_by:
            return
        try:
            copied = self._copy(*pair)
            with self._lock:
                self.copied += copied
                self.kept += not copied
        except OcihaulError as error:
            with self._lock:
                if is_of_one(error):
                    self.failed.append((pair[0], error))
                else:
                    self.ended_by.append(error)

    def _copy(self, source: ObjectUri, target: ObjectUri) -> bool:
        """Whether it was copied: what is there may be kept."""
        if self._keep and self._is_there(target):
            return False
        storage, own = self._client.storage, self._client.namespace
        details: dict[str, object] = {
            "sourceObjectName": source.name,
            "destinationRegion": self._region,
            "destinationNamespace": target.namespace or own,
            "destinationBucket": target.bucket,
            "destinationObjectName": target.name,
        }
        if self._keep:
            details["destinationObjectIfNoneMatchETag"] = "*"
        work_id = storage.copy_object(source.namespace or own, source.bucket, details)
        try:
            self._wait(work_id, source, target)
        except _CopyFailedError:
            # Others have made it, or our first request whose answer was lost.
            if not (self._keep and self._is_there(target)):
                raise
        return True

    def _is_there(self, target: ObjectUri) -> bool:
        try:
            self._client.head_object(target.bucket, target.name, namespace=target.namespace)
        except ServiceError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _wait(self, work_id: str, source: ObjectUri, target: ObjectUri) -> None:
        pause, longest = _LOOKS
        while True:
            work = self._client.storage.get_work_request(work_id)
            if work.over:
                break
            if self._stop.wait(pause):
                raise TransferCancelled(f"stopped; the service goes on with the copy {work_id}")
            pause = min(2 * pause, longest)
        if work.status != "COMPLETED":
            raise _CopyFailedError(
                f"{source} was not copied to {target}: its work request is {work.status}",
                hint=f"See why: ocihaul os work-request-error list --work-request-id {work_id}",
            )
