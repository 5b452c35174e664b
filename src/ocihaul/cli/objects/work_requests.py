"""`os work-request get`, `list` and `cancel`, and what a work request has logged."""

from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation
from ocihaul.cli.objects.listing import extent, paging_options, shown
from ocihaul.cli.objects.query_command import force_option, question

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

_work_option = click.option("--work-request-id", help="The id of the work request. [required]")
_ID = ("work_request_id",)


@question("os", "work-request", "get", required=_ID, needs_namespace=False)
@_work_option
def get(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
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
def cancel(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
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
