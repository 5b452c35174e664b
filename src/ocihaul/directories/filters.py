"""`include` and `exclude`: which names belong to the work; pure.

As in the official CLI: shell patterns, of which "*" matches "/" too, against the path below the
directory (or the bucket). With a `prefix` that has a "/", a pattern also counts behind it. An
absolute pattern is compared with the absolute path.
"""

import fnmatch
import os
import re
from collections.abc import Sequence

from ocihaul.errors import UsageError

#: No pattern is longer, characters.
LONGEST_PATTERN = 4096


def _any(patterns: Sequence[str]) -> re.Pattern[str] | None:
    texts = [fnmatch.translate(os.path.normcase(each)) for each in patterns]
    return re.compile("|".join(f"(?:{text})" for text in texts)) if texts else None


class Filter:
    """Whether relative paths belong to the work. Immutable."""

    def __init__(
        self, patterns: Sequence[str] = (), *, include: bool = False, root: str = ""
    ) -> None:
        self._relative = _any([each for each in patterns if not each.startswith("/")])
        self._absolute = _any([each for each in patterns if each.startswith("/")])
        self._include = include
        self._root = root

    def __call__(self, path: str) -> bool:
        """Whether `path` belongs to the work."""
        path = os.path.normcase(path)
        found = self._relative is not None and self._relative.match(path)
        if not found and self._absolute is not None:
            found = self._absolute.match(os.path.join(self._root, path))  # noqa: PTH118  text
        return bool(found) is self._include

    def may_hold(self, directory: str) -> bool:
        """Whether something in this directory, which ends with "/", may belong to the work."""
        return self._include or self(directory)


#: The filter without patterns.
EVERYTHING = Filter()


def make_filter(
    include: Sequence[str], exclude: Sequence[str], *, root: str, prefix: str = ""
) -> Filter:
    """The filter for paths below `root`.

    Raises UsageError when both kinds are given, or for a pattern that no path is as long as: the
    time that a pattern takes grows with the square of its length.
    """
    if include and exclude:
        raise UsageError("`include` and `exclude` exclude each other", hint="Leave one out.")
    if not include and not exclude:
        return EVERYTHING
    patterns = list(include or exclude)
    if "/" in prefix:
        patterns += [os.path.join(prefix, each) for each in patterns]  # noqa: PTH118  text
    longest = max(map(len, patterns))
    if longest > LONGEST_PATTERN:
        raise UsageError(
            f"`include` and `exclude`: a pattern of {longest} characters (at most "
            f"{LONGEST_PATTERN}, with the prefix before it)",
            hint="A name has at most 1,024 bytes.",
        )
    return Filter(patterns, include=bool(include), root=root)
