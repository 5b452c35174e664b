"""The commands under `os`: which there are, and in which group."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.passthrough import Tree

# Names, and where the commands are; see LazyGroup.
_OBJECT = {
    "put": "objects.put:put",
    "get": "objects.get:get",
    "resume-put": "objects.resume_put:resume_put",
    "bulk-upload": "directories.bulk_upload:bulk_upload",
    "bulk-download": "directories.bulk_download:bulk_download",
    "bulk-delete": "directories.bulk_delete:bulk_delete",
    "sync": "directories.sync:sync",
    "head": "objects.commands:head",
    "list": "objects.listing:object_list",
    "delete": "objects.commands:delete",
    "rename": "objects.commands:rename",
    "copy": "objects.copy:copy",
    "restore": "objects.commands:restore",
    "restore-status": "objects.commands:restore_status",
    "list-object-versions": "objects.versions:list_object_versions",
    "bulk-delete-versions": "objects.versions:bulk_delete_versions",
    "batch-delete": "objects.object_actions:batch_delete",
    "reencrypt": "objects.object_actions:reencrypt",
    "update-storage-tier": "objects.object_actions:update_storage_tier",
}
_GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "ns": (
        "The namespace.",
        {
            "get": "objects.bucket_commands:namespace_get",
            "get-metadata": "objects.namespace_metadata:get",
            "update-metadata": "objects.namespace_metadata:update",
        },
    ),
    "object-lifecycle-policy": (
        "What becomes of objects with time.",
        {
            "get": "objects.lifecycle:get",
            "put": "objects.lifecycle:put",
            "delete": "objects.lifecycle:delete",
        },
    ),
    "retention-rule": (
        "Rules that keep objects from being changed.",
        {
            "create": "objects.retention:create",
            "get": "objects.retention:get",
            "list": "objects.retention:list_rules",
            "update": "objects.retention:update",
            "delete": "objects.retention:delete",
        },
    ),
    "work-request": (
        "What the service does on its own, such as copies.",
        {
            "get": "objects.work_requests:get",
            "list": "objects.work_requests:list_requests",
            "cancel": "objects.work_requests:cancel",
        },
    ),
    "work-request-error": (
        "What went wrong in a work request.",
        {"list": "objects.work_requests:list_errors"},
    ),
    "work-request-log-entry": (
        "What a work request has logged.",
        {"list": "objects.work_requests:list_log"},
    ),
    "bucket": (
        "Buckets.",
        {
            "create": "objects.bucket_changes:bucket_create",
            "update": "objects.bucket_changes:bucket_update",
            "delete": "objects.bucket_changes:bucket_delete",
            "reencrypt": "objects.bucket_changes:bucket_reencrypt",
            "get": "objects.bucket_commands:bucket_get",
            "list": "objects.bucket_commands:bucket_list",
        },
    ),
    "multipart": (
        "Uploads that were neither committed nor aborted.",
        {
            "list": "objects.bucket_commands:multipart_list",
            "abort": "objects.bucket_commands:multipart_abort",
        },
    ),
    "preauth-request": (
        "URLs that carry their own right (PARs).",
        {
            "create": "objects.preauth_commands:create",
            "list": "objects.preauth_commands:list_pars",
            "get": "objects.preauth_commands:get",
            "delete": "objects.preauth_commands:delete",
        },
    ),
}


def add_to(object_storage: Tree, objects: Tree) -> None:
    """Hang them into `os` and `os object`."""
    objects.add_places(_OBJECT)
    for name, (text, places) in _GROUPS.items():
        group = click.group(name, cls=Tree, help=text)(global_options(hidden=True)(_nothing))
        group.add_places(places)
        object_storage.add_command(group)


def _nothing() -> None:
    """A group does nothing of its own."""
