"""What `cp` is asked to do, as a list of copies; pure but for a look at local directories."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ocihaul.cli.shell.uri import ObjectUri, is_uri
from ocihaul.errors import OcihaulError, UsageError

STREAM = "-"
#: As the last segment of a path they are no name.
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class Copy:
    """One thing to copy: a local path (`-`: a standard stream) or an address, at each end.

    `recursive`: it is a directory, and `target` the one that gets what is in it.
    """

    source: str | ObjectUri
    target: str | ObjectUri
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class RefusedCopy:
    """A source that cannot be copied, one of several; `error` says why."""

    source: str | ObjectUri
    error: OcihaulError


def plan(paths: Sequence[str], *, recursive: bool) -> Iterator[Copy | RefusedCopy]:
    """One copy for each source. Raises UsageError; for what is wrong with one of several, not."""
    *sources, into = paths
    if not sources:
        raise UsageError(
            f"cp {into}: there is no target",
            hint="Name what to copy, and where to: cp SOURCE TARGET",
        )
    for end, path in (*(("source", each) for each in sources), ("target", into)):
        if not path:  # a variable without a value, which Path takes for the directory we are in
            raise UsageError(f"cp: the {end} is an empty text", hint="Name a file or directory.")
    target = ObjectUri.parse(into) if is_uri(into) else into
    if len(sources) > 1 and not _is_directory(target):
        raise UsageError(
            f"{into}: several sources need a directory as target",
            hint="Write a prefix with a slash at its end, or make the directory.",
        )
    # Two sources of one name: the second would replace what the first has brought.
    taken: dict[str | ObjectUri, str] = {}
    for text in sources:
        source = ObjectUri.parse(text) if is_uri(text) else text
        if not isinstance(source, ObjectUri) and not isinstance(target, ObjectUri):
            raise UsageError(
                f"cp {text} {into}: neither is an address of an object",
                hint="One of them has the form oci://BUCKET[@NAMESPACE]/NAME.",
            )
        try:
            copy = _copy(source, target, recursive=recursive)
        except UsageError as error:
            if len(sources) == 1:
                raise
            yield RefusedCopy(source, OcihaulError(error.message, hint=error.hint))
            continue
        if copy.target in taken and _own_name(source):
            raise UsageError(
                f"{text}: {taken[copy.target]} has the same name, and goes to {copy.target}, too",
                hint="Copy them one by one, to two names.",
            )
        taken[copy.target] = text
        yield copy


def _copy(source: str | ObjectUri, target: str | ObjectUri, *, recursive: bool) -> Copy:
    _check_path(source)
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


def _check_path(source: str | ObjectUri) -> None:
    """Raise UsageError for a source that is not there."""
    if not isinstance(source, str) or source == STREAM:
        return
    try:
        os.stat(source)  # noqa: PTH116  a slash at its end counts: "file/" is an error
    except FileNotFoundError:
        raise UsageError(f"{source}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}") from None


def _own_name(source: str | ObjectUri) -> str:
    """What it is called in a directory; nothing where it stands for what is in it."""
    if isinstance(source, ObjectUri):
        return "" if source.is_directory else source.last
    name = source.rpartition("/")[2]
    return "" if name in _DOTS else name


def _within(directory: str | ObjectUri, name: str) -> str | ObjectUri:
    if isinstance(directory, ObjectUri):
        return directory.below(name)
    if name in _DOTS:
        raise UsageError(
            f"an object whose name ends with /{name} has no file name",
            hint="Write the name of the file in the target.",
        )
    return os.path.join(directory, name) if name else directory  # noqa: PTH118  "-" stays text


def _is_directory(target: str | ObjectUri) -> bool:
    if isinstance(target, ObjectUri):
        return target.is_directory
    return target != STREAM and (target.endswith("/") or _is_local_directory(target))


def _is_local_directory(place: str | ObjectUri) -> bool:
    # No error for what is no path at all: the copy itself has a better one.
    return isinstance(place, str) and place != STREAM and os.path.isdir(place)  # noqa: PTH112


def _is_prefix(place: str | ObjectUri) -> bool:
    return isinstance(place, ObjectUri) and place.is_directory
