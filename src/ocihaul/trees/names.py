"""From a path in a tree to an object's name, and back; pure.

A relative path has "/" between its segments, whatever the system has. What cannot be said on the
other side is a UsageError about that one file: nothing is renamed in silence. Unicode forms (NFC,
NFD) are left as they are.
"""

import os
import unicodedata

from ocihaul.errors import UsageError
from ocihaul.storage.names import check_text

#: The service's limit: https://docs.oracle.com/iaas/Content/Object/Tasks/managingobjects.htm
LONGEST_NAME = 1024

_WINDOWS = os.sep == "\\"


def object_name(prefix: str, relative: str) -> str:
    """The name of the object for a file; raises UsageError when it cannot have one."""
    name = prefix + relative
    check_text(name, "file name")
    if len(name) * 4 > LONGEST_NAME and len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"the object's name would have more than {LONGEST_NAME} bytes",
            hint="Shorten the path or --prefix, or pack the directory first, with tar.",
        )
    return name


def printable(name: str) -> str:
    """The name as text that can be stored and printed: bytes that are no UTF-8 as \\udcNN."""
    return name.encode(errors="backslashreplace").decode()


def sort_key(relative: str) -> bytes:
    """The order of the service's lists: that of the names' bytes in UTF-8."""
    return os.fsencode(relative) if not _WINDOWS else relative.encode(errors="surrogatepass")


def relative_path(name: str, *, prefix: str = "") -> str:
    """Where an object belongs below the directory; raises UsageError when nowhere.

    One leading "/" is dropped, as the stock CLI does. A name that ends with "/" is a directory's.
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
                hint="Download it alone, under another name, with: os object get --file FILE",
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
