"""`os object head`, `delete`, `rename` and others: commands of one request for an object."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, bucket_options, namespace_option
from ocihaul.cli.objects.query_command import force_option, question
from ocihaul.cli.options import JsonObject
from ocihaul.errors import ServiceError

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient


_NAMED = ("bucket_name", "name")
_name_option = click.option("--name", help="The name of the object. [required]")
_version_option = click.option("--version-id", help="One version of the object. [the newest]")
#: Some official commands know this name, too.
_bucket_option = click.option("-bn", "--bucket-name", "--bucket", help="The bucket. [required]")


@question("os", "object", "head", required=_NAMED)
@bucket_options
@_name_option
@_version_option
@click.option("--if-match", help="Only if the object has this etag.")
@click.option("--if-none-match", help="Only if the object has another etag.")
@click.option("--encryption-key-file", help="A file with the base64 AES-256 key (SSE-C).")
def head(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show what is known of an object: size, etag, checksums, metadata."""
    from ocihaul.cli.options import customer_key

    options = invocation.options
    key = customer_key(options["encryption_key_file"], invocation.home)
    headers = {} if key is None else key.headers()
    for name in ("if_match", "if_none_match"):
        if options[name] is not None:
            headers[name.replace("_", "-")] = options[name]
    found = storage.head_object(
        namespace,
        options["bucket_name"],
        options["name"],
        headers,
        version_id=options["version_id"],
    )
    return dict(found.headers)


@question(
    "os",
    "object",
    "delete",
    required=("bucket_name", "object_name"),
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]: ",
)
@bucket_options
@click.option("--object-name", "--name", "object_name", help="The name of the object. [required]")
@_version_option
@click.option("--if-match", help="Only if the object has this etag.")
@force_option
def delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Delete an object, or one version of it for good."""
    options = invocation.options
    storage.delete_object(
        namespace,
        options["bucket_name"],
        options["object_name"],
        version_id=options["version_id"],
        if_match=options["if_match"],
    )
    return None


@question("os", "object", "rename", required=("bucket_name", "source_name", "new_name"))
@namespace_option
@_bucket_option
@click.option("--source-name", "--name", "source_name", help="Its name now. [required]")
@click.option("--new-name", help="Its new name. [required]")
@click.option(
    *("--src-obj-if-match-e-tag", "--src-if-match", "src_obj_if_match_e_tag"),
    help="Only if the object has this etag.",
)
@click.option(
    *("--new-obj-if-match-e-tag", "--new-if-match", "new_obj_if_match_e_tag"),
    help="Only over an object with this etag.",
)
@click.option(
    *("--new-obj-if-none-match-e-tag", "--new-if-none-match", "new_obj_if_none_match_e_tag"),
    help="*: only if no object has the new name.",
)
def rename(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Give an object another name."""
    options = invocation.options
    conditions = {
        key: options[name]
        for name, key in (
            ("src_obj_if_match_e_tag", "srcObjIfMatchETag"),
            ("new_obj_if_match_e_tag", "newObjIfMatchETag"),
            ("new_obj_if_none_match_e_tag", "newObjIfNoneMatchETag"),
        )
        if options[name] is not None
    }
    bucket, source, target = (options[n] for n in ("bucket_name", "source_name", "new_name"))
    try:
        answer = storage.rename_object(namespace, bucket, source, target, conditions=conditions)
        etag = answer.headers.get("etag")
    except ServiceError as error:
        if not error.after_retry or error.status not in {404, 412}:
            raise
        # The refusal may be the echo of our own first attempt, whose reply was lost.
        if _exists(storage, namespace, bucket, source):
            raise
        etag = storage.head_object(namespace, bucket, target).etag
    return None if etag is None else {"etag": etag}


def _exists(storage: "StorageClient", namespace: str, bucket: str, name: str) -> bool:
    try:
        storage.head_object(namespace, bucket, name)
    except ServiceError as error:
        if error.status == 404:
            return False
        raise
    return True


@question("os", "object", "restore", required=_NAMED)
@namespace_option
@_bucket_option
@_name_option
@_version_option
@click.option("--hours", type=click.IntRange(1, 240), help="How long it can be read. [24]")
def restore(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Ask for an archived object to be made readable."""
    options = invocation.options
    bucket, name = options["bucket_name"], options["name"]
    answer = storage.restore_objects(
        namespace, bucket, name, hours=options["hours"], version_id=options["version_id"]
    )
    place = _place(namespace, bucket, name)
    if answer.status == 200:
        text = (
            "This object will be available for download in about 1 hour. Use 'ocihaul os object "
            f"restore-status {place}' command to check the status."
        )
    else:
        text = "This object is restored, or being restored, already; the time was set anew."
    invocation.tell(text)
    return None


@question("os", "object", "restore-status", required=_NAMED)
@bucket_options
@_name_option
def restore_status(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Tell on stderr whether an archived object can be read."""
    options = invocation.options
    bucket, name = options["bucket_name"], options["name"]
    headers = storage.head_object(namespace, bucket, name).headers
    place = _place(namespace, bucket, name)
    texts = {
        "": "Available, this object is available for download.",
        "archived": "Archived, this object is not available for download. Use 'ocihaul os object "
        f"restore {place}' command to start restoring the object.",
        "restoring": "Restoring, this object is being restored and will be available for download "
        "in about 1 hour from the time you issued the restore command.",
        "restored": restored_text(headers.get("time-of-archival"), datetime.now(UTC)),
    }
    state = headers.get("archival-state", "").lower()
    invocation.tell(texts.get(state, "Unknown"))
    return None


def _place(namespace: str, bucket: str, name: str) -> str:
    """An object as the options of a command that a person copies into a shell."""
    return shlex.join(["-ns", namespace, "-bn", bucket, "--name", name])


def restored_text(again: str | None, now: datetime) -> str:
    """How long a restored object can be read; `again` is when it is archived again."""
    try:
        left = int((datetime.fromisoformat(again or "") - now).total_seconds())
    except (TypeError, ValueError):
        when = f" The object will be re-archived at {again}." if again else ""
        return f"Restored.{when}"
    hours, minutes = divmod(max(left, 0) // 60, 60)
    days, hours = divmod(hours, 24)
    counts = ((days, "day"), (hours, "hour"), (minutes, "min"))
    span = " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counts)
    if not days + hours + minutes:
        span = "less than 1 minute"
    rest = "to download the restored object before it is once again archived."
    return f"Restored. You have {span} {rest}"


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
    from ocihaul.cli.objects.official_json import batch_deletion, described
    from ocihaul.cli.options import json_list

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
    from ocihaul.cli.options import customer_key
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
