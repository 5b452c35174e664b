"""`make bench-wan`: everybody over the same long line, in one run. Needs root.

See docs/performance.md, "Long lines".
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from bench import machine, report
from bench.ground import ROOT
from bench.peers import Programs, named_command
from bench.wan import tables
from bench.wan.cells import CELLS
from bench.wan.network import obstacle
from bench.wan.runs import Passage, run

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = PAGE.parent / "plots" / "wan.svg"
#: Exit status where there can be no line.
CANNOT = 2


def main() -> int:
    """Measure, print the table, write the results."""
    options = _options()
    if options.join:
        return _join(options.join)
    if (why := obstacle()) is not None:
        print(f"bench-wan cannot run here: {why}", file=sys.stderr)
        return CANNOT
    signal.signal(signal.SIGTERM, _interrupted)
    programs = Programs(options.ocihaul, options.official, options.rclone)
    told = machine.describe(programs) | {"system": f"{sys.platform}, a line of two namespaces"}
    conditions = {"rounds": str(options.rounds), "measured": time.strftime("%F", time.gmtime())}
    cells = [cell for name, cell in CELLS.items() if not options.only or name in options.only]
    passages: list[Passage] = []
    try:
        for cell in cells:
            passages += run(cell, programs, dict(options.beside), options.rounds, _say)
    except KeyboardInterrupt:
        _say("interrupted: the line and its namespaces are gone, nothing was written")
        return 130
    text = tables.table(cells, passages)
    print(text)
    if not options.dry:
        RESULTS.mkdir(exist_ok=True)
        _save(RESULTS / f"{options.name}.json", told | conditions, passages)
        _write(told | conditions, passages)
    return 1 if any(passage.trouble for passage in passages) else 0


def _join(paths: Sequence[Path]) -> int:
    """Write the page from the results of several runs, such as one for each half of the rows."""
    wholes = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    passages = [Passage(**sample) for whole in wholes for sample in whole["samples"]]
    _save(RESULTS / "wan.json", wholes[0]["about"], passages)
    _write(wholes[0]["about"], passages)
    return 0


def _save(path: Path, about: Mapping[str, str], passages: Sequence[Passage]) -> None:
    whole = {"about": dict(about), "samples": [asdict(passage) for passage in passages]}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _write(about: Mapping[str, str], passages: Sequence[Passage]) -> None:
    measured = {passage.cell for passage in passages}
    cells = [cell for name, cell in CELLS.items() if name in measured]
    tables.plot(cells, passages, PLOT)
    text = "; ".join(f"{name}: {value}" for name, value in about.items())
    parts = [f"Measured on: {text}.", tables.table(cells, passages)]
    parts.append("![Shares of the line](plots/wan.svg)")
    report.write_into(PAGE, "\n\n".join(parts) + "\n", tables.BEGIN, tables.END)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ocihaul", type=Path, default="ocihaul", help="the command to measure")
    parser.add_argument("--official", type=Path, help="the official CLI's command")
    parser.add_argument("--rclone", type=Path)
    parser.add_argument(
        "--beside",
        type=named_command,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another ocihaul to measure beside this one (repeatable)",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=CELLS, help="only this row (repeatable)")
    parser.add_argument("--name", default="wan", help="of the file in bench/results")
    parser.add_argument("--join", type=Path, nargs="+", help="write the page from these results")
    parser.add_argument("--dry", action="store_true", help="write neither results nor page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
