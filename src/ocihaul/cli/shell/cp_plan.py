"""What `cp` is asked to do, as a list of copies; pure but for a look at local directories."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocihaul.cli.shell.uri import ObjectUri, is_uri
from ocihaul.errors import UsageError

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Copy:
    """One thing to copy: a local path (`-`: a standard stream) or an address, at each end.

    `recursive`: it is a directory, and `target` the one that gets what is in it.
    """

    source: str | ObjectUri
    target: str | ObjectUri
    recursive: bool = False


def plan(paths: Sequence[str], *, recursive: bool) -> Iterator[Copy]:
    """One copy for each source. Raises UsageError."""
    *sources, into = paths
    if not sources:
        raise UsageError(
            f"cp {into}: there is no target",
            hint="Name what to copy, and where to: cp SOURCE TARGET",
        )
    target = ObjectUri.parse(into) if is_uri(into) else into
    if len(sources) > 1 and not _is_directory(target):
        raise UsageError(
            f"{into}: several sources need a directory as target",
            hint="Write a prefix with a slash at its end, or make the directory.",
        )
    for text in sources:
        source = ObjectUri.parse(text) if is_uri(text) else text
        if not isinstance(source, ObjectUri) and not isinstance(target, ObjectUri):
            raise UsageError(
                f"cp {text} {into}: neither is an address of an object",
                hint="One of them has the form oci://BUCKET[@NAMESPACE]/NAME.",
            )
        yield _copy(source, target, recursive=recursive)


def _copy(source: str | ObjectUri, target: str | ObjectUri, *, recursive: bool) -> Copy:
    if isinstance(source, str) and source != STREAM and not Path(source).exists():
        raise UsageError(f"{source}: there is no such file")
    of_directory = _is_local_directory(source) or _is_prefix(source)
    if of_directory and not recursive:
        raise UsageError(f"{source} is a directory", hint="Copy all that is in it with -r.")
    if STREAM in {source, target} and recursive:
        raise UsageError("-r: a stream is no directory", hint="Leave it out.")
    if _is_directory(target):
        name = _own_name(source)
        if source == STREAM:
            raise UsageError(
                f"{target}: what comes from stdin has no name", hint="Write the object's name."
            )
        target = _within(target, name)
    return Copy(source, target, recursive=of_directory or recursive)


def _own_name(source: str | ObjectUri) -> str:
    """What it is called in a directory; nothing where it is written with a slash at its end."""
    if isinstance(source, ObjectUri):
        return "" if source.is_directory else source.last
    return "" if source.endswith("/") else Path(source).name


def _within(directory: str | ObjectUri, name: str) -> str | ObjectUri:
    if isinstance(directory, ObjectUri):
        return directory.below(name)
    return os.path.join(directory, name) if name else directory  # noqa: PTH118  "-" stays text


def _is_directory(target: str | ObjectUri) -> bool:
    if isinstance(target, ObjectUri):
        return target.is_directory
    return target != STREAM and (target.endswith("/") or _is_local_directory(target))


def _is_local_directory(place: str | ObjectUri) -> bool:
    return isinstance(place, str) and place != STREAM and Path(place).is_dir()


def _is_prefix(place: str | ObjectUri) -> bool:
    return isinstance(place, ObjectUri) and place.is_directory
