"""Which names a page has, against the plain reading of the rules."""

import random

import pytest

from ocihaul.emulator.handlers.objects import Page, page_of
from ocihaul.emulator.responses import ApiError


def expected(names: list[str], query: dict[str, str]) -> tuple[list[str], list[str]]:
    found, prefixes = [], []
    prefix = query.get("prefix", "")
    for name in names:
        wanted = name.startswith(prefix) and name >= query.get("start", "")
        wanted = wanted and name > query.get("startAfter", "")
        if not wanted or ("end" in query and name >= query["end"]):
            continue
        head, slash, _ = name[len(prefix) :].partition("/")
        if query.get("delimiter") and slash:
            prefixes.append(prefix + head + "/")
        else:
            found.append(name)
    return found, sorted(set(prefixes))


def test_pages_together_have_what_the_rules_say() -> None:
    chance = random.Random(1)  # noqa: S311  not a secret
    for _ in range(2000):
        names = sorted({"".join(chance.choices("a/0.é", k=chance.randint(1, 5))) for _ in range(9)})
        query = {
            name: "".join(chance.choices("a/.", k=chance.randint(0, 2)))
            for name in ("prefix", "start", "end", "startAfter")
            if chance.random() < 0.3
        }
        if chance.random() < 0.5:
            query["delimiter"] = "/"
        found, prefixes = expected(names, query)
        pages = list(all_pages(names, query, chance.randint(1, 4)))
        assert [name for page in pages for name in page.names] == found, (names, query)
        told = [prefix for page in pages for prefix in page.prefixes]
        if "startAfter" not in query and "start" not in query:
            assert told == prefixes, (names, query)


def all_pages(names: list[str], query: dict[str, str], limit: int) -> list[Page]:
    pages = []
    start: str | None = query.get("start", "")
    while start is not None:
        page = page_of(names, {**query, "start": start}, limit)
        assert len(page.names) + len(page.prefixes) <= limit
        pages.append(page)
        start = page.following
    return pages


def test_there_is_one_delimiter() -> None:
    with pytest.raises(ApiError, match="delimiter"):
        page_of([], {"delimiter": "-"}, 10)
