"""--include and --exclude: which names belong to the work; pure.

As in the stock CLI: shell patterns, of which "*" matches "/" too, against the whole path below the
directory (or the bucket). With a --prefix that has a "/", a pattern also counts behind it. An
absolute pattern is compared with the absolute path.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Sequence

from ocihaul.errors import UsageError

#: Whether a relative path belongs to the work.
Filter = Callable[[str], bool]


def everything(path: str) -> bool:  # noqa: ARG001  a Filter
    """The filter without patterns."""
    return True


def make_filter(
    include: Sequence[str], exclude: Sequence[str], *, root: str, prefix: str = ""
) -> Filter:
    """The filter for paths below `root`; raises UsageError when both kinds are given."""
    if include and exclude:
        raise UsageError("--include and --exclude exclude each other", hint="Leave one out.")
    if not include and not exclude:
        return everything
    patterns = list(include or exclude)
    if "/" in prefix:
        patterns += [os.path.join(prefix, each) for each in patterns]  # noqa: PTH118  text
    relative = _any(each for each in patterns if not each.startswith("/"))
    absolute = _any(each for each in patterns if each.startswith("/"))
    wanted = bool(include)

    def accept(path: str) -> bool:
        path = os.path.normcase(path)
        found = relative is not None and relative.match(path)
        if not found and absolute is not None:
            found = absolute.match(os.path.join(root, path))  # noqa: PTH118
        return bool(found) is wanted

    return accept


def _any(patterns: "Sequence[str] | object") -> re.Pattern[str] | None:
    texts = [fnmatch.translate(os.path.normcase(each)) for each in patterns]  # type: ignore[attr-defined]
    return re.compile("|".join(f"(?:{text})" for text in texts)) if texts else None
