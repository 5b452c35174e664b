"""`ocihaul os …`, but for whole directories: which commands there are, and in which group."""

from ocihaul.cli.groups import Tree

# Names, and where the commands are; see LazyGroup.
_OBJECT = {
    "put": "objects.put:put",
    "get": "objects.get:get",
    "resume-put": "objects.put:resume_put",
    "bulk-upload": "directories.bulk:bulk_upload",
    "bulk-download": "directories.bulk:bulk_download",
    "bulk-delete": "directories.bulk:bulk_delete",
    "sync": "directories.sync:sync",
    "head": "objects.object_commands:head",
    "list": "objects.query_command:object_list",
    "delete": "objects.object_commands:delete",
    "rename": "objects.object_commands:rename",
    "copy": "objects.work_requests:copy",
    "restore": "objects.object_commands:restore",
    "restore-status": "objects.object_commands:restore_status",
    "list-object-versions": "objects.versions:list_object_versions",
    "bulk-delete-versions": "objects.versions:bulk_delete_versions",
    "batch-delete": "objects.object_commands:batch_delete",
    "reencrypt": "objects.object_commands:reencrypt",
    "update-storage-tier": "objects.object_commands:update_storage_tier",
}
_GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "ns": (
        "The namespace.",
        {
            "get": "objects.buckets:namespace_get",
            "get-metadata": "objects.buckets:namespace_metadata_get",
            "update-metadata": "objects.buckets:namespace_metadata_update",
        },
    ),
    "object-lifecycle-policy": (
        "What becomes of objects with time.",
        {
            "get": "objects.bucket_rules:policy_get",
            "put": "objects.bucket_rules:policy_put",
            "delete": "objects.bucket_rules:policy_delete",
        },
    ),
    "retention-rule": (
        "Rules that keep objects from being changed.",
        {
            "create": "objects.bucket_rules:rule_create",
            "get": "objects.bucket_rules:rule_get",
            "list": "objects.bucket_rules:list_rules",
            "update": "objects.bucket_rules:rule_update",
            "delete": "objects.bucket_rules:rule_delete",
        },
    ),
    "work-request": (
        "What the service does on its own, such as copies.",
        {
            "get": "objects.work_requests:work_request_get",
            "list": "objects.work_requests:list_requests",
            "cancel": "objects.work_requests:work_request_cancel",
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
            "create": "objects.buckets:bucket_create",
            "update": "objects.buckets:bucket_update",
            "delete": "objects.buckets:bucket_delete",
            "reencrypt": "objects.buckets:bucket_reencrypt",
            "get": "objects.buckets:bucket_get",
            "list": "objects.buckets:bucket_list",
        },
    ),
    "multipart": (
        "Uploads that were neither committed nor aborted.",
        {
            "list": "objects.buckets:multipart_list",
            "abort": "objects.buckets:multipart_abort",
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


def add_commands(object_storage: Tree, objects: Tree) -> None:
    """Hang them into `os` and `os object`."""
    objects.add_places(_OBJECT)
    object_storage.add_groups(_GROUPS)
