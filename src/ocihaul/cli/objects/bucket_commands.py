"""`os ns get`, `os bucket get` and `list`, `os multipart list` and `abort`."""

from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, bucket_options, namespace_option
from ocihaul.cli.objects.listing import extent, paging_options, shown
from ocihaul.cli.objects.query_command import force_option, question

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

_FIELDS = ("approximateCount", "approximateSize", "autoTiering")


@question("os", "ns", "get", needs_namespace=False)
@click.option("-c", "--compartment-id", help="The OCID of a compartment. [our tenancy]")
def namespace_get(invocation: Invocation, storage: "StorageClient", _namespace: str) -> object:
    """Show the tenancy's Object Storage namespace."""
    return {"data": storage.get_namespace(invocation.options["compartment_id"])}


@question("os", "bucket", "get", required=("bucket_name",))
@namespace_option
@click.option("-bn", "--bucket-name", "--name", "bucket_name", help="The bucket. [required]")
@click.option("--if-match", help="Only if the bucket has this etag.")
@click.option("--if-none-match", help="Only if the bucket has another etag.")
@click.option(
    "--fields",
    multiple=True,
    type=click.Choice(_FIELDS, case_sensitive=False),
    help="What to tell besides; may be repeated.",
)
def bucket_get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show a bucket."""
    from ocihaul.cli.objects.official_json import bucket

    options = invocation.options
    conditions = {"if-match": options["if_match"], "if-none-match": options["if_none_match"]}
    document = storage.get_bucket(
        namespace,
        options["bucket_name"],
        fields=options["fields"] or (),
        headers={name: value for name, value in conditions.items() if value is not None},
    )
    answer = {"data": bucket(document)}
    return answer if document.get("etag") is None else {**answer, "etag": document["etag"]}


@question("os", "bucket", "list", required=("compartment_id",))
@namespace_option
@click.option("-c", "--compartment-id", help="The OCID of the compartment. [required]")
@paging_options
@click.option(
    "--fields",
    multiple=True,
    type=click.Choice(["tags"], case_sensitive=False),
    help="tags: with their tags.",
)
def bucket_list(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """List the buckets of a compartment."""
    from ocihaul.cli.objects.official_json import bucket_summary

    options = invocation.options
    found = storage.list_buckets(
        namespace,
        options["compartment_id"],
        fields=options["fields"] or (),
        extent=extent(invocation),
    )
    return shown(invocation, found, bucket_summary)


@question("os", "multipart", "list", required=("bucket_name",))
@bucket_options
@paging_options
def multipart_list(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """List the uploads that were neither committed nor aborted."""
    from ocihaul.cli.objects.official_json import upload_summary

    bucket = invocation.options["bucket_name"]
    found = storage.list_multipart_uploads(namespace, bucket, extent=extent(invocation))
    return shown(invocation, found, upload_summary)


@question(
    *("os", "multipart", "abort"),
    required=("bucket_name", "object_name", "upload_id"),
    confirm=lambda invocation: (
        f"WARNING: Are you sure you want to permanently remove the incomplete upload of "
        f"{invocation.options['object_name']!a}? [y/N]: "
    ),
)
@bucket_options
@click.option("-on", "--object-name", help="The name of the object. [required]")
@click.option("--upload-id", help="The id of the upload. [required]")
@force_option
def multipart_abort(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Drop an upload that was not committed, and its parts."""
    options = invocation.options
    storage.abort_multipart_upload(
        namespace, options["bucket_name"], options["object_name"], upload_id=options["upload_id"]
    )
    return None
