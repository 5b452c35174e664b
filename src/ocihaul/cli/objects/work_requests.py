"""Long work at the service: `os object copy`, work requests, and waiting for their end."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.invocation import Invocation, at_work, bucket_options
from ocihaul.cli.objects.query_command import (
    command,
    extent,
    force_option,
    paging_options,
    question,
    shown,
)
from ocihaul.cli.options import JsonObject
from ocihaul.cli.process import DONE, FAILED
from ocihaul.errors import TransferCancelled

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient
    from ocihaul.storage.values import WorkRequest


#: What the official CLI ends with when the wait was too short.
TIMED_OUT = 2

#: How long, in seconds: a year is longer than any copy takes.
SECONDS = click.IntRange(0, 365 * 86400)
STATES = ("ACCEPTED", "IN_PROGRESS", "FAILED", "COMPLETED", "CANCELING", "CANCELED")
_TIERS = ("Standard", "InfrequentAccess", "Archive")
_DETAILS = {
    "source_object_name": "sourceObjectName",
    "source_object_if_match_e_tag": "sourceObjectIfMatchETag",
    "source_version_id": "sourceVersionId",
    "destination_bucket": "destinationBucket",
    "destination_object_if_match_e_tag": "destinationObjectIfMatchETag",
    "destination_object_if_none_match_e_tag": "destinationObjectIfNoneMatchETag",
    "destination_object_storage_tier": "destinationObjectStorageTier",
}


Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def wait_options(decorated: Decorated) -> Decorated:
    """The options that say for which state to wait, and how long."""
    for add in (
        click.option("--wait-interval-seconds", type=SECONDS, help="How often to look. [30]"),
        click.option("--max-wait-seconds", type=SECONDS, help="How long to wait at most. [1200]"),
        click.option(
            "--wait-for-state",
            multiple=True,
            type=click.Choice(STATES, case_sensitive=False),
            help="Wait until the work request is in (one of) these states.",
        ),
    ):
        decorated = add(decorated)
    return decorated


@bucket_options
@click.option("--source-object-name", help="The object to copy. [required]")
@click.option("--source-version-id", help="One version of it. [the newest]")
@click.option("--source-object-if-match-e-tag", help="Only if it has this etag.")
@click.option("--destination-bucket", help="The bucket of the copy. [required]")
@click.option("--destination-object-name", help="The name of the copy. [the same]")
@click.option("--destination-namespace", help="The namespace of the copy. [our own]")
@click.option("--destination-region", help="The region of the copy. [the profile's]")
@click.option("--destination-object-if-match-e-tag", help="Only over an object with this etag.")
@click.option(
    "--destination-object-if-none-match-e-tag", help="*: only if there is no such object."
)
@click.option(
    "--destination-object-metadata", type=JsonObject(), help="Other metadata: JSON, or file://path."
)
@click.option(
    "--destination-object-storage-tier",
    type=click.Choice(_TIERS, case_sensitive=False),
    help="The storage tier of the copy.",
)
@click.option("--opc-sse-kms-key-id", help="OCID of the master encryption key for the copy.")
@click.option("--encryption-key-file", help="A file with the base64 AES-256 key for the copy.")
@click.option("--source-encryption-key-file", help="The same for the source.")
@wait_options
def _copy() -> None:
    """Have the service copy an object; shows the id of its work request."""


def _run_copy(invocation: Invocation) -> int:
    """Copy, wait if that is wanted, and print; returns the exit status."""
    with at_work(invocation) as (storage, stop):
        begun = {"opc-work-request-id": _begin(invocation, storage)}
        answer, code = waited(invocation, storage, begun, stop)
    invocation.answer(answer)
    return code


def outcome(work: "WorkRequest", wanted: Sequence[str]) -> int:
    """The exit status when the wait is over."""
    if work.status in wanted:
        return DONE
    return FAILED if work.over else TIMED_OUT


def _begin(invocation: Invocation, storage: "StorageClient") -> str:
    from ocihaul.cli.options import customer_key, metadata, namespace_or_none

    options, home = invocation.options, invocation.home
    namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
    details: dict[str, object] = {
        key: options[name] for name, key in _DETAILS.items() if options[name] is not None
    }
    details["destinationObjectName"] = (
        options["destination_object_name"] or options["source_object_name"]
    )
    details["destinationNamespace"] = options["destination_namespace"] or namespace
    details["destinationRegion"] = options["destination_region"] or invocation.settings().region
    if options["destination_object_metadata"] is not None:
        details["destinationObjectMetadata"] = metadata(
            options["destination_object_metadata"], home
        )
    headers: dict[str, str] = {}
    if key := customer_key(options["encryption_key_file"], home):
        headers |= key.headers()
    if key := customer_key(options["source_encryption_key_file"], home):
        headers |= {
            name.replace("opc-", "opc-source-", 1): value for name, value in key.headers().items()
        }
    if options["opc_sse_kms_key_id"] is not None:
        headers["opc-sse-kms-key-id"] = options["opc_sse_kms_key_id"]
    return storage.copy_object(namespace, options["bucket_name"], details, headers)


def wait_for_work(
    storage: "StorageClient",
    work_id: str,
    wanted: Sequence[str],
    options: Any,
    stop: threading.Event,
) -> "WorkRequest":
    """The work request once it is in a wanted state, over, or the time is up."""
    interval = options["wait_interval_seconds"]
    longest = options["max_wait_seconds"]
    deadline = time.monotonic() + (1200 if longest is None else longest)
    while True:
        work = storage.get_work_request(work_id)
        left = deadline - time.monotonic()
        if work.status in wanted or work.over or left <= 0:
            return work
        if stop.wait(max(min(30 if interval is None else interval, left), 0.1)):
            raise TransferCancelled(f"stopped; the service goes on with the work request {work_id}")


copy = command(
    *("os", "object", "copy"),
    required=("bucket_name", "source_object_name", "destination_bucket"),
    like=_copy,
)(_run_copy)


def waited(
    invocation: Invocation,
    storage: "StorageClient",
    headers: Mapping[str, str],
    stop: threading.Event,
) -> tuple[dict[str, Any] | None, int]:
    """What is printed of the work request that `headers` name, and the exit status."""
    from ocihaul.cli.objects.official_json import described, work_request

    given = invocation.options["wait_for_state"] or ()
    wanted = [each.upper() for each in ([given] if isinstance(given, str) else given)]
    work_id = headers.get("opc-work-request-id")
    if not wanted or not work_id:
        return described(None, headers), DONE
    states = ", ".join(wanted)
    invocation.tell(f"Action completed. Waiting until the work request has entered state: {states}")
    work = wait_for_work(storage, work_id, wanted, invocation.options, stop)
    code = outcome(work, wanted)
    if code == TIMED_OUT:
        text = "Failed to wait until the work request entered the specified state."
        invocation.tell(f"{text} Outputting last known resource state")
    return described(work_request(work), {}), code


_work_option = click.option("--work-request-id", help="The id of the work request. [required]")
_ID = ("work_request_id",)


@question("os", "work-request", "get", required=_ID, needs_namespace=False)
@_work_option
def work_request_get(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
    """Show how far the service is with a work request, such as a copy."""
    from ocihaul.cli.objects.official_json import described, work_request

    found = storage.get_work_request(invocation.options["work_request_id"])
    return described(work_request(found), {})


@question("os", "work-request", "list", required=("compartment_id",), needs_namespace=False)
@click.option("-c", "--compartment-id", help="The OCID of the compartment. [required]")
@click.option("--private-endpoint-name", help="Only those of this private endpoint.")
@paging_options
def list_requests(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
    """List the work requests of a compartment."""
    from ocihaul.cli.objects.official_json import work_request_summary

    options = invocation.options
    found = storage.list_work_requests(
        options["compartment_id"],
        private_endpoint_name=options["private_endpoint_name"],
        extent=extent(invocation),
    )
    return shown(invocation, found, work_request_summary)


@question(
    *("os", "work-request", "cancel"),
    required=_ID,
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]:",
    needs_namespace=False,
)
@_work_option
@force_option
def work_request_cancel(
    invocation: Invocation, storage: "StorageClient", _namespace: str
) -> object:
    """Ask the service to give a work request up."""
    storage.cancel_work_request(invocation.options["work_request_id"])
    return None


@question("os", "work-request-error", "list", required=_ID, needs_namespace=False)
@_work_option
@paging_options
def list_errors(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
    """List what went wrong in a work request."""
    from ocihaul.cli.objects.official_json import work_request_error

    work = invocation.options["work_request_id"]
    found = storage.list_work_request_errors(work, extent=extent(invocation))
    return shown(invocation, found, work_request_error)


@question("os", "work-request-log-entry", "list", required=_ID, needs_namespace=False)
@_work_option
@paging_options
def list_log(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
    """List what a work request has logged."""
    from ocihaul.cli.objects.official_json import work_request_log_entry

    work = invocation.options["work_request_id"]
    found = storage.list_work_request_logs(work, extent=extent(invocation))
    return shown(invocation, found, work_request_log_entry)
