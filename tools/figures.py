"""How large the code is to read: `python -m tools.figures` prints it, as text or as JSON.

Counted from the source: modules, class names with two meanings, flags of the command line that are
named below it, public functions that take any keyword. Counted by running them against the
emulator, in processes of their own: the files that an upload goes through, the frames between a
worker and the next block of a part, the returns of an upload's request to a file already left, and
what twenty small uploads cost.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "ocihaul"
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+[a-z]\b")
#: Flags of other programs that a text has to name, by file: they are no flags of ours.
_OF_OTHERS = {
    "cluster/connect.py": {"--scheduler-file"},  # of `dask scheduler`, whose file is missing
    # Of `dask scheduler` and `dask worker`, which have to be started with encryption.
    "integrations/dask/owner.py": {"--tls-ca-file", "--tls-cert", "--tls-key"},
    # Of the official CLI's own login, as it is what runs there.
    "integrations/oci_cli.py": {"--profile-name"},
    # Of the official CLI, whose command line is read there.
    "integrations/oci_cli_hooks.py": {
        *("--auth", "--config-file", "--profile", "--cli-rc-file", "--defaults-file"),
    },
}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--static", action="store_true", help="run nothing, only count the source")
    options = parser.parse_args()
    figures: dict[str, object] = dict(counted())
    if not options.static:
        figures |= run("tools.walks")
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        width = max(map(len, figures))
        for name, value in figures.items():
            print(f"{name:{width}}  {value}")
    return 0


def run(module: str) -> Mapping[str, object]:
    """What a program of ours prints as JSON, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module], check=True, stdout=subprocess.PIPE, cwd=SOURCE.parents[1]
    )
    return dict(json.loads(done.stdout))


def counted() -> Iterator[tuple[str, object]]:
    """The figures that the source alone gives."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    yield "modules", len(trees)
    yield "lines", sum(len(path.read_text("utf-8").splitlines()) for path in trees)
    names = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    yield "class names with two meanings", sum(count > 1 for count in names.values())
    below = [
        flag
        for path, tree in trees.items()
        if path.relative_to(SOURCE).parts[0] not in {"cli", "emulator"}
        for text in _texts(tree)
        for flag in _FLAG.findall(text)
        if flag not in _OF_OTHERS.get(path.relative_to(SOURCE).as_posix(), ())
    ]
    yield "flags named below cli/", len(below)
    yield "public functions that take any keyword", sum(map(_takes_anything, trees.values()))


def _texts(tree: ast.Module) -> Iterator[str]:
    """The texts of a module that may reach a user: all but docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text


def _takes_anything(tree: ast.Module) -> int:
    """Public functions of a module with `**name: Any`, command-line callbacks left out."""
    return sum(
        1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not node.decorator_list
        and node.args.kwarg is not None
        and isinstance(node.args.kwarg.annotation, ast.Name)
        and node.args.kwarg.annotation.id == "Any"
    )


if __name__ == "__main__":
    raise SystemExit(main())
