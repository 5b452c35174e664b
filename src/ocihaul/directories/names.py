"""From a path in a directory to an object's name, and back; pure.

A relative path has "/" between its segments, whatever the system has. What cannot be said on the
other side is a UsageError about that one file: nothing is renamed in silence. Unicode forms (NFC,
NFD) are left as they are.

A name is the bytes on disk, read as UTF-8, whatever the locale of the process. Bytes that are no
UTF-8 become lone surrogates (`\\udcNN`): such a name can be printed, sorted and opened, and no
object can have it.
"""

import os
import re
import unicodedata
from collections.abc import Iterator

from ocihaul.errors import UsageError
from ocihaul.filesystem import DISK_ERRORS, on_disk
from ocihaul.storage.names import LONGEST_NAME, check_text

_WINDOWS = os.sep == "\\"
_SURROGATE = re.compile("[\ud800-\udfff]")


def object_name(prefix: str, relative: str) -> str:
    """The name of the object for a file; raises UsageError when it cannot have one."""
    name = prefix + relative
    check_text(name, "file name")
    if len(name) * 4 > LONGEST_NAME and len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"the object's name would have more than {LONGEST_NAME} bytes",
            hint="Shorten the path or `prefix`, or pack the directory first, with tar.",
        )
    return name


def is_text(name: str) -> bool:
    """Whether it is valid UTF-8, as every object's name is."""
    return name.isascii() or not _SURROGATE.search(name)


def readable_part(path: str) -> str:
    """The innermost directory above `path` (with "/", or empty) whose own path is text."""
    found = _SURROGATE.search(path)
    return path[: path.rfind("/", 0, found.start() if found else len(path)) + 1]


def ancestors(path: str) -> Iterator[str]:
    """The directories above `path`, from the root, which is empty; each other ends with "/"."""
    at = 0
    while at >= 0:
        yield path[:at]
        at = path.find("/", at) + 1 or -1


def printable(name: str) -> str:
    """The name as text that can be stored and printed: bytes that are no UTF-8 as \\udcNN."""
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


def disk_path(root: str, relative: str) -> str:
    """The path of `relative` below `root` as this process's calls to the system take it.

    Python encodes a path by the locale; what it makes of the result are the bytes of the name.
    """
    text = relative if relative.isascii() else os.fsdecode(on_disk(relative))
    return os.path.join(root, text)  # noqa: PTH118  a million times


def sort_key(name: str) -> bytes:
    """The order of the service's lists: that of the names' bytes in UTF-8."""
    try:
        return name.encode(errors=DISK_ERRORS)
    except UnicodeEncodeError:  # a list can hold what no disk can
        return name.encode(errors="surrogatepass")


def relative_path(name: str, *, prefix: str = "") -> str:
    """Where an object belongs below the directory; raises UsageError when nowhere.

    One leading "/" is dropped, as in the official CLI. A name ending with "/" is a directory's.
    The empty path is the directory itself.
    """
    path = name.removeprefix(prefix).removeprefix("/")
    if not path:
        return ""
    check_text(path, "object name")
    segments = path.removesuffix("/").split("/")
    for segment in segments:
        reason = _refusal(segment)
        if reason is not None:
            raise UsageError(
                f"the object's name has {reason}: no file can be called like this",
                hint="Download it alone, to a `target` with another name.",
            )
    return path


def _refusal(segment: str) -> str | None:
    if not segment:
        return "an empty segment"
    if segment in {".", ".."}:
        return f"the segment {segment!r}"
    if "\0" in segment:
        return "a NUL"
    if _WINDOWS and (set(segment) & set('\\:*?"<>|') or segment[-1] in " ."):
        return f"the segment {segment!a}, which Windows does not allow"
    return None


def folded(path: str) -> str:
    """What two paths share when a file system ignores case and Unicode forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
