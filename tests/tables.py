"""Pages that name a test for each of their rows or promises, and what holds them to the tests.

A test stands there as `tests/file.py`: `test_one`, `test_another`. Run as a program with --write,
this fills in the tests that are called by the number of a finding:

    python -m tests.tables --write
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: What a page says where something is still missing.
UNFILLED = "TO BE FILLED"

_ROW = re.compile(r"\| ([A-Z]?[0-9]+) \| .+ \| (.+) \|")
_NAMED = re.compile(r"`(tests/\S+\.py)`: ((?:`test_\w+`(?:, )?)+)")
_DEFINED = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
_TO_FILL = re.compile(rf"{UNFILLED}: (test_finding_[ab][0-9]{{2}})")


def page(name: str) -> str:
    """The text of a page in docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """The last column of each row of a table, by the number in the first one."""
    found = [match for line in text.splitlines() if (match := _ROW.fullmatch(line))]
    numbers = [match.group(1) for match in found]
    assert len(numbers) == len(set(numbers)), "a number stands there twice"
    return {match.group(1): match.group(2) for match in found}


def named(text: str) -> list[tuple[str, str]]:
    """The tests that a text names: file and name. Each has to stand behind its file."""
    found = [
        (file, name) for file, names in _NAMED.findall(text) for name in re.findall(r"\w+", names)
    ]
    assert len(found) == text.count("`test_"), f"a test without its file: {text[:100]}"
    return found


def not_there(text: str) -> list[str]:
    """The tests that a text names and that do not exist."""
    return [
        f"{file}: {name}"
        for file, name in named(text)
        if not (ROOT / file).exists() or name not in _DEFINED.findall((ROOT / file).read_text())
    ]


def called(prefix: str) -> dict[str, str]:
    """All tests whose names begin like that, each with its file."""
    return {
        name: str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in _DEFINED.findall(path.read_text(encoding="utf-8"))
        if name.startswith(prefix)
    }


def as_named(tests: dict[str, str]) -> str:
    """Tests as a page names them."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for name, file in tests.items():
        by_file[file].append(f"`{name}`")
    return "; ".join(f"`{file}`: {', '.join(names)}" for file, names in by_file.items())


def finding_prefix(number: str) -> str:
    """How the tests of a finding are called: `test_finding_a01_` for A1."""
    return f"test_finding_{number[0].lower()}{int(number[1:]):02}_"


def filled(text: str) -> Iterator[str]:
    """The lines of docs/findings.md, with the tests that there are now in the last column."""
    for line in text.splitlines():
        match = _ROW.fullmatch(line)
        if match is None:
            yield line
            continue
        tests = as_named(called(finding_prefix(match.group(1)))) or UNFILLED
        yield f"{line[: match.start(2)]}{tests} |"


def promises_filled(text: str) -> str:
    """docs/reliability.md, with the tests in place of their numbers, where there are any."""
    return _TO_FILL.sub(lambda match: as_named(called(f"{match.group(1)}_")) or match.group(), text)


def main() -> None:
    """Write both pages, and say what is missing still."""
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    findings = "\n".join(filled(page("findings.md"))) + "\n"
    (DOCS / "findings.md").write_text(findings, encoding="utf-8")
    promises = promises_filled(page("reliability.md"))
    (DOCS / "reliability.md").write_text(promises, encoding="utf-8")
    for name, text in (("findings.md", findings), ("reliability.md", promises)):
        lines = [line for line in text.splitlines() if UNFILLED in line]
        sys.stdout.writelines(f"{name}: {line[:100]}\n" for line in lines)


if __name__ == "__main__":
    main()
