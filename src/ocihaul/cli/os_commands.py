"""The commands under `os`: which there are, and in which group."""

import click

from ocihaul.cli.elsewhere import Tree
from ocihaul.cli.global_options import global_options

# Names, and where the commands are; see LazyGroup.
_OBJECT = {
    "put": "put:put",
    "get": "get:get",
    "resume-put": "resume_put:resume_put",
    "bulk-upload": "bulk_upload:bulk_upload",
    "bulk-download": "bulk_download:bulk_download",
    "bulk-delete": "bulk_delete:bulk_delete",
    "sync": "sync:sync",
    "head": "object_commands:head",
    "list": "object_list:object_list",
    "delete": "object_commands:delete",
    "rename": "object_commands:rename",
    "copy": "object_copy:copy",
    "restore": "object_commands:restore",
    "restore-status": "object_commands:restore_status",
}
_GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "ns": ("The namespace.", {"get": "bucket_commands:namespace_get"}),
    "bucket": (
        "Buckets.",
        {"get": "bucket_commands:bucket_get", "list": "bucket_commands:bucket_list"},
    ),
    "multipart": (
        "Uploads that were neither committed nor aborted.",
        {
            "list": "bucket_commands:multipart_list",
            "abort": "bucket_commands:multipart_abort",
        },
    ),
    "preauth-request": (
        "URLs that carry their own right (PARs).",
        {
            "create": "preauth_commands:create",
            "list": "preauth_commands:list_pars",
            "get": "preauth_commands:get",
            "delete": "preauth_commands:delete",
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
