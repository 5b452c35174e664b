"""The commands under `os` that ask the service one question: which there are, in which group."""

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.objects import bucket_commands, preauth_commands
from ocihaul.cli.objects import commands as object_commands
from ocihaul.cli.objects.copy import copy
from ocihaul.cli.objects.listing import object_list

_OBJECT = (
    object_commands.head,
    object_list,
    object_commands.delete,
    object_commands.rename,
    copy,
    object_commands.restore,
    object_commands.restore_status,
)
_GROUPS: dict[str, tuple[str, tuple[click.Command, ...]]] = {
    "ns": ("The namespace.", (bucket_commands.namespace_get,)),
    "bucket": ("Buckets.", (bucket_commands.bucket_get, bucket_commands.bucket_list)),
    "multipart": (
        "Uploads that were neither committed nor aborted.",
        (bucket_commands.multipart_list, bucket_commands.multipart_abort),
    ),
    "preauth-request": (
        "URLs that carry their own right (PARs).",
        (
            preauth_commands.create,
            preauth_commands.list_pars,
            preauth_commands.get,
            preauth_commands.delete,
        ),
    ),
}


def add_to(object_storage: click.Group, objects: click.Group) -> None:
    """Hang them into `os` and `os object`."""
    for each in _OBJECT:
        objects.add_command(each)
    for name, (text, commands) in _GROUPS.items():
        group = object_storage.group(name, help=text)(global_options(hidden=True)(_nothing))
        for each in commands:
            group.add_command(each)


def _nothing() -> None:
    """A group does nothing of its own."""
