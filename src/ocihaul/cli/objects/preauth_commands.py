"""`os preauth-request create`, `list`, `get` and `delete`.

The URL of a pre-authenticated request is a secret: `create` prints it on stdout, because that is
what it is for, and nothing else ever shows it.
"""

from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, bucket_options
from ocihaul.cli.objects.query_command import extent, force_option, paging_options, question, shown
from ocihaul.cli.options import Moment

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

_TYPES = (
    *("ObjectRead", "ObjectWrite", "ObjectReadWrite"),
    *("AnyObjectWrite", "AnyObjectRead", "AnyObjectReadWrite"),
)
_PATH = ("os", "preauth-request")
_par_option = click.option("--par-id", help="The id of the pre-authenticated request. [required]")


@question(*_PATH, "create", required=("bucket_name", "name", "access_type", "time_expires"))
@bucket_options
@click.option("--name", help="A name for it, which is no secret. [required]")
@click.option(
    "--access-type",
    type=click.Choice(_TYPES, case_sensitive=False),
    metavar="TYPE",
    help=f"What one may do with it: {', '.join(_TYPES)}. [required]",
)
@click.option("--time-expires", type=Moment(), help="When it ends: 2030-01-31T12:00Z. [required]")
@click.option("-on", "--object-name", help="The object; for the Any… types a prefix.")
@click.option("--bucket-listing-action", help="Deny, or ListObjects for the Any… types.")
def create(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Make a URL that carries its own right, and print it: this once, so keep it."""
    from ocihaul.cli.objects.official_json import par

    options = invocation.options
    made = storage.create_preauthenticated_request(
        namespace,
        options["bucket_name"],
        name=options["name"],
        access_type=options["access_type"],
        time_expires=options["time_expires"],
        object_name=options["object_name"],
        bucket_listing_action=options["bucket_listing_action"],
    )
    return {"data": {**par(made), "access-uri": made.access_uri, "full-path": made.full_path}}


@question(*_PATH, "list", required=("bucket_name",))
@bucket_options
@click.option("--object-name-prefix", help="Only for objects whose names begin with this.")
@paging_options
def list_pars(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """List the pre-authenticated requests of a bucket, without their URLs."""
    from ocihaul.cli.objects.official_json import par

    found = storage.list_preauthenticated_requests(
        namespace,
        invocation.options["bucket_name"],
        object_name_prefix=invocation.options["object_name_prefix"],
        extent=extent(invocation),
    )
    return shown(invocation, found, par)


@question(*_PATH, "get", required=("bucket_name", "par_id"))
@bucket_options
@_par_option
def get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show a pre-authenticated request, without its URL."""
    from ocihaul.cli.objects.official_json import par

    options = invocation.options
    found = storage.get_preauthenticated_request(
        namespace, options["bucket_name"], options["par_id"]
    )
    return {"data": par(found)}


@question(
    *(*_PATH, "delete"),
    required=("bucket_name", "par_id"),
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]:",
)
@bucket_options
@_par_option
@force_option
def delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Take the right of a pre-authenticated request back."""
    options = invocation.options
    storage.delete_preauthenticated_request(namespace, options["bucket_name"], options["par_id"])
    return None
