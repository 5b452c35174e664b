"""Which names a page of a list has; pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .answers import ApiError


@dataclass(slots=True)
class Page:
    """Names and prefixes in order; `following` is the name that the next page begins with."""

    names: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    following: str | None = None


def page_of(names: Sequence[str], query: Mapping[str, str], limit: int) -> Page:
    """A page of the sorted `names`, as the query of ListObjects wants it.

    A prefix counts like a name towards `limit`. 400 for a delimiter that is not "/".
    """
    delimiter, prefix = query.get("delimiter", ""), query.get("prefix", "")
    if delimiter not in ("", "/"):
        raise ApiError(400, "InvalidParameter", "The only delimiter is '/'")
    page = Page()
    at = bisect_left(names, max(query.get("start", ""), prefix))
    if "startAfter" in query:
        at = max(at, bisect_right(names, query["startAfter"]))
    while at < len(names):
        name = names[at]
        if not name.startswith(prefix) or ("end" in query and name >= query["end"]):
            break
        if len(page.names) + len(page.prefixes) == limit:
            page.following = name
            break
        cut = name.find("/", len(prefix)) if delimiter else -1
        if cut < 0:
            page.names.append(name)
            at += 1
        else:
            page.prefixes.append(name[: cut + 1])
            # "0" is the character after "/": the first name behind the group.
            at = bisect_left(names, name[:cut] + "0", at)
    return page
