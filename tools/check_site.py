"""Look at the site that was made: no dead link or anchor, nothing loaded from elsewhere.

python -m tools.check_site build/site
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Elements that make a browser fetch something, and the attribute that says what.
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
#: Relations of `<link>` that fetch nothing.
NAMES_ONLY = {"canonical", "prev", "next", "alternate", "edit"}


@dataclass
class Page(HTMLParser):
    """The links, the anchors, and what is loaded."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADS and given.get(LOADS[tag]):
            self.loads.append(given[LOADS[tag]])
        if tag == "link" and not set(given.get("rel", "").split()) & NAMES_ONLY:
            self.loads.append(given.get("href", ""))


def main(argv: list[str] | None = None) -> int:
    """Print what is wrong; 1 where something is."""
    (site,) = map(Path, sys.argv[1:] if argv is None else argv)
    faults = check(site.resolve())
    for fault in faults:
        print(fault)
    print(f"{site}: {len(list(site.rglob('*.html')))} pages, {len(faults)} faults")
    return 1 if faults else 0


def check(site: Path) -> list[str]:
    """What is wrong with the site, one line each."""
    pages = {path: _read(path) for path in site.rglob("*.html")}
    faults = [] if pages else [f"{site}: there is no page"]
    for path, page in pages.items():
        where = path.relative_to(site)
        # The page for a missing page is served from anywhere: its addresses are the site's.
        base = Path("/") if where.name == "404.html" else path.parent
        for link in page.links:
            if path.name != "404.html":
                faults += [f"{where}: {fault}" for fault in _follow(link, base, path, site, pages)]
        faults += [f"{where}: loads {each}" for each in page.loads if urlsplit(each).netloc]
    for style in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^)\"']+)", style.read_text())
        faults += [f"{style.relative_to(site)}: loads {each}" for each in found]
    return sorted(set(faults))


def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _follow(link: str, base: Path, path: Path, site: Path, pages: dict[Path, Page]) -> list[str]:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return []
    target = (base / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.exists():
        return [f"dead link {link}"]
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors | {"__skip"}:
        return [f"no such place {link}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
