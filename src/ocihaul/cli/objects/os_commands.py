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
}
_GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "ns": ("The namespace.", {"get": "objects.bucket_commands:namespace_get"}),
    "bucket": (
        "Buckets.",
        {
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
