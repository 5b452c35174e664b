"""The options that the commands on directories share, and what they mean."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ocihaul.cli.options import (
    AUTO,
    JsonObject,
    ParallelCount,
    customer_key,
    metadata,
    namespace_or_none,
)
from ocihaul.cli.process import environment_and_home
from ocihaul.directories.shards import Shard, parse_shard
from ocihaul.errors import UsageError
from ocihaul.transfer.monitor import MOST

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_PARALLEL = 10

_TIERS = click.Choice(["Standard", "InfrequentAccess", "Archive"], case_sensitive=False)

OF_OBJECTS = (
    click.option(
        "--metadata",
        type=JsonObject(),
        help='Metadata of your own: \'{"key": "value"}\', or file://path.',
    ),
    click.option(
        "--content-type", help="The MIME type; auto guesses it from each file's name (put --help)."
    ),
    click.option("--content-language", help="The language of the content."),
    click.option("--content-encoding", help="The encoding of the content, such as gzip."),
    click.option("--content-disposition", help="How a browser shows the objects."),
    click.option("--cache-control", help="How the objects may be cached."),
    click.option("--storage-tier", type=_TIERS, help="The storage tier. [the bucket's]"),
)
FILTERS = (
    click.option(
        "--include", multiple=True, help="Only what matches this pattern; may be repeated."
    ),
    click.option(
        "--exclude", multiple=True, help="Not what matches this pattern; may be repeated."
    ),
)
KEY_FILE = (
    click.option(
        "--encryption-key-file", help="A file with a base64 AES-256 key of yours (SSE-C)."
    ),
)
DRY_RUN = (click.option("--dry-run", is_flag=True, help="Only say what would be done."),)
LINKS = (
    click.option("--no-follow-symlinks", is_flag=True, help="As if symbolic links were not there."),
)
SHARD = (
    click.option(
        "--shard",
        metavar="I/N",
        help="Only the names of shard I of N, from 0/N on; or auto, in a Kubernetes Job or a Slurm "
        "array. [all names]",
    ),
)
PARALLEL = (
    click.option(
        "--parallel-operations-count",
        type=ParallelCount(),
        help="Operations at the same time, or auto. [10]",
    ),
)


def options(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """A decorator that adds groups of options, in their order."""

    def decorate(command: Command) -> Command:
        for group in reversed(groups):
            for add in reversed(group):
                command = add(command)
        return command

    return decorate


def patterns(value: object) -> tuple[str, ...]:
    """The patterns of --include or --exclude, from whatever place they came."""
    if not value:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise UsageError("--include and --exclude are patterns: texts, or a list of them")


def directory(value: str) -> str:
    """A directory as it may be written: with ~ and $VARIABLES."""
    return os.path.expandvars(os.path.expanduser(value))  # noqa: PTH111  as the official CLI


def parallel(value: int | str | None) -> int:
    """How many operations at a time, at most."""
    if value == AUTO:
        return MOST
    return DEFAULT_PARALLEL if value is None else int(value)


def is_adaptive(given: Mapping[str, Any]) -> bool | None:
    """Whether the line and the service say how many operations at a time; see
    `Client.run_directory`. None where nothing was said.
    """
    names = ("parallel_upload_count", "parallel_operations_count")
    counts = [given[name] for name in names if given.get(name) is not None]
    return AUTO in counts if counts else None


def of_each(given: Mapping[str, Any], *, home: Path) -> dict[str, Any]:
    """The fields of an UploadRequest that are the same for all files; raises UsageError."""
    as_they_are = ("content_language", "content_encoding", "content_disposition", "cache_control")
    content_type = given.get("content_type")
    return {
        "namespace": namespace_or_none(given.get("namespace")) or "",
        "bucket": given["bucket_name"],
        "multipart": not given.get("no_multipart"),
        "part_size": given.get("part_size"),
        "verify_checksum": bool(given.get("verify_checksum")),
        "content_type": None if content_type == "auto" else content_type,
        "kms_key_id": given.get("opc_sse_kms_key_id"),
        "sse_customer_key": customer_key(given.get("encryption_key_file"), home),
        "metadata": metadata(given.get("metadata"), home),
        "storage_tier": given.get("storage_tier"),
        **{name: given.get(name) for name in as_they_are},
    }


def make_directory(root: str) -> None:
    """Make --dest-dir, with what is above it; raises UsageError."""
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--dest-dir: {root} cannot be made: {error.strerror}",
            hint="Name a directory below one that you may write in.",
        ) from None


def shard(given: Mapping[str, Any]) -> Shard:
    """Which names are this run's; raises UsageError."""
    environ, _ = environment_and_home()
    value = given.get("shard")
    return parse_shard(None if value is None else str(value), environ)
