"""`os ns get-metadata` and `update-metadata`: where the S3 and Swift APIs make their buckets."""

from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, namespace_option
from ocihaul.cli.objects.query_command import question

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient


@question("os", "ns", "get-metadata")
@namespace_option
def get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:  # noqa: ARG001
    """Show the compartments in which the S3 and Swift APIs make buckets."""
    from ocihaul.cli.objects.official_json import described, namespace_metadata

    found = storage.get_namespace_metadata(namespace)
    return described(namespace_metadata(found.document), found.headers)


@question("os", "ns", "update-metadata")
@namespace_option
@click.option("--default-s3-compartment-id", help="The compartment for the S3 API.")
@click.option("--default-swift-compartment-id", help="The compartment for the Swift API.")
def update(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Set the compartments in which the S3 and Swift APIs make buckets."""
    from ocihaul.cli.objects.official_json import described, namespace_metadata
    from ocihaul.storage.calls import without_none

    options = invocation.options
    details = {
        "defaultS3CompartmentId": options["default_s3_compartment_id"],
        "defaultSwiftCompartmentId": options["default_swift_compartment_id"],
    }
    made = storage.update_namespace_metadata(namespace, without_none(details))
    return described(namespace_metadata(made.document), made.headers)
