"""`os bucket …`, `os multipart …` and `os ns …`: buckets, what is left in them, namespaces."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.invocation import Invocation, at_work, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import (
    agreed,
    command,
    extent,
    force_option,
    paging_options,
    question,
    shown,
)
from ocihaul.cli.objects.work_requests import wait_options, waited
from ocihaul.cli.options import JsonObject
from ocihaul.cli.process import DONE, FAILED
from ocihaul.errors import UsageError

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


_ACCESS = click.Choice(
    ["NoPublicAccess", "ObjectRead", "ObjectReadWithoutList"], case_sensitive=False
)
_TIERS = click.Choice(["Standard", "Archive"], case_sensitive=False)
#: Options of both commands (parameter names), and what the service calls them.
_PLAIN = {
    "compartment_id": "compartmentId",
    "public_access_type": "publicAccessType",
    "storage_tier": "storageTier",
    "object_events_enabled": "objectEventsEnabled",
    "kms_key_id": "kmsKeyId",
    "is_bucket_key_enabled": "isBucketKeyEnabled",
    "versioning": "versioning",
    "auto_tiering": "autoTiering",
    "bucket_scope": "bucketScope",
}
_OBJECTS = {
    "metadata": "metadata",
    "freeform_tags": "freeformTags",
    "defined_tags": "definedTags",
}
_OFFICIAL_FORMS = "The official CLI's forms are taken: JSON, or file://path."
_compartment = ("-c", "--compartment-id")
_named_bucket = click.option(
    "-bn", "--bucket-name", "--name", "bucket_name", help="The bucket. [required]"
)


def _details_options(decorated: Any) -> Any:
    for add in reversed(
        (
            click.option(
                "--metadata", type=JsonObject(), help=f"Metadata of your own. {_OFFICIAL_FORMS}"
            ),
            click.option(
                "--public-access-type", type=_ACCESS, help="Who may read without a credential."
            ),
            click.option("--object-events-enabled", type=bool, help="Whether changes are events."),
            click.option("--freeform-tags", type=JsonObject(), help="Tags without a namespace."),
            click.option("--defined-tags", type=JsonObject(), help="Tags with a namespace."),
            click.option("--kms-key-id", help="OCID of the master encryption key."),
            click.option("--is-bucket-key-enabled", type=bool, help="Whether it has its own key."),
            click.option("--auto-tiering", help="Disabled, or InfrequentAccess."),
            click.option("--bucket-scope", help="Where its name counts."),
        )
    ):
        decorated = add(decorated)
    return decorated


@question("os", "bucket", "create", required=("name", "compartment_id"))
@namespace_option
@click.option("--name", help="The name of the bucket. [required]")
@click.option(*_compartment, help="The OCID of its compartment. [required]")
@click.option("--storage-tier", type=_TIERS, help="Standard, or Archive for good. [Standard]")
@click.option(
    "--versioning",
    type=click.Choice(["Enabled", "Disabled"], case_sensitive=False),
    help="Whether old versions are kept. [Disabled]",
)
@_details_options
def bucket_create(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Make a bucket."""
    from ocihaul.cli.objects.official_json import bucket, described

    options = invocation.options
    details = {"name": options["name"], **_details(options, invocation.home)}
    made = storage.create_bucket(namespace, details)
    return described(bucket(made.document), made.headers)


@question("os", "bucket", "update", required=("bucket_name",))
@namespace_option
@_named_bucket
@click.option(*_compartment, help="The OCID of another compartment: the bucket moves there.")
@click.option(
    "--versioning",
    type=click.Choice(["Enabled", "Suspended"], case_sensitive=False),
    help="Whether old versions are kept from now on.",
)
@_details_options
@click.option("--if-match", help="Only if the bucket has this etag.")
def bucket_update(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Change a bucket. Metadata that is null is removed: '{"key": null}'."""
    from ocihaul.cli.objects.official_json import bucket, described

    options = invocation.options
    name = options["bucket_name"]
    details = {"name": name, **_details(options, invocation.home)}
    made = storage.update_bucket(namespace, name, details, if_match=options["if_match"])
    return described(bucket(made.document), made.headers)


def _details(options: Mapping[str, Any], home: Path) -> dict[str, object]:
    """What the options say, in the service's words; raises UsageError."""
    from ocihaul.cli.options import json_object

    details = {key: options[name] for name, key in _PLAIN.items() if options.get(name) is not None}
    for name, key in _OBJECTS.items():
        value = options.get(name)
        if isinstance(value, str):
            value = json_object(value, what=f"--{name.replace('_', '-')}", home=home)
        if value is not None:
            details[key] = value
    return details


@namespace_option
@_named_bucket
@click.option("--if-match", help="Only if the bucket has this etag.")
@force_option
@click.option(
    "--empty",
    is_flag=True,
    help="First delete all it has: replication policies, pre-authenticated requests, objects "
    "and their versions, and uploads that were not committed.",
)
@click.option("--dry-run", is_flag=True, help="With --empty: only show what would be deleted.")
@click.option(
    "--parallel-operations-count",
    type=click.IntRange(1, 1000),
    help="With --empty: operations at the same time. [10]",
)
def _bucket_delete() -> None:
    """Delete a bucket, which has to be empty unless --empty is given."""


def _run_delete(invocation: Invocation) -> int:
    options = invocation.options
    if options["dry_run"] and not options["empty"]:
        raise UsageError(
            "The option --dry-run is applicable only when the --empty option is specified"
        )
    if not options["dry_run"] and not agreed(invocation, _delete_question(options)):
        return FAILED
    with at_work(invocation) as (storage, stop):
        from ocihaul.cli.options import namespace_or_none

        namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
        where = (namespace, options["bucket_name"])
        if options["empty"]:
            from ocihaul.cli.objects.versions import emptied, shown

            outcome = emptied(
                storage,
                *where,
                dry_run=options["dry_run"],
                parallel=options["parallel_operations_count"] or 10,
                stop=stop,
            )
            invocation.answer(
                shown(outcome, dry_run=options["dry_run"], table=invocation.view.is_table)
            )
            if options["dry_run"] or any(each.failures for each in outcome):
                return DONE if options["dry_run"] else FAILED
        storage.delete_bucket(*where, if_match=options["if_match"])
    return DONE


def _delete_question(options: Mapping[str, Any]) -> str:
    if options["empty"]:
        return (
            "This command will delete the bucket as well as all replication policies, "
            "pre-authenticated requests, objects and uncommitted multipart uploads associated "
            "with it. Are you sure you wish to continue? [y/N]:"
        )
    return "Are you sure you want to delete this bucket? [y/N]:"


bucket_delete = command("os", "bucket", "delete", required=("bucket_name",), like=_bucket_delete)(
    _run_delete
)


@bucket_options
@click.option(
    "--is-reencrypt-bucket-key-only",
    type=bool,
    help="Whether only the bucket's own key is encrypted anew.",
)
@wait_options
def _bucket_reencrypt() -> None:
    """Encrypt the keys of a bucket's objects anew; shows the id of the work request."""


def _run_reencrypt(invocation: Invocation) -> int:
    from ocihaul.cli.options import namespace_or_none

    options = invocation.options
    with at_work(invocation) as (storage, stop):
        namespace = namespace_or_none(options["namespace"]) or storage.get_namespace()
        headers = storage.reencrypt_bucket(
            namespace,
            options["bucket_name"],
            bucket_key_only=options["is_reencrypt_bucket_key_only"],
        )
        answer, code = waited(invocation, storage, headers, stop)
    if answer:
        invocation.answer(answer)
    return code


bucket_reencrypt = command(
    "os", "bucket", "reencrypt", required=("bucket_name",), like=_bucket_reencrypt
)(_run_reencrypt)


@question("os", "ns", "get-metadata")
@namespace_option
def namespace_metadata_get(
    invocation: Invocation,  # noqa: ARG001
    storage: "StorageClient",
    namespace: str,
) -> object:
    """Show the compartments in which the S3 and Swift APIs make buckets."""
    from ocihaul.cli.objects.official_json import described, namespace_metadata

    found = storage.get_namespace_metadata(namespace)
    return described(namespace_metadata(found.document), found.headers)


@question("os", "ns", "update-metadata")
@namespace_option
@click.option("--default-s3-compartment-id", help="The compartment for the S3 API.")
@click.option("--default-swift-compartment-id", help="The compartment for the Swift API.")
def namespace_metadata_update(
    invocation: Invocation, storage: "StorageClient", namespace: str
) -> object:
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
