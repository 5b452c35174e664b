"""`os object batch-delete`, `reencrypt` and `update-storage-tier`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import question
from ocihaul.cli.option_types import JsonObject

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

_TIERS = click.Choice(["Standard", "InfrequentAccess", "Archive"], case_sensitive=False)


@question("os", "object", "batch-delete", required=("bucket_name", "objects"))
@bucket_options
@click.option(
    "--objects",
    type=JsonObject(),
    help='Up to 1,000 of them: \'[{"objectName": "a"}, {"objectName": "b", "ifMatch": "etag"}]\', '
    "or file://path. [required]",
)
@click.option(
    "--is-skip-deleted-result", type=bool, help="Whether only what failed is told. [false]"
)
def batch_delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Delete up to 1,000 objects with one request. It asks nothing."""
    from ocihaul.cli.defaults import json_list
    from ocihaul.cli.objects.official_json import batch_deletion, described

    options = invocation.options
    objects = options["objects"]
    if isinstance(objects, str):
        objects = json_list(objects, what="--objects", home=invocation.home)
    told = storage.batch_delete(
        namespace,
        options["bucket_name"],
        objects,
        skip_deleted=options["is_skip_deleted_result"],
    )
    return described(batch_deletion(told.document), told.headers)


@question("os", "object", "reencrypt", required=("bucket_name", "object_name"))
@bucket_options
@click.option(
    *("-on", "--object-name", "--name", "object_name"), help="The name of the object. [required]"
)
@click.option("--kms-key-id", help="OCID of the master encryption key to use.")
@click.option("--version-id", help="One version of the object. [the newest]")
@click.option("--encryption-key-file", help="A file with the base64 AES-256 key to use (SSE-C).")
@click.option("--source-encryption-key-file", help="The same for the key that it has.")
def reencrypt(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Encrypt an object's data key anew, with the bucket's key or another one."""
    options = invocation.options
    details: dict[str, object] = {}
    if options["kms_key_id"] is not None:
        details["kmsKeyId"] = options["kms_key_id"]
    for name, key in (
        ("encryption_key_file", "sseCustomerKey"),
        ("source_encryption_key_file", "sourceSseCustomerKey"),
    ):
        if options[name] is not None:
            details[key] = _customer_key(options[name], invocation.home)
    storage.reencrypt_object(
        namespace,
        options["bucket_name"],
        options["object_name"],
        details,
        version_id=options["version_id"],
    )
    return None


def _customer_key(file: str, home: Path) -> dict[str, str]:
    """A customer's key as SSECustomerKeyDetails; raises UsageError."""
    from ocihaul.cli.option_values import customer_key
    from ocihaul.errors import UsageError

    key = customer_key(file, home)
    if key is None:
        raise UsageError("a key file is missing")
    headers = key.headers()
    return {
        "algorithm": headers["opc-sse-customer-algorithm"],
        "key": headers["opc-sse-customer-key"],
        "keySha256": headers["opc-sse-customer-key-sha256"],
    }


@question(
    *("os", "object", "update-storage-tier"),
    required=("bucket_name", "object_name", "storage_tier"),
)
@namespace_option
@click.option("-bn", "--bucket-name", "--bucket", "bucket_name", help="The bucket. [required]")
@click.option("--object-name", help="The name of the object. [required]")
@click.option("--storage-tier", type=_TIERS, help="The tier to move it to. [required]")
@click.option("--version-id", help="One version of the object. [the newest]")
def update_storage_tier(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Move an object to another storage tier."""
    options = invocation.options
    storage.update_object_storage_tier(
        namespace,
        options["bucket_name"],
        options["object_name"],
        options["storage_tier"],
        version_id=options["version_id"],
    )
    return None
