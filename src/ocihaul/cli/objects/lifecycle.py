"""`os object-lifecycle-policy get`, `put` and `delete`."""

from typing import TYPE_CHECKING

import click

from ocihaul.cli.invocation import Invocation, bucket_options
from ocihaul.cli.objects.query_command import force_option, question
from ocihaul.cli.option_types import JsonObject

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

_PATH = ("os", "object-lifecycle-policy")


@question(*_PATH, "get", required=("bucket_name",))
@bucket_options
def get(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Show the lifecycle policy of a bucket."""
    from ocihaul.cli.objects.official_json import described, lifecycle_policy

    found = storage.get_object_lifecycle_policy(namespace, invocation.options["bucket_name"])
    return described(lifecycle_policy(found.document), found.headers)


@question(
    *(*_PATH, "put"),
    required=("bucket_name",),
    confirm=lambda invocation: (
        "WARNING: Updates to items will replace any existing values. Are you sure you want to "
        "continue? [y/N]:"
        if invocation.options["items"]
        else None
    ),
)
@bucket_options
@click.option("--items", type=JsonObject(), help="The rules: a JSON list, or file://path.")
@click.option("--if-match", help="Only if the policy has this etag.")
@click.option("--if-none-match", help="*: only if there is no policy.")
@force_option
def put(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Replace the lifecycle policy of a bucket."""
    from ocihaul.cli.defaults import json_list
    from ocihaul.cli.objects.official_json import described, lifecycle_policy

    options = invocation.options
    items = options["items"]
    if isinstance(items, str):
        items = json_list(items, what="--items", home=invocation.home)
    conditions = {"if-match": options["if_match"], "if-none-match": options["if_none_match"]}
    made = storage.put_object_lifecycle_policy(
        namespace,
        options["bucket_name"],
        {} if items is None else {"items": items},
        {name: value for name, value in conditions.items() if value is not None},
    )
    return described(lifecycle_policy(made.document), made.headers)


@question(
    *(*_PATH, "delete"),
    required=("bucket_name",),
    confirm=lambda _: "Are you sure you want to delete this resource? [y/N]:",
)
@bucket_options
@click.option("--if-match", help="Only if the policy has this etag.")
@force_option
def delete(invocation: Invocation, storage: "StorageClient", namespace: str) -> object:
    """Remove the lifecycle policy of a bucket."""
    options = invocation.options
    storage.delete_object_lifecycle_policy(
        namespace, options["bucket_name"], if_match=options["if_match"]
    )
    return None
