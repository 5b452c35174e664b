"""`ocihaul cp`: its options, and every copy by the engine that the other commands have."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import Invocation, client_at_work, settle
from ocihaul.cli.options import ParallelCount, PartSize
from ocihaul.cli.process import DONE, worst
from ocihaul.cli.shell.cp_plan import STREAM, Copy, plan
from ocihaul.cli.shell.uri import ObjectUri
from ocihaul.errors import OcihaulError, ServiceError, TransferCancelled, UsageError

if TYPE_CHECKING:
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

    raise click.exceptions.Exit(run(settle(context, options, command=("cp",))))


#: Copies of the service that are under way at a time.
_COPIES = 10
#: Seconds between two looks at a copy: the first, and the longest.
_LOOKS = (0.2, 5.0)


def run(invocation: Invocation) -> int:
    """Make all copies; returns the worst exit status. What is wrong is found before the first."""
    options = invocation.options
    copies = list(plan(options["paths"], recursive=bool(options["recursive"])))
    return worst(_one(invocation, each) for each in copies)


def _one(invocation: Invocation, copy: Copy) -> int:
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
    from ocihaul.cli.objects.put_options import build_request
    from ocihaul.cli.objects.put_run import run_put

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

    with client_at_work(invocation) as (client, _):
        found = look(client, source)
    codes = []
    if found.is_object:
        codes.append(_download(invocation, source, path))
    if found.is_directory:
        codes.append(_download_directory(invocation, source, path))
    return worst(codes)


def _download(invocation: Invocation, source: ObjectUri, path: str) -> int:
    from ocihaul.cli.objects.get import build_request, run_get

    if invocation.options["no_clobber"] and path != STREAM and Path(path).exists():
        invocation.tell(f"{path} is there, and is kept")
        return DONE
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
        raise UsageError("cp: the service copies to a region, and none is known", hint="--region")
    with client_at_work(invocation) as (client, stop):
        pairs = list(_pairs(client, source, target, recursive=recursive))
        if not pairs:
            return DONE
        copier = _Copier(client, region, stop, keep=bool(invocation.options["no_clobber"]))
        with ThreadPoolExecutor(min(_COPIES, len(pairs)), "ocihaul-copy") as pool:
            kept = sum(pool.map(copier.copy, pairs))
    if kept:
        invocation.tell(f"{kept} of {len(pairs)} are there, and are kept")
    return DONE


def _pairs(
    client: "Client", source: ObjectUri, target: ObjectUri, *, recursive: bool
) -> Iterator[tuple[ObjectUri, ObjectUri]]:
    from ocihaul.cli.shell.uri import look, objects_below

    found = look(client, source)
    if found.is_object:
        yield source, target
    elif not recursive:
        raise OcihaulError(f"{source}: there is no such object", hint="Copy a prefix with -r.")
    if found.is_directory and recursive:
        for each in objects_below(client, source):
            below = each.name[len(source.prefix) :]
            yield replace(source, name=each.name), target.below(below)


class _Copier:
    """Has the service copy one object after the other; used from several threads."""

    def __init__(self, client: "Client", region: str, stop: threading.Event, *, keep: bool) -> None:
        self._client = client
        self._region = region
        self._stop = stop
        self._keep = keep

    def copy(self, pair: tuple[ObjectUri, ObjectUri]) -> bool:
        """Copy and wait; returns whether there was one that is kept. Raises OcihaulError."""
        source, target = pair
        if self._keep and self._is_there(target):
            return True
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
        self._wait(work_id, source, target)
        return False

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
            raise OcihaulError(
                f"{source} was not copied to {target}: its work request is {work.status}",
                hint=f"See why: ocihaul os work-request-error list --work-request-id {work_id}",
            )
